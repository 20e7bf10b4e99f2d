//! `exec`: a command where a service stands: in its container, or in its directory with its environment.

use clap::Args;
use devctl_drivers::docker::ExecSpec;
use devctl_wire::v1::InsideReply;

use crate::complete;
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;
use crate::foreground::{self, Wiring};
use crate::standing::{self, Container, Standing};

/// Run a command in a service's container, or beside its process: in its directory, with its environment
#[derive(Args, Debug)]
pub(crate) struct Exec {
    /// Leave it running in the background
    #[arg(short, long)]
    detach: bool,

    /// Set a variable: NAME=VALUE, or NAME for this environment's own value
    #[arg(short, long = "env", value_name = "NAME=VALUE")]
    env: Vec<String>,

    /// Which replica
    #[arg(long, default_value_t = 1)]
    index: u32,

    /// No terminal for the command [default: a terminal where this is one]
    #[arg(short = 'T', long = "no-tty", alias = "no-TTY")]
    no_tty: bool,

    /// Every capability (in a container)
    #[arg(long)]
    privileged: bool,

    /// Another user (in a container)
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,

    /// Another directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,

    /// Keep stdin open (it is)
    #[arg(short, long, hide = true)]
    interactive: bool,

    /// A terminal (it gets one)
    #[arg(short, long, hide = true)]
    tty: bool,

    /// Service
    #[arg(value_name = "SERVICE", add = complete::services())]
    service: String,

    /// Command and arguments
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<String>,
}

impl Exec {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of([&self.service])?;
        context.block_on(async {
            let standing = standing::running(&project, &self.service, self.index).await?;
            if context.global.dry_run {
                let place = match &standing {
                    Standing::Container(_) => format!("in the container of {}", self.service),
                    _ => format!("beside the process of {}", self.service),
                };
                let words = shell_words::join(&self.command);
                return dry::tell(context, &[Step::new("run", format!("`{words}`")).because(place)]);
            }
            match standing {
                Standing::Container(container) => self.in_container(&container).await,
                Standing::Process(inside) => self.beside(&inside).await,
                Standing::Idle(_) | Standing::Nowhere => Ok(Exit::CouldNotRun),
            }
        })
    }

    async fn in_container(&self, container: &Container) -> Result<Exit, Error> {
        let spec = ExecSpec {
            command: self.command.clone(),
            env: variables(&self.env)
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            user: self.user.clone(),
            working_dir: self.workdir.clone(),
            privileged: self.privileged,
        };
        let refused = |error: devctl_drivers::docker::DockerError| standing::refused(&error);
        if self.detach {
            container
                .engine
                .exec_detached(&container.id, &spec)
                .await
                .map_err(refused)?;
            return Ok(Exit::Ok);
        }
        let tty = !self.no_tty && foreground::has_terminal();
        let attached = container
            .engine
            .exec_attached(&container.id, &spec, tty, true)
            .await
            .map_err(refused)?;
        let wiring = Wiring {
            tty,
            stdin: true,
            detach: None,
        };
        // Without a terminal of its own the command cannot hear Ctrl-C: the conversation ends.
        Ok(foreground::converse(attached, wiring, async |_| false).await?.exit())
    }

    async fn beside(&self, inside: &InsideReply) -> Result<Exit, Error> {
        if let Some(user) = &self.user {
            return Err(Error::usage(
                format!(
                    "`{}` runs as a process: a command beside it runs as you, not as `{user}`",
                    self.service
                ),
                "leave out `--user`",
            ));
        }
        let mut command = command(inside, &self.command)?;
        command.envs(variables(&self.env));
        if let Some(dir) = &self.workdir {
            command.current_dir(std::path::Path::new(&inside.directory).join(dir));
        }
        if self.detach {
            command
                .stdin(std::process::Stdio::null())
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null());
            command.process_group(0);
            command.spawn().map_err(|source| Error::Io {
                doing: format!("run `{}`", self.command[0]),
                source,
                help: None,
            })?;
            return Ok(Exit::Ok);
        }
        foreground::process(command).await
    }
}

/// A command of this machine, as a service's own process would be run. Beside a PostgreSQL, `psql` needs no arguments.
pub(crate) fn command(inside: &InsideReply, words: &[String]) -> Result<tokio::process::Command, Error> {
    let (program, args) = words
        .split_first()
        .ok_or_else(|| Error::usage("there is no command", "name one behind the service"))?;
    let path = inside
        .environment
        .iter()
        .find(|pair| pair.key == "PATH")
        .map(|pair| pair.value.as_str());
    let found = match program.contains('/') {
        true => Some(std::path::Path::new(&inside.directory).join(program)),
        false => devctl_drivers::process::find_program(program, path.unwrap_or("/usr/local/bin:/usr/bin:/bin")),
    };
    let mut command = tokio::process::Command::new(found.unwrap_or_else(|| program.into()));
    command
        .args(args)
        .env_clear()
        .envs(inside.environment.iter().map(|pair| (&pair.key, &pair.value)));
    // A terminal's own kind is this one's.
    command.envs(
        ["TERM", "COLORTERM"]
            .into_iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?))),
    );
    if !inside.directory.is_empty() {
        command.current_dir(&inside.directory);
    }
    if let Some(login) = &inside.postgres {
        command
            .env("PGHOST", &login.host)
            .env("PGPORT", login.port.to_string())
            .env("PGUSER", &login.user)
            .env("PGPASSWORD", &login.password)
            .env("PGDATABASE", &login.database);
    }
    Ok(command)
}

/// `NAME=VALUE`, or `NAME` for this environment's own value (nothing where it has none).
pub(crate) fn variables(written: &[String]) -> Vec<(String, String)> {
    written
        .iter()
        .filter_map(|entry| match entry.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => Some((entry.clone(), std::env::var(entry).ok()?)),
        })
        .collect()
}
