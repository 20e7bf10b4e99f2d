//! `run`: one command in place of a service's own, beside what the service needs: in a container of its own, or as a process with
//! the service's environment, directory and ways to its neighbours.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use devctl_drivers::docker::{DockerError, Engine};
use devctl_wire::v1::{self, InsideReply, InsideRequest, KeyValue, Level, OneOffRequest, UpRequest, update::What};
use nix::sys::signal::Signal;
use tokio_stream::StreamExt;

use super::exec::{self, variables};
use crate::client;
use crate::complete;
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;
use crate::foreground::{self, Ended, Wiring};
use crate::project::{Project, ProjectError};
use crate::standing;

/// Run one command in place of a service's own; what the service depends on is started first
#[derive(Args, Debug, Default)]
pub(crate) struct Run {
    /// Build the service first
    #[arg(long)]
    build: bool,

    /// Leave it running in the background, and print its container's (or process's) id
    #[arg(short, long)]
    detach: bool,

    /// Another program in place of the image's entry point (or the process's own)
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,

    /// Set a variable: NAME=VALUE, or NAME for this environment's own value
    #[arg(short, long = "env", value_name = "NAME=VALUE")]
    env: Vec<String>,

    /// Add a capability (in a container)
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<String>,

    /// Take a capability away (in a container)
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<String>,

    /// Keep stdin open (it is)
    #[arg(short, long, hide = true)]
    interactive: bool,

    /// A label for its container
    #[arg(short, long, value_name = "NAME=VALUE")]
    label: Vec<String>,

    /// Its container's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Start nothing that the service depends on
    #[arg(long)]
    no_deps: bool,

    /// No terminal for the command [default: a terminal where this is one]
    #[arg(short = 'T', long = "no-tty", alias = "no-TTY")]
    no_tty: bool,

    /// Variables from a file, as `env_file` has them; may be given several times
    #[arg(long, value_name = "FILE")]
    env_from_file: Vec<PathBuf>,

    /// When its image, and those of what it depends on, are pulled [default: as the files say]
    #[arg(long, value_name = "POLICY", value_parser = ["always", "missing", "never", "policy"])]
    pull: Option<String>,

    /// Remove what runs and is no longer in the files
    #[arg(long)]
    remove_orphans: bool,

    /// Print nothing of devctl's own
    #[arg(short = 'q', long = "quiet", id = "run_quiet")]
    quiet: bool,

    /// Docker Compose's ways to ask for what devctl does anyway: little is told of pulls and builds
    #[arg(long, hide = true)]
    quiet_pull: bool,
    #[arg(long, hide = true)]
    quiet_build: bool,

    /// Publish a port: 8080:80
    #[arg(short, long, value_name = "PORT")]
    publish: Vec<String>,

    /// Remove its container when it ends
    #[arg(long)]
    rm: bool,

    /// Publish the service's own ports as well
    #[arg(short = 'P', long)]
    service_ports: bool,

    /// Answer to the service's names on its networks
    #[arg(long)]
    use_aliases: bool,

    /// Another user (in a container)
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,

    /// Mount a directory: ./here:/there (in a container)
    #[arg(short, long, value_name = "MOUNT")]
    volume: Vec<String>,

    /// Another directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,

    /// Service
    #[arg(value_name = "SERVICE", add = complete::services())]
    service: String,

    /// What the service does not set is as it is here.
    #[arg(skip)]
    callers_environment: bool,

    /// Command and arguments [default: the service's own]
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

impl Run {
    /// `test`: a command of this caller's, beside a copy: in its own directory, with its own environment under the service's.
    pub(super) fn beside(service: &str, command: Vec<String>, env: Vec<String>) -> Self {
        Self {
            service: service.to_owned(),
            command,
            env,
            no_deps: true,
            callers_environment: true,
            ..Self::default()
        }
    }

    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of([&self.service])?;
        if context.global.dry_run {
            return self.told(context, &project);
        }
        context.block_on(async {
            let mut client = client::find_or_start(&project).await?;
            self.neighbours(context, &project, &mut client).await?;
            let request = InsideRequest {
                service: self.service.clone(),
                index: 1,
            };
            let inside = client.inside(request).await?.into_inner();
            match inside.runtime.as_str() {
                "docker" => self.container(&mut client).await,
                "native" | "external" => self.process(context, &project, inside).await,
                other => Err(Error::Unmet {
                    what: format!(
                        "`{}` is {}: there is no command of its own to run",
                        self.service,
                        spoken(other)
                    ),
                    help: Some(format!("`devctl exec {} COMMAND` runs one beside it", self.service)),
                }),
            }
        })
    }

    /// `--dry-run`.
    fn told(&self, context: &Context, project: &Project) -> Result<Exit, Error> {
        let service = std::slice::from_ref(&self.service);
        let needs = super::pull::reach(project, service, !self.no_deps);
        let needs = needs.iter().filter(|name| **name != self.service);
        let mut steps: Vec<Step> = needs
            .map(|name| Step::new("start", name).because("unless it runs already"))
            .collect();
        let words = match self.command.as_slice() {
            [] => "its own command".to_owned(),
            words => format!("`{}`", shell_words::join(words)),
        };
        steps.push(Step::new("run", words).because(format!("in place of {}'s own", self.service)));
        dry::tell(context, &steps)
    }

