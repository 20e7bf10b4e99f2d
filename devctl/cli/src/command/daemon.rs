//! `__daemon`: the project's daemon. Its standard output is a pipe to the client that started it; see `spawn.rs` for what is said there.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Args;
use devctl_daemon::{DaemonArgs, DaemonError};
use devctl_drivers::dirs::{Dirs, Places};

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// The project's daemon; its name and directory are the global flags'
#[derive(Args, Clone, Debug)]
pub(crate) struct Daemon {
    /// The project's id, so that it can be told from others in a list of processes
    #[arg(long)]
    project_id: String,
}

impl Daemon {
    /// The arguments that make another process the same daemon.
    pub(crate) fn args(&self, context: &Context) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["__daemon".into(), "--project-id".into(), self.project_id.clone().into()];
        if let Some(name) = &context.global.project_name {
            args.extend(["--project-name".into(), name.into()]);
        }
        if let Some(directory) = &context.global.project_directory {
            args.extend(["--project-directory".into(), directory.into()]);
        }
        args
    }

    /// Runs it, until nothing of the project runs and nobody asks.
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Error> {
        let (Some(project_name), Some(project_directory)) = (
            context.global.project_name.clone(),
            context.global.project_directory.clone(),
        ) else {
            return Err(Error::usage(
                "a daemon needs --project-name and --project-directory",
                "`devctl up` starts one",
            ));
        };
        // Two providers of cryptography are in the tree; whoever opens a TLS connection must not have to choose.
        let _was_set = rustls::crypto::ring::default_provider().install_default();
        let dirs = Dirs::of_project(&project_directory, &project_name, &Places::from_env());
        let args = DaemonArgs {
            project_name,
            project_directory,
            dirs,
        };
        let mut told = io::stdout();
        match devctl_daemon::run(args, &mut told) {
            Ok(()) => Ok(Exit::Ok),
            Err(err) => {
                let said = reason(&err);
                // To the client that waits, and to the log for those who look later.
                let _ = write!(told, "{said}");
                let _ = write!(io::stderr(), "{said}");
                Ok(Exit::Failed)
            }
        }
    }
}

/// What went wrong, with its causes in one line, then what to do.
fn reason(err: &DaemonError) -> String {
    let mut text = format!("failed to {err}");
    let mut cause = std::error::Error::source(err);
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text.push('\n');
    if let Some(help) = err.help() {
        text.push_str(&format!("help: {help}\n"));
    }
    text
}
