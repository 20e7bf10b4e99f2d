//! `env`: what to set so that a service runs outside of devctl (in an IDE, under a debugger) as it runs inside.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use devctl_wire::v1::{InsideReply, UpRequest, update::What};
use serde_json::json;
use tokio_stream::StreamExt;

use crate::client;
use crate::complete;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project::{Project, ProjectError};
use crate::standing::{self, Standing};

/// Print the environment that a service is run with, to run it in an IDE: secrets included
#[derive(Args, Debug)]
pub(crate) struct Env {
    /// How it is printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "export")]
    format: Shape,

    /// Which replica
    #[arg(long, default_value_t = 1)]
    index: u32,

    /// Service
    #[arg(value_name = "SERVICE", add = complete::services())]
    service: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// Lines for a shell: `eval "$(devctl env api)"`
    Export,
    /// A file for `--env-file` and IDEs
    Dotenv,
    /// An object
    Json,
}

/// Variables that whoever runs the service has already.
const OWN: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "DEVCTL_RUN",
];

impl Env {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of([&self.service])?;
        let inside = context.block_on(self.inside(context, &project))?;
        let pairs = pairs(&inside);
        let mut out = io::stdout().lock();
        match self.format {
            Shape::Export => {
                for (name, value) in &pairs {
                    writeln!(out, "export {name}={}", quoted(value))?;
                }
            }
            Shape::Dotenv => {
                for (name, value) in &pairs {
                    writeln!(out, "{name}={}", dotenv(value))?;
                }
            }
            Shape::Json => {
                let object: serde_json::Map<_, _> =
                    pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
                writeln!(out, "{}", serde_json::Value::Object(object))?;
            }
        }
        drop(out);
        if !context.global.quiet {
            self.remarks(&inside)?;
        }
        Ok(Exit::Ok)
    }

    /// The service may not run, and need not: it is enough that its edges are there.
    async fn inside(&self, context: &Context, project: &Project) -> Result<InsideReply, Error> {
        match standing::find(project, &self.service, self.index).await? {
            Standing::Process(inside) | Standing::Idle(inside) => return Ok(*inside),
            Standing::Container(_) => {
                return Err(Error::Unmet {
                    what: format!(
                        "`{}` runs in a container, whose addresses mean nothing outside of it",
                        self.service
                    ),
                    help: Some(format!(
                        "say where it runs instead: `x-devctl: {{external: {{\"8080\": \"127.0.0.1:8080\"}}}}` in `{}`, then `devctl up` and this again",
                        self.service
                    )),
                });
            }
            Standing::Nowhere => {}
        }
        let mut client = client::find_or_start(project).await?;
        let request = UpRequest {
            source: Some(context.source(project)),
            services: vec![self.service.clone()],
            no_deps: true,
            no_start: true,
            ..UpRequest::default()
        };
        let mut updates = client.up(request).await?.into_inner();
        while let Some(update) = updates.next().await {
            if let Some(What::Outcome(outcome)) = update?.what {
                if outcome.result() == devctl_wire::v1::Result::Invalid {
                    let diagnostics = outcome.diagnostics.into_iter().map(|one| one.text).collect();
                    return Err(ProjectError::Invalid { diagnostics }.into());
                }
                break;
            }
        }
        match standing::find(project, &self.service, self.index).await? {
            Standing::Process(inside) | Standing::Idle(inside) => Ok(*inside),
            Standing::Container(_) | Standing::Nowhere => Err(client::ClientError::NotUp {
                project: project.name.clone(),
            }
            .into()),
        }
    }

    fn remarks(&self, inside: &InsideReply) -> Result<(), Error> {
        let mut err = io::stderr().lock();
        if inside
            .environment
            .iter()
            .any(|pair| inside.secrets.contains(&pair.value))
        {
            writeln!(err, "secrets are printed, because you asked for them")?;
        }
        if !inside.directory.is_empty() {
            writeln!(err, "directory: {}", inside.directory)?;
        }
        if !inside.command.is_empty() {
            writeln!(err, "command: {}", inside.command.join(" "))?;
        }
        if inside.runtime != "external" && !inside.ports.is_empty() {
            let ports: Vec<String> = inside
                .ports
                .iter()
                .map(|port| format!("\"{}\": \"127.0.0.1:{}\"", port.port, port.port))
                .collect();
            writeln!(
                err,
                "to lead its consumers to your own process: `x-devctl: {{external: {{{}}}}}` in `{}`, and `devctl up`",
                ports.join(", "),
                self.service
            )?;
        }
        Ok(())
    }
}

/// Name and value of everything that must be set. A port that no run has is the file's own, or where the file says that it is.
fn pairs(inside: &InsideReply) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = inside
        .environment
        .iter()
        .filter(|pair| !OWN.contains(&pair.key.as_str()) && !pair.key.starts_with("LC_"))
        .map(|pair| (pair.key.clone(), pair.value.clone()))
        .collect();
    for port in inside.ports.iter().filter(|port| !port.variable.is_empty()) {
        let known = port.address.rsplit_once(':').map(|(_, port)| port.to_owned());
        let value = known.unwrap_or_else(|| port.port.to_string());
        match pairs.iter_mut().find(|(name, _)| *name == port.variable) {
            Some(pair) => pair.1 = value,
            None => pairs.push((port.variable.clone(), value)),
        }
    }
    pairs
}

/// As a shell reads it back, whatever is in it.
fn quoted(value: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "_-./:=@%+,".contains(char);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// As Compose's own reader of `.env` reads it back: single quotes keep everything but themselves.
fn dotenv(value: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "_-./:=@%+,".contains(char);
    if value.chars().all(plain) {
        return value.to_owned();
    }
    if !value.contains('\'') {
        return format!("'{value}'");
    }
    let escaped = value
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('$', "\\$")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use devctl_wire::v1::{KeyValue, PortVariable};

    use super::*;

    #[test]
    fn values_survive_a_shell() {
        assert_eq!(quoted("a-b:8080"), "a-b:8080");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
        assert_eq!(dotenv("a b"), "'a b'");
        assert_eq!(dotenv("it's $x"), "\"it's \\$x\"");
    }

    #[test]
    fn ports_are_told_and_the_callers_own_variables_are_not() {
        let pair = |key: &str, value: &str| KeyValue {
            key: key.into(),
            value: value.into(),
        };
        let port = |port, variable: &str, address: &str| PortVariable {
            port,
            variable: variable.into(),
            address: address.into(),
        };
        let inside = InsideReply {
            environment: vec![pair("PATH", "/bin"), pair("A", "1"), pair("LC_ALL", "C")],
            ports: vec![port(8080, "PORT", "127.0.0.1:20001"), port(9090, "GRPC_PORT", "")],
            ..InsideReply::default()
        };
        let told: Vec<String> = pairs(&inside)
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(told, ["A=1", "PORT=20001", "GRPC_PORT=9090"]);
    }
}
