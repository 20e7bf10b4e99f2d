//! The devctl command: reads the command line, runs one verb, and ends with its status.

mod args;
mod ask;
mod client;
mod command;
mod complete;
mod containers;
mod context;
mod dry;
mod error;
mod exit;
mod foreground;
mod project;
mod render;
mod session;
mod spawn;
mod standing;
mod suggest;
mod terminal;
mod time;
mod typed;
mod verifications;

use std::ffi::OsString;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches};

use crate::args::{Cli, Command, Global};
use crate::command::completions;
use crate::command::config::Config;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

fn main() -> ExitCode {
    clap_complete::CompleteEnv::with_factory(Cli::command)
        .var(completions::VARIABLE)
        .complete();
    let args: Vec<OsString> = std::env::args_os().collect();
    let cli = match config_alone(&args).map_or_else(|| parse(&args), Ok) {
        Ok(cli) => cli,
        Err(err) => return usage(&err),
    };
    if let Err(err) = refused(&cli.global.compose) {
        let _ = write!(io::stderr(), "{}", err.render(render::style::Style::default()));
        return err.exit().into();
    }
    let context = Context::new(cli.global, verb_format(&cli.command));
    match run(cli.command, &context) {
        Ok(exit) => exit.into(),
        Err(err) => {
            if !err.is_silent() {
                // Nobody can be told that nobody can be told.
                let _ = write!(io::stderr(), "{}", err.render(context.terminal.err));
            }
            err.exit().into()
        }
    }
}

/// Reads the command line. What it is read with is left as it is: to take it apart is a tenth of what `devctl config` takes.
fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = ManuallyDrop::new(Cli::command());
    let mut matches = command.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|err| err.format(&mut command))
}

/// Reads `devctl config`, which editors and scripts ask for many files, without laying out the fifty other verbs: that would be a
/// third of the whole. None: another verb, or one of the cases that the whole grammar has words for (help, a mistake).
fn config_alone(args: &[OsString]) -> Option<Cli> {
    if !args.iter().any(|arg| arg == "config") {
        return None;
    }
    let verb = Config::augment_args(clap::Command::new("config"));
    let command = Global::augment_args(clap::Command::new("devctl")).subcommand(verb);
    let mut matches = ManuallyDrop::new(command).try_get_matches_from_mut(args).ok()?;
    let (_, mut of_verb) = matches.remove_subcommand()?;
    Some(Cli {
        global: Global::from_arg_matches_mut(&mut matches).ok()?,
        command: Command::Config(Box::new(Config::from_arg_matches_mut(&mut of_verb).ok()?)),
    })
}

fn run(command: Command, context: &Context) -> Result<Exit, Error> {
    match command {
        Command::Up(verb) => verb.run(context),
        Command::Down(verb) => verb.run(context),
        Command::Ps(verb) => verb.run(context),
        Command::Logs(verb) => verb.run(context),
        Command::Start(verb) => verb.run(context),
        Command::Stop(verb) => verb.run(context),
        Command::Restart(verb) => verb.run(context),
        Command::Kill(verb) => verb.run(context),
        Command::Pause(verb) => verb.run(context),
        Command::Unpause(verb) => verb.run(context),
        Command::Wait(verb) => verb.run(context),
        Command::Rm(verb) => verb.run(context),
        Command::Create(verb) => verb.run(context),
        Command::Scale(verb) => verb.run(context),
        Command::Watch(verb) => verb.run(context),
        Command::Ls(verb) => verb.run(context),
        Command::Images(verb) => verb.run(context),
        Command::Volumes(verb) => verb.run(context),
        Command::Push(verb) => verb.run(context),
        Command::Commit(verb) => verb.run(context),
        Command::Export(verb) => verb.run(context),
        Command::Publish(verb) => verb.refuse(
            "publish",
            "`docker compose publish` does; `devctl push` pushes the images",
        ),
        Command::Bridge(verb) => verb.refuse("bridge", "`docker compose bridge` does"),
        Command::Port(verb) => verb.run(context),
        Command::Exec(verb) => verb.run(context),
        Command::Attach(verb) => verb.run(context),
        Command::Test(verb) => verb.run(context),
        Command::Build(verb) => verb.run(context),
        Command::Pull(verb) => verb.run(context),
        Command::Cp(verb) => verb.run(context),
        Command::Top(verb) => verb.run(context),
        Command::Stats(verb) => verb.run(context),
        Command::Env(verb) => verb.run(context),
        Command::Run(verb) => verb.run(context),
        Command::Db(verb) => verb.run(context),
        Command::Prune(verb) => verb.run(context),
        Command::Events(verb) => verb.run(context),
        Command::Edges(verb) => verb.run(context),
        Command::Traffic(verb) => verb.run(context),
        Command::Fault(verb) => verb.run(context),
        Command::Verify(verb) => verb.run(context),
        Command::Stub(verb) => verb.run(context),
        Command::Unstub(verb) => verb.run(context),
        Command::Contracts(verb) => verb.run(context),
        Command::Config(verb) => verb.run(context),
        Command::Graph(verb) => verb.run(context),
        Command::Why(verb) => verb.run(context),
        Command::Doctor(verb) => verb.run(context),
        Command::Schema(verb) => verb.run(),
        Command::Completions(verb) => verb.run(),
        Command::Man(verb) => verb.run(),
        Command::Version(verb) => verb.run(),
        Command::Guardian(verb) => verb.run(context),
        Command::Daemon(verb) => verb.run(context),
    }
}