    /// What the service needs is brought up; its ways to its neighbours are made, whether it runs itself or not.
    async fn neighbours(
        &self,
        context: &Context,
        project: &Project,
        client: &mut devctl_wire::Client,
    ) -> Result<(), Error> {
        let needs: Vec<String> = match project.model.services.get(&self.service) {
            Some(service) if !self.no_deps => service.depends_on.keys().cloned().collect(),
            _ => Vec::new(),
        };
        let starts = !needs.is_empty();
        let request = UpRequest {
            source: Some(context.source(project)),
            services: if starts { needs } else { vec![self.service.clone()] },
            wait: true,
            no_deps: !starts,
            no_start: !starts,
            pull: self.pull.clone().unwrap_or_default(),
            remove_orphans: self.remove_orphans,
            ..UpRequest::default()
        };
        let mut updates = client.up(request).await?.into_inner();
        while let Some(update) = updates.next().await {
            match update?.what {
                Some(What::Notice(notice))
                    if notice.level() != Level::Info && !(context.global.quiet || self.quiet) =>
                {
                    writeln!(io::stderr(), "{}  {}", notice.node, notice.text)?;
                }
                Some(What::Outcome(outcome)) => return judge(outcome),
                _ => {}
            }
        }
        Ok(())
    }

    async fn container(&self, client: &mut devctl_wire::Client) -> Result<Exit, Error> {
        let tty = !self.no_tty && !self.detach && foreground::has_terminal();
        let request = OneOffRequest {
            service: self.service.clone(),
            command: self.command.clone(),
            entrypoint: self.entrypoint.clone().unwrap_or_default(),
            environment: self
                .variables()?
                .into_iter()
                .map(|(key, value)| KeyValue { key, value })
                .collect(),
            user: self.user.clone().unwrap_or_default(),
            directory: self.workdir.clone().unwrap_or_default(),
            name: self.name.clone().unwrap_or_default(),
            volumes: self.volume.iter().map(|mount| absolute(mount)).collect(),
            publish: self.publish.clone(),
            service_ports: self.service_ports,
            tty,
            stdin: !self.detach,
            labels: self.label.iter().map(|label| split(label)).collect(),
            use_aliases: self.use_aliases,
            cap_add: self.cap_add.clone(),
            cap_drop: self.cap_drop.clone(),
        };
        let id = client.one_off(request).await?.into_inner().container;
        let engine = standing::engine().await?;
        if self.detach {
            engine.start(&id).await.map_err(|error| standing::refused(&error))?;
            writeln!(io::stdout(), "{id}")?;
            return Ok(Exit::Ok);
        }
        let ended = self.attached(&engine, &id, tty).await;
        if self.rm || ended.is_err() {
            let _gone = engine.remove(&id, true).await;
        }
        ended
    }

    async fn attached(&self, engine: &Engine, id: &str, tty: bool) -> Result<Exit, Error> {
        let refused = |error: DockerError| standing::refused(&error);
        // Attached first: nothing that it prints is missed.
        let attached = engine.attach(id, true).await.map_err(refused)?;
        engine.start(id).await.map_err(refused)?;
        let wiring = Wiring {
            tty,
            stdin: true,
            detach: None,
        };
        // It hears signals as a process in the foreground would; a second one of them ends it.
        let mut heard = 0;
        let ended = foreground::converse(attached, wiring, async |signal: Signal| {
            heard += 1;
            heard < 2 && engine.kill(id, signal.as_str()).await.is_ok()
        });
        let ended = ended.await?;
        if let Ended::Signal(_) = ended {
            let _gone = engine.kill(id, "SIGKILL").await;
        }
        Ok(ended.exit())
    }

