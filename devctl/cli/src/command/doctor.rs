//! `doctor`: what this machine has, and what each service of the project gets of it.

use std::io::{self, Write};

use clap::Args;
use serde_json::{Value, json};

use crate::args::{Format, Services, TalkFormat};
use crate::client;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::style::Style;
use crate::render::text::width;

mod attributes;
mod docker;
mod machine;
mod service;

use machine::Machine;
use service::Assessment;

/// Say what is there to run the project with, what is missing, and what to do about it
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    #[command(flatten)]
    services: Services,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// As it should be.
    Good,
    /// Worth knowing; nothing is missing.
    Note,
    /// Some of the project will not be as in the files.
    Lack,
    /// Some of the project cannot run.
    Fault,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) grade: Grade,
    /// What was looked at: `PostgreSQL`, a service's name.
    pub(crate) subject: String,
    /// What was found.
    pub(crate) text: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
}

impl Finding {
    /// A finding with nothing to do about it.
    pub(crate) fn new(grade: Grade, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            grade,
            subject: subject.into(),
            text: text.into(),
            help: None,
        }
    }

    /// And what to do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Doctor {
    /// Runs it. Ends with 1 where a service cannot run.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project()?;
        project.check_services(&self.services.services)?;
        let machine = Machine::look(&project.dirs.state);
        let is_up = context.block_on(async { Ok(client::find(&project).await?.is_some()) })?;
        let mut assessments = Vec::new();
        let mut ports = Vec::new();
        for (name, service) in project.services_as_json() {
            if self.services.services.is_empty() || self.services.services.contains(&name) {
                assessments.push(service::assess(
                    &name,
                    &service,
                    &machine,
                    context.global.runtime_of(&name),
                ));
                // While the project is up, its ports are taken by itself.
                if !is_up {
                    ports.extend(service::taken_ports(&name, &service));
                }
            }
        }
        let mut out = io::stdout().lock();
        if context.terminal.format == Format::Json {
            let report = json!({
                "machine": machine.findings.iter().map(as_json).collect::<Vec<_>>(),
                "services": assessments.iter().map(assessment_as_json).collect::<Vec<_>>(),
                "ports": ports.iter().map(as_json).collect::<Vec<_>>(),
            });
            writeln!(out, "{report}")?;
        } else {
            for line in report(&machine, &assessments, &ports, context.terminal.out) {
                writeln!(out, "{line}")?;
            }
        }
        let fails = assessments.iter().any(|found| found.finding.grade == Grade::Fault);
        Ok(if fails { Exit::Failed } else { Exit::Ok })
    }
}

fn report(machine: &Machine, assessments: &[Assessment], ports: &[Finding], style: Style) -> Vec<String> {
    let subjects = machine.findings.iter().chain(ports).map(|finding| &finding.subject);
    let column = subjects
        .chain(assessments.iter().map(|found| &found.service))
        .map(|text| width(text))
        .max()
        .unwrap_or(0);
    let mut lines = vec![style.bold("This machine")];
    lines.extend(machine.findings.iter().flat_map(|finding| told(finding, column, style)));
    lines.extend([String::new(), style.bold("Services")]);
    for found in assessments {
        lines.extend(told(&found.finding, column, style));
        let indent = " ".repeat(column + 4);
        for (label, attributes) in [("honoured", &found.honoured), ("no meaning here", &found.passed_by)] {
            if !attributes.is_empty() {
                lines.push(format!(
                    "{indent}{} {}",
                    style.dim(&format!("{label}:")),
                    attributes.join(", ")
                ));
            }
        }
        for (attribute, instead) in &found.unsupported {
            lines.push(format!("{indent}{} {attribute}: {instead}", style.warn("not given:")));
        }
    }
    if !ports.is_empty() {
        lines.extend([String::new(), style.bold("Ports")]);
        lines.extend(ports.iter().flat_map(|finding| told(finding, column, style)));
    }
    lines
}

fn told(finding: &Finding, column: usize, style: Style) -> Vec<String> {
    let sign = match finding.grade {
        Grade::Good => style.good("✓"),
        Grade::Note => style.dim("·"),
        Grade::Lack => style.warn("!"),
        Grade::Fault => style.error("✗"),
    };
    let mut lines = vec![format!("{sign} {:column$}  {}", finding.subject, finding.text)];
    if let Some(help) = &finding.help {
        lines.push(format!(
            "{:indent$}{} {help}",
            "",
            style.help("help:"),
            indent = column + 4
        ));
    }
    lines
}

fn as_json(finding: &Finding) -> Value {
    let grade = match finding.grade {
        Grade::Good => "good",
        Grade::Note => "note",
        Grade::Lack => "lack",
        Grade::Fault => "fault",
    };
    json!({"grade": grade, "subject": finding.subject, "text": finding.text, "help": finding.help})
}

fn assessment_as_json(found: &Assessment) -> Value {
    let unsupported: Vec<Value> = found
        .unsupported
        .iter()
        .map(|(attribute, instead)| json!({"attribute": attribute, "instead": instead}))
        .collect();
    json!({
        "service": found.service,
        "runtime": (!found.runtime.is_empty()).then_some(found.runtime),
        "finding": as_json(&found.finding),
        "honoured": found.honoured,
        "passed_by": found.passed_by,
        "unsupported": unsupported,
    })
}
