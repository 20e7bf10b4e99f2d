//! `attach`: the terminal at a service's own process: what it prints, what it reads (in a container), the signals that it gets.

use std::io::{self, Write};

use clap::Args;
use devctl_drivers::docker::DockerError;
use devctl_wire::v1::{ActRequest, LogQuery, LogStream, Verb, update::What};
use nix::sys::signal::Signal;
use tokio_stream::StreamExt;

use crate::client;
use crate::complete;
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;
use crate::foreground::{self, Wiring};
use crate::project::Project;
use crate::session;
use crate::standing::{self, Container, Standing};

/// As in Docker.
const LEAVE: &str = "ctrl-p,ctrl-q";

/// Show what a service prints from now on, and hand it signals (and in a container, what is typed)
#[derive(Args, Debug)]
#[command(after_help = "Ctrl-P Ctrl-Q leaves a container running, `--detach-keys` says otherwise.")]
pub(crate) struct Attach {
    /// What is typed to leave a container running: keys and `ctrl-LETTER`, with commas
    #[arg(long, value_name = "KEYS", default_value = LEAVE, value_parser = foreground::sequence)]
    detach_keys: foreground::Sequence,

    /// Which replica
    #[arg(long, default_value_t = 1)]
    index: u32,

    /// Hand it nothing of what is typed
    #[arg(long)]
    no_stdin: bool,

    /// Hand it the signals that devctl gets; `--sig-proxy=false`: Ctrl-C leaves
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    sig_proxy: bool,

    /// Service
    #[arg(value_name = "SERVICE", add = complete::services())]
    service: String,
}

impl Attach {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project()?;
        project.check_services([&self.service])?;
        context.block_on(async {
            let standing = standing::running(&project, &self.service, self.index).await?;
            if context.global.dry_run {
                return dry::tell(context, &[Step::new("attach to", &self.service)]);
            }
            match standing {
                Standing::Container(container) => self.container(&container).await,
                _ => self.process(&project).await,
            }
        })
    }

    async fn container(&self, container: &Container) -> Result<Exit, Error> {
        let refused = |error: DockerError| standing::refused(&error);
        let (engine, id) = (&container.engine, &container.id);
        let has_tty = engine.look(id).await.map_err(refused)?.is_some_and(|seen| seen.tty);
        let tty = has_tty && foreground::has_terminal();
        let attached = engine.attach(id, !self.no_stdin).await.map_err(refused)?;
        let wiring = Wiring {
            tty,
            stdin: !self.no_stdin,
            detach: Some(self.detach_keys.0.clone()),
        };
        let ended = foreground::converse(attached, wiring, async |signal| {
            self.sig_proxy && engine.kill(id, signal.as_str()).await.is_ok()
        });
        Ok(ended.await?.exit())
    }

    /// A process reads nothing (its stdin is closed): what it prints is followed, and signals reach it through the daemon.
    async fn process(&self, project: &Project) -> Result<Exit, Error> {
        let mut client = client::expect(project).await?;
        let query = LogQuery {
            services: vec![self.service.clone()],
            tail: Some(0),
            ..LogQuery::default()
        };
        let mut lines = session::follow_logs(&mut client, query).await?;
        let name = if self.index > 1 {
            format!("{}[{}]", self.service, self.index)
        } else {
            self.service.clone()
        };
        loop {
            let update = tokio::select! {
                _ = tokio::signal::ctrl_c() => {
                    if !self.sig_proxy {
                        return Ok(Exit::Signal(Signal::SIGINT as i32));
                    }
                    let request = ActRequest {
                        verb: Verb::Kill.into(),
                        services: vec![name.clone()],
                        signal: "SIGINT".to_owned(),
                        ..ActRequest::default()
                    };
                    client.act(request).await?;
                    continue;
                }
                update = lines.next() => match update {
                    Some(update) => update?,
                    None => return Ok(Exit::Ok),
                },
            };
            match update.what {
                Some(What::Log(line)) if line.node == name && line.stream() != LogStream::Devctl => {
                    let mut bytes = line.line.clone();
                    if !line.continues {
                        bytes.push(b'\n');
                    }
                    match line.stream() {
                        LogStream::Stderr => io::stderr().write_all(&bytes)?,
                        _ => io::stdout().write_all(&bytes)?,
                    }
                    io::stdout().flush()?;
                }
                Some(What::Node(node))
                    if node.id == name && node.pid == 0 && (node.exit_code.is_some() || !node.signal.is_empty()) =>
                {
                    return Ok(node.exit_code.map_or(Exit::Failed, foreground::of));
                }
                _ => {}
            }
        }
    }
}
