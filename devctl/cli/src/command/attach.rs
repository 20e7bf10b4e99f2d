//! `attach`: the terminal at a service's own process: what it prints, what it reads, the signals that it gets.

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;

use clap::Args;
use devctl_drivers::docker::DockerError;
use devctl_wire::v1::{ActRequest, InsideReply, LogQuery, LogStream, Verb, update::What};
use nix::sys::signal::Signal;
use tokio::signal::unix::SignalKind;
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
use crate::typed::{Handed, Typed};

/// As in Docker.
const LEAVE: &str = "ctrl-p,ctrl-q";

/// Show what a service prints from now on, and hand it what is typed, and signals
#[derive(Args, Debug)]
#[command(after_help = "Ctrl-P Ctrl-Q leaves the service running, `--detach-keys` says otherwise.")]
pub(crate) struct Attach {
    /// What is typed to leave the service running: keys and `ctrl-LETTER`, with commas
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
        let project = context.project_of([&self.service])?;
        context.block_on(async {
            let standing = standing::running(&project, &self.service, self.index).await?;
            if context.global.dry_run {
                return dry::tell(context, &[Step::new("attach to", &self.service)]);
            }
            match standing {
                Standing::Container(container) => self.container(&container).await,
                Standing::Process(_) => self.process(&project).await,
                Standing::Idle(_) | Standing::Nowhere => Ok(Exit::CouldNotRun),
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

    /// What a process prints is followed, what is typed goes into the pipe that it reads, and signals reach it through the daemon.
    async fn process(&self, project: &Project) -> Result<Exit, Error> {
        let mut client = client::expect(project).await?;
        let query = LogQuery {
            services: vec![self.service.clone()],
            tail: Some(0),
            ..LogQuery::default()
        };
        let mut lines = session::follow_logs(&mut client, query).await?;
        // From now on its end is told: one that has ended before is none to attach to.
        let Standing::Process(inside) = standing::running(project, &self.service, self.index).await? else {
            return Ok(Exit::CouldNotRun);
        };
        let name = if self.index > 1 {
            format!("{}[{}]", self.service, self.index)
        } else {
            self.service.clone()
        };
        let mut typed = self.typed(&inside)?;
        let mut interrupt = foreground::listen(SignalKind::interrupt())?;
        let mut terminate = foreground::listen(SignalKind::terminate())?;
        loop {
            let update = tokio::select! {
                heard = async { tokio::select! {
                    _ = interrupt.recv() => Signal::SIGINT,
                    _ = terminate.recv() => Signal::SIGTERM,
                } } => {
                    if !self.sig_proxy {
                        return Ok(Exit::Signal(heard as i32));
                    }
                    let request = ActRequest {
                        verb: Verb::Kill.into(),
                        services: vec![name.clone()],
                        signal: heard.as_str().to_owned(),
                        ..ActRequest::default()
                    };
                    client.act(request).await?;
                    continue;
                }
                left = Typed::next(&mut typed) => {
                    if left? == Handed::Left {
                        return Ok(Exit::Ok);
                    }
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

    fn typed(&self, inside: &InsideReply) -> Result<Option<Typed>, Error> {
        if self.no_stdin {
            return Ok(None);
        }
        if inside.stdin.is_empty() {
            if io::stdin().is_terminal() {
                writeln!(
                    io::stderr(),
                    "what is typed goes nowhere: `{0}` has no stdin (`stdin_open: true` in the file gives it one)",
                    self.service
                )?;
            }
            return Ok(None);
        }
        Typed::open(Path::new(&inside.stdin), self.detach_keys.0.clone())
    }
}
