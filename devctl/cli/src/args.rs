//! The command line: global flags, and one type per verb (each in the verb's own file).
//!
//! Names and meanings are Docker Compose's wherever it has the flag. `-f`, `-p`, `-q` and `--format` stand before the verb, because after
//! it they are the verb's own (`logs -f`, `ps -q`, `config --format`); long flags without such a clash may stand on either side.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use devctl_wire::v1;

use crate::command;
use crate::complete;

/// Run a whole microservice system from its Compose file.
#[derive(Debug, Parser)]
#[command(
    name = "devctl",
    version,
    about = "Run a whole microservice system from its Compose file",
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Exit status: 0 all well · 1 something of the project failed · 2 devctl could not run · 130 interrupted"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every verb understands.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Global {
    /// Compose file; may be given several times [default: as Compose looks for it]
    #[arg(short, long = "file", value_name = "FILE", value_hint = clap::ValueHint::FilePath, help_heading = "Project")]
    pub(crate) files: Vec<String>,

    /// Project name; `-p NAME` before the verb
    #[arg(long, value_name = "NAME", global = true, help_heading = "Project")]
    pub(crate) project_name: Option<String>,

    // Not behind the verb, where it is the verb's own: `run -p 8080:80`.
    /// Project name
    #[arg(short = 'p', value_name = "NAME", hide = true)]
    pub(crate) project_name_short: Option<String>,

    /// Directory that relative paths start from [default: that of the first Compose file]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, global = true, help_heading = "Project")]
    pub(crate) project_directory: Option<PathBuf>,

    /// Profile to enable; may be given several times
    #[arg(long = "profile", value_name = "PROFILE", global = true, help_heading = "Project")]
    pub(crate) profiles: Vec<String>,

    /// Environment file in place of `.env`; may be given several times
    #[arg(long = "env-file", value_name = "FILE", value_hint = clap::ValueHint::FilePath, global = true, help_heading = "Project")]
    pub(crate) env_files: Vec<PathBuf>,

    /// How services run: `auto`, `docker` or `native`; for one service `SERVICE=docker`; may be given several times [default: auto]
    #[arg(
        long = "runtime",
        value_name = "[SERVICE=]RUNTIME",
        value_parser = RuntimeFor::parse,
        value_delimiter = ',',
        env = "DEVCTL_RUNTIME",
        global = true,
        help_heading = "Project"
    )]
    pub(crate) runtimes: Vec<RuntimeFor>,

    /// A name, container name or port that is taken is an error, instead of a suffix or another port
    #[arg(long, global = true, help_heading = "Project")]
    pub(crate) strict_names: bool,

    /// Say what would be done, and do nothing
    #[arg(long, global = true, help_heading = "Project")]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) compose: Compose,

    /// How to talk [default: tty on a terminal, else plain]
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        env = "DEVCTL_FORMAT",
        help_heading = "Output"
    )]
    pub(crate) format: Option<Format>,

    /// Say nothing but errors and what was asked for
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,

    /// When to colour; NO_COLOR, CLICOLOR and CLICOLOR_FORCE are heeded
    #[arg(long, value_name = "WHEN", value_enum, global = true, help_heading = "Output")]
    pub(crate) color: Option<ColorChoice>,
}

/// Docker Compose's global flags that devctl has other words for, or needs none for.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Compose {
    /// Control characters: never, always, auto; `--color` here
    #[arg(long, value_name = "WHEN", hide = true, value_enum)]
    pub(crate) ansi: Option<ColorChoice>,

    /// How progress is shown; `--format` here
    #[arg(long, value_name = "TYPE", hide = true, value_parser = ["auto", "tty", "plain", "json", "quiet", "rawjson"])]
    pub(crate) progress: Option<String>,

    /// How many calls at once: as many as there are to make
    #[arg(long, value_name = "NUM", hide = true, allow_negative_numbers = true)]
    pub(crate) parallel: Option<i32>,

    /// Names with `_` as of old: not supported
    #[arg(long, hide = true)]
    pub(crate) compatibility: bool,

    /// Networks, volumes and the like that no service uses
    #[arg(long, hide = true)]
    pub(crate) all_resources: bool,
}

/// `--runtime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// A process where the service says how, a container where an engine answers, the machine's own servers otherwise
    Auto,
    /// Containers
    Docker,
    /// Processes and the machine's own servers
    Native,
}