    async fn process(&self, context: &Context, project: &Project, mut inside: InsideReply) -> Result<Exit, Error> {
        let only_inside = [
            (self.user.is_some(), "--user"),
            (!self.volume.is_empty(), "--volume"),
            (
                !self.cap_add.is_empty() || !self.cap_drop.is_empty(),
                "--cap-add and --cap-drop",
            ),
        ];
        if let Some((_, flag)) = only_inside.into_iter().find(|(given, _)| *given) {
            return Err(Error::usage(
                format!("`{}` runs as a process, for which `{flag}` means nothing", self.service),
                format!("`--runtime {}=docker` runs it in a container", self.service),
            ));
        }
        let own = native_command(project, &self.service, &inside);
        let words: Vec<String> = match (&self.entrypoint, self.command.is_empty()) {
            (Some(entrypoint), _) => std::iter::once(entrypoint.clone())
                .chain(self.command.iter().cloned())
                .collect(),
            (None, false) => self.command.clone(),
            (None, true) => own.clone(),
        };
        let program = own.first().map(|program| Path::new(&inside.directory).join(program));
        let is_missing = program.is_some_and(|path| own[0].contains('/') && !path.exists());
        if (self.build || is_missing)
            && let Some(service) = project.model.services.get(&self.service)
        {
            super::build::program(project, service, context.global.quiet || self.quiet).await?;
        }
        if inside.runtime == "external" && inside.directory.is_empty() {
            inside.directory = project.directory.display().to_string();
        }
        let ports = self.ports(&inside)?;
        let mut command = exec::command(&inside, &words)?;
        if self.callers_environment {
            let is_set = |name: &OsString| inside.environment.iter().any(|pair| name == pair.key.as_str());
            command.envs(std::env::vars_os().filter(|(name, _)| !is_set(name)));
        }
        command.envs(ports).envs(self.variables()?);
        if let Some(dir) = &self.workdir {
            command.current_dir(Path::new(&inside.directory).join(dir));
        }
        if self.detach {
            command
                .stdin(std::process::Stdio::null())
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null());
            let child = command.process_group(0).spawn().map_err(|source| Error::Io {
                doing: format!("run `{}`", words.join(" ")),
                source,
                help: None,
            })?;
            writeln!(io::stdout(), "{}", child.id().unwrap_or_default())?;
            return Ok(Exit::Ok);
        }
        foreground::process(command).await
    }

    /// Those of files first, so that a flag wins over them.
    fn variables(&self) -> Result<Vec<(String, String)>, Error> {
        let environment = standing::environment();
        let mut all = Vec::new();
        for path in &self.env_from_file {
            let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
                doing: format!("read `{}`", path.display()),
                source,
                help: None,
            })?;
            let found = devctl_compose::parse_env_file(&text, &environment).map_err(|what| Error::Unmet {
                what: format!("failed to read `{}`: {what}", path.display()),
                help: None,
            })?;
            all.extend(found);
        }
        all.extend(variables(&self.env));
        Ok(all)
    }

    /// A port of its own for each that the service has: the service itself may be running.
    fn ports(&self, inside: &InsideReply) -> Result<Vec<(String, String)>, Error> {
        let mut ports = Vec::new();
        for port in inside.ports.iter().filter(|port| !port.variable.is_empty()) {
            let published = self.publish.iter().find_map(|written| {
                let (host, target) = written.rsplit_once(':')?;
                (target.parse() == Ok(port.port)).then(|| host.rsplit(':').next().unwrap_or(host).to_owned())
            });
            let number = match published {
                Some(number) => number,
                None => free_port()?.to_string(),
            };
            ports.push((port.variable.clone(), number));
        }
        Ok(ports)
    }
}

/// The service's own command, where the daemon does not tell it: one that runs elsewhere has it in the file alone.
fn native_command(project: &Project, service: &str, inside: &InsideReply) -> Vec<String> {
    if !inside.command.is_empty() {
        return inside.command.clone();
    }
    let service = project.model.services.get(service);
    service
        .and_then(|service| service.x_devctl.native.as_ref()?.command.clone())
        .unwrap_or_default()
}

fn free_port() -> Result<u16, Error> {
    let bound = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|source| Error::Io {
        doing: "find a free port".into(),
        source,
        help: None,
    })
}

fn spoken(runtime: &str) -> &'static str {
    match runtime {
        "postgres" => "this machine's own PostgreSQL",
        "rabbitmq" => "this machine's own RabbitMQ",
        _ => "answered from contracts",
    }
}

fn judge(outcome: v1::Outcome) -> Result<(), Error> {
    match outcome.result() {
        v1::Result::Invalid => {
            let diagnostics = outcome.diagnostics.into_iter().map(|one| one.text).collect();
            Err(ProjectError::Invalid { diagnostics }.into())
        }
        v1::Result::Failed | v1::Result::TimedOut => {
            let first = outcome.failures.into_iter().next().unwrap_or_default();
            Err(Error::Unmet {
                what: format!("`{}` is needed and failed: {}", first.node, first.what),
                help: Some(if first.help.is_empty() {
                    "`devctl logs` shows what it printed".to_owned()
                } else {
                    first.help
                }),
            })
        }
        _ => Ok(()),
    }
}

/// `./here:/there` from this directory, not from the daemon's; a volume's name stays one.
fn absolute(mount: &str) -> String {
    let (source, rest) = match mount.split_once(':') {
        Some((source, rest)) => (source, format!(":{rest}")),
        None => (mount, String::new()),
    };
    let is_path = source.starts_with(['/', '.', '~']);
    match std::path::absolute(source) {
        Ok(path) if is_path => format!("{}{rest}", path.components().collect::<std::path::PathBuf>().display()),
        _ => mount.to_owned(),
    }
}

fn split(label: &str) -> (String, String) {
    let (name, value) = label.split_once('=').unwrap_or((label, ""));
    (name.to_owned(), value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_start_from_here() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute("./x:/y:ro"), format!("{}/x:/y:ro", here.display()));
        assert_eq!(absolute("data:/y"), "data:/y");
        assert_eq!(absolute("/a:/b"), "/a:/b");
    }
}
