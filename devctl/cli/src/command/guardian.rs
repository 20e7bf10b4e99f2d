//! `__guardian`: the daemon's parent. Leaves the caller's session, so that a closed terminal or its Ctrl-C never reaches the daemon.

use std::path::PathBuf;

use clap::Args;
use devctl_drivers::guardian;

use super::daemon::Daemon;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// The daemon's parent
#[derive(Args, Debug)]
pub(crate) struct Guardian {
    #[command(flatten)]
    daemon: Daemon,
}

impl Guardian {
    /// Runs it: until the daemon and all that descends from it has ended.
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Error> {
        // It fails only for the leader of a process group, which has a terminal of its own making to lose.
        let _ = nix::unistd::setsid();
        let io_error = |doing: &str| {
            let doing = doing.to_owned();
            move |source| Error::Io {
                doing,
                source,
                help: None,
            }
        };
        let program: PathBuf = std::env::current_exe().map_err(io_error("find this program"))?;
        let daemon = guardian::Daemon {
            program,
            args: self.daemon.args(context),
            output: None,
            own_group: true,
        };
        let status = guardian::run(&daemon).map_err(io_error("start the daemon"))?;
        Ok(if status == 0 { Exit::Ok } else { Exit::Failed })
    }
}