/// One `--runtime`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeFor {
    /// None: every service without one of its own.
    service: Option<String>,
    runtime: Runtime,
}

impl RuntimeFor {
    fn parse(written: &str) -> Result<Self, String> {
        let (service, runtime) = match written.split_once('=') {
            Some((service, runtime)) => (Some(service.to_owned()), runtime),
            None => (None, written),
        };
        let runtime = Runtime::from_str(runtime, true).map_err(|_| {
            format!("`{runtime}` is none of `auto`, `docker`, `native` (for one service: `SERVICE=docker`)")
        })?;
        Ok(Self { service, runtime })
    }
}

impl fmt::Display for RuntimeFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(service) = &self.service {
            write!(f, "{service}=")?;
        }
        let written = self.runtime.to_possible_value();
        f.write_str(written.as_ref().map_or("auto", clap::builder::PossibleValue::get_name))
    }
}

impl Runtime {
    /// Its word in the API.
    pub(crate) fn to_wire(self) -> v1::Runtime {
        match self {
            Self::Auto => v1::Runtime::Auto,
            Self::Docker => v1::Runtime::Docker,
            Self::Native => v1::Runtime::Native,
        }
    }
}

impl Global {
    /// What was asked for every service that was not named; the last one counts.
    pub(crate) fn runtime(&self) -> Runtime {
        let all = self.runtimes.iter().filter(|one| one.service.is_none());
        all.map(|one| one.runtime).next_back().unwrap_or(Runtime::Auto)
    }

    /// What was asked for this service.
    pub(crate) fn runtime_of(&self, service: &str) -> Runtime {
        let own = self
            .runtimes
            .iter()
            .filter(|one| one.service.as_deref() == Some(service));
        own.map(|one| one.runtime).next_back().unwrap_or_else(|| self.runtime())
    }

    /// What was asked for services by their names, in the API's words.
    pub(crate) fn named_runtimes(&self) -> HashMap<String, i32> {
        let own = self
            .runtimes
            .iter()
            .filter_map(|one| Some((one.service.clone()?, one.runtime)));
        own.map(|(service, runtime)| (service, runtime.to_wire().into()))
            .collect()
    }
}

/// `--format` of the talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Live lines
    Tty,
    /// Lines without control characters
    Plain,
    /// One JSON object per line
    Json,
}

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// `--format` behind a verb that has no format of its own.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct TalkFormat {
    /// How to talk, as before the verb
    #[arg(id = "verb_format", long = "format", value_name = "FORMAT", value_enum)]
    pub(crate) format: Option<Format>,
}

/// Services named on the command line.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Services {
    /// Services [default: all]
    #[arg(value_name = "SERVICE", add = complete::services())]
    pub(crate) services: Vec<String>,
}