/// What Docker Compose can be told and devctl not: said in words, instead of an unknown flag.
fn refused(compose: &args::Compose) -> Result<(), Error> {
    match (compose.compatibility, compose.all_resources) {
        (true, _) => Err(Error::usage(
            "`--compatibility` is not supported",
            "names are as Docker Compose has them since version 2: leave it out",
        )),
        (_, true) => Err(Error::usage(
            "`--all-resources` is not supported",
            "what no service uses is not made: leave it out",
        )),
        _ => Ok(()),
    }
}

/// `--format` behind the verb, where the verb has none of its own.
fn verb_format(command: &Command) -> Option<args::Format> {
    match command {
        Command::Up(verb) => verb.talk.format,
        Command::Down(verb) => verb.talk.format,
        Command::Logs(verb) => verb.talk.format,
        Command::Start(verb) => verb.talk.format,
        Command::Stop(verb) => verb.talk.format,
        Command::Restart(verb) => verb.talk.format,
        Command::Kill(verb) => verb.talk.format,
        Command::Pause(verb) => verb.talk.format,
        Command::Unpause(verb) => verb.talk.format,
        Command::Rm(verb) => verb.talk.format,
        Command::Create(verb) => verb.talk.format,
        Command::Scale(verb) => verb.talk.format,
        Command::Watch(verb) => verb.talk.format,
        Command::Events(verb) => verb.talk.format,
        Command::Why(verb) => verb.talk.format,
        Command::Verify(verb) => verb.talk.format,
        Command::Doctor(verb) => verb.talk.format,
        Command::Ps(_)
        | Command::Port(_)
        | Command::Wait(_)
        | Command::Ls(_)
        | Command::Images(_)
        | Command::Volumes(_)
        | Command::Push(_)
        | Command::Commit(_)
        | Command::Export(_)
        | Command::Publish(_)
        | Command::Bridge(_)
        | Command::Exec(_)
        | Command::Attach(_)
        | Command::Test(_)
        | Command::Build(_)
        | Command::Pull(_)
        | Command::Cp(_)
        | Command::Top(_)
        | Command::Stats(_)
        | Command::Env(_)
        | Command::Run(_)
        | Command::Db(_)
        | Command::Prune(_)
        | Command::Edges(_)
        | Command::Traffic(_)
        | Command::Fault(_)
        | Command::Stub(_)
        | Command::Unstub(_)
        | Command::Contracts(_)
        | Command::Config(_)
        | Command::Graph(_)
        | Command::Schema(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Version(_)
        | Command::Guardian(_)
        | Command::Daemon(_) => None,
    }
}

/// Help and version are answers, anything else that clap says is bad usage.
fn usage(err: &clap::Error) -> ExitCode {
    let written = err.print();
    match (written, err.use_stderr()) {
        (Err(_), _) => Exit::ClosedPipe.into(),
        (Ok(()), true) => Exit::CouldNotRun.into(),
        (Ok(()), false) => Exit::Ok.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(line: &str) -> (Option<String>, Option<String>) {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let told = |cli: Cli| format!("{cli:?}");
        (config_alone(&args).map(told), parse(&args).ok().map(told))
    }

    #[test]
    fn config_alone_means_what_it_means_among_all_verbs() {
        for line in [
            "devctl config",
            "devctl -f a.yaml -f b.yaml -p shop config --format json -q web",
            "devctl --profile a config --profile b --env-file e --runtime docker,db=native",
            "devctl --dry-run --format json config --services",
            "devctl -f config config -o config",
            "devctl config config",
        ] {
            let (alone, among_all) = alone(line);
            assert!(alone.is_some(), "{line}");
            assert_eq!(alone, among_all, "{line}");
        }
    }

    #[test]
    fn everything_else_is_for_the_whole_grammar() {
        for line in [
            "devctl ps",
            "devctl run web config",
            "devctl -f config ps",
            "devctl config --help",
            "devctl config --frmat json",
            "devctl --version config",
            "devctl config --services --images",
        ] {
            assert_eq!(alone(line).0, None, "{line}");
        }
    }
}
