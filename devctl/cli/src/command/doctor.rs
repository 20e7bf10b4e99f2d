//! `doctor`: what this machine has, and what each service of the project gets of it.

use std::io::{self, Write};

use clap::Args;
use devctl_daemon::assess::Ground;
use serde_json::{Value, json};

use crate::args::{Format, Services, TalkFormat};
use crate::client;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::style::Style;
use crate::render::text::width;
use crate::standing;

mod docker;
mod machine;
mod service;

use machine::Machine;
use service::Assessment;

/// Say what is there to run the project with, what is missing, and what to do about it
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Do what can be done about it: pull and build the images that are missing, and say what only you can do
    #[arg(long)]
    fix: bool,

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
        let project = context.project_of(&self.services.services)?;
        let machine = Machine::look(&project.dirs.state);
        let env = standing::environment();
        let (is_up, ground) = context.block_on(async {
            let is_up = client::find(&project).await?.is_some();
            Ok((is_up, Ground::look(&project.model, &project.dirs, &env).await))
        })?;
        let mut assessments = Vec::new();
        let mut ports = Vec::new();
        let wanted = |name: &String| self.services.services.is_empty() || self.services.services.contains(name);
        for service in project.model.services.values().filter(|service| wanted(&service.name)) {
            let runtime = context.global.runtime_of(&service.name);
            assessments.push(service::assess(&ground, service, runtime));
        }
        // While the project is up, its ports are taken by itself.
        if !is_up {
            for (name, service) in project.services_as_json().into_iter().filter(|(name, _)| wanted(name)) {
                ports.extend(service::taken_ports(&name, &service));
            }
        }
        if self.fix {
            return self.fix(context, &project, &assessments);
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

impl Doctor {
    /// Images are brought or built; what needs root, or another file, is said with its command.
    fn fix(&self, context: &Context, project: &Project, assessments: &[Assessment]) -> Result<Exit, Error> {
        let of = |found: &&Assessment| found.runtime == "docker";
        let in_docker: Vec<String> = assessments
            .iter()
            .filter(of)
            .map(|found| found.service.clone())
            .collect();
        let builds = |name: &&String| {
            project
                .model
                .services
                .get(*name)
                .is_some_and(|service| service.build.is_some())
        };
        let (built, pulled): (Vec<&String>, Vec<&String>) = in_docker.iter().partition(builds);
        if !pulled.is_empty() {
            super::pull::Pull::missing(pulled.into_iter().cloned().collect()).run(context)?;
        }
        if !built.is_empty() {
            super::build::Build::of(built.into_iter().cloned().collect()).run(context)?;
        }
        let mut left = 0;
        for found in assessments.iter().filter(|found| found.finding.grade == Grade::Fault) {
            left += 1;
            for line in told(&found.finding, width(&found.service), context.terminal.err) {
                writeln!(io::stderr(), "{line}")?;
            }
        }
        Ok(if left > 0 { Exit::Failed } else { Exit::Ok })
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
        for (label, attributes) in [
            ("honoured", &found.attributes.honoured),
            ("no meaning here", &found.attributes.passed_by),
        ] {
            if !attributes.is_empty() {
                lines.push(format!(
                    "{indent}{} {}",
                    style.dim(&format!("{label}:")),
                    attributes.join(", ")
                ));
            }
        }
        for (attribute, instead) in &found.attributes.unsupported {
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
        .attributes
        .unsupported
        .iter()
        .map(|(attribute, instead)| json!({"attribute": attribute, "instead": instead}))
        .collect();
    json!({
        "service": found.service,
        "runtime": (!found.runtime.is_empty()).then_some(found.runtime),
        "finding": as_json(&found.finding),
        "honoured": found.attributes.honoured,
        "passed_by": found.attributes.passed_by,
        "unsupported": unsupported,
    })
}