/// The verbs, in the order of a day's work. What each says of itself in the list of all stands here; its flags are made only when it is
/// the one that was asked for.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Create and start services, and follow their logs; Ctrl-C takes them down
    Up(Box<command::up::Up>),
    /// Stop and remove services
    Down(command::down::Down),
    /// List services
    Ps(command::ps::Ps),
    /// Print what services printed
    Logs(command::logs::Logs),
    /// Start services that were stopped
    Start(command::start::Start),
    /// Stop services without removing them
    Stop(command::stop::Stop),
    /// Restart services
    Restart(command::restart::Restart),
    /// Send services a signal
    Kill(command::kill::Kill),
    /// Hold services still: they keep their memory and their connections, and do nothing
    Pause(command::pause::Pause),
    /// Let services go on that were paused
    Unpause(command::pause::Unpause),
    /// Wait until services have ended, and print their exit statuses; the last one's is devctl's own
    Wait(command::wait::Wait),
    /// Remove services that are stopped
    Rm(command::rm::Rm),
    /// Make services ready without starting them: containers, networks, volumes, builds
    Create(Box<command::create::Create>),
    /// Set how many replicas of services run
    Scale(command::scale::Scale),
    /// Follow what is rebuilt and reloaded as files change; Ctrl-C leaves everything running
    Watch(command::watch::Watch),
    /// List all projects that run: devctl's, and Docker Compose's on the engine
    Ls(command::ls::Ls),
    /// List what services run from: the images of containers, the programs of processes
    Images(command::images::Images),
    /// List the project's volumes, and the data of servers that run as processes
    Volumes(command::volumes::Volumes),
    /// Print the public address of a service's port
    Port(command::port::Port),
    /// Run a command in a service's container, or beside its process: in its directory, with its environment
    Exec(command::exec::Exec),
    /// Show what a service prints from now on, and hand it what is typed, and signals
    Attach(command::attach::Attach),
    /// Run one command in place of a service's own; what the service depends on is started first
    Run(Box<command::run::Run>),
    /// Run a command, such as a test suite, beside a copy of the project that is made for it and removed with its data when it ends
    Test(command::test::Test),
    /// Build services: their images, or what they are run from
    Build(command::build::Build),
    /// Pull the images of services
    Pull(command::pull::Pull),
    /// Push the images that services are built into
    Push(command::push::Push),
    /// Make an image of a service's container as it is now
    Commit(command::commit::Commit),
    /// Write every file of a service's container into a tar archive
    Export(command::export::Export),
    /// Copy files between a service and this machine
    Cp(command::cp::Cp),
    /// Show the processes of services
    Top(command::top::Top),
    /// Show what services use of the machine: CPU, memory, network, disk
    Stats(command::stats::Stats),
    /// Work with a service's PostgreSQL: a shell, its data reset or seeded
    Db(command::db::Db),
    /// Print the environment that a service is run with, to run it in an IDE: secrets included
    Env(command::env::Env),
    /// Remove what devctl made and nobody uses any more: of projects whose directories are gone, and images without a name
    Prune(command::prune::Prune),
    /// Follow what happens to the project's services
    Events(command::events::Events),
    /// List the ways between services: target, requests, errors, latency, bytes
    Edges(command::edges::Edges),
    /// Show what goes over the edges
    Traffic(command::traffic::Traffic),
    /// Put faults on edges, list them, take them off
    Fault(command::fault::Fault),
    /// Start each provider alone and replay what its consumers expect of it
    Verify(Box<command::verify::Verify>),
    /// Answer services from contracts
    Stub(command::stub::Stub),
    /// Let services that were answered from contracts answer for themselves again
    Unstub(command::stub::Unstub),
    /// See what services promise each other, and whether the consumers' tests still say so
    Contracts(command::contracts::Contracts),
    /// Check the Compose files and print what they mean
    Config(Box<command::config::Config>),
    /// Print the graph: who depends on whom, and the ways between services while they are up
    Graph(command::graph::Graph),
    /// Say why services are not running, or how they came up
    Why(command::why::Why),
    /// Say what is there to run the project with, what is missing, and what to do about it
    Doctor(command::doctor::Doctor),
    /// Print the JSON Schema of `x-devctl`
    Schema(command::schema::Schema),
    /// Print a completion script; for bash: `source <(devctl completions bash)`
    Completions(command::completions::Completions),
    /// Print the manual page: `devctl man | man -l -`
    Man(command::man::Man),
    /// Show the version
    Version(command::version::Version),
    /// Docker Compose's own, and not devctl's: said in words.
    #[command(hide = true)]
    Publish(command::elsewhere::Elsewhere),
    /// Docker Compose's own, and not devctl's: said in words.
    #[command(hide = true)]
    Bridge(command::elsewhere::Elsewhere),
    /// The daemon's parent; started by devctl itself.
    #[command(name = "__guardian", hide = true)]
    Guardian(command::guardian::Guardian),
    /// The project's daemon; started by its guardian.
    #[command(name = "__daemon", hide = true)]
    Daemon(command::daemon::Daemon),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    /// What a verb says of itself stands twice: in the list of all, and where its flags are made.
    #[test]
    fn the_list_of_verbs_says_what_each_verb_says() {
        let about = |command: &clap::Command| -> Vec<(String, Option<String>)> {
            let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
            verbs
                .map(|verb| (verb.get_name().to_owned(), verb.get_about().map(ToString::to_string)))
                .filter(|(name, _)| name != "help")
                .collect()
        };
        let listed = Cli::command();
        let mut made = Cli::command();
        made.build();
        assert!(about(&listed).iter().all(|(_, about)| about.is_some()));
        assert_eq!(about(&listed), about(&made));
    }
}
