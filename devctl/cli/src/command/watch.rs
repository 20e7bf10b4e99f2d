//! `watch`: what is rebuilt and reloaded as files change, without the services' own lines. `up` watches by itself; this verb is for whoever
//! knows it from Docker Compose.

use clap::Args;

use super::events::Events;
use super::up::Up;
use crate::args::{Services, TalkFormat};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// Follow what is rebuilt and reloaded as files change; Ctrl-C leaves everything running
#[derive(Args, Debug)]
pub(crate) struct Watch {
    #[command(flatten)]
    services: Services,

    /// Start nothing: follow what runs
    #[arg(long)]
    no_up: bool,

    /// Docker Compose's: an image that a rebuild has left without a name goes with its last container anyway
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    prune: Option<bool>,

    /// Docker Compose's: what a build prints is kept in its log anyway
    #[arg(long = "quiet", id = "watch_quiet", hide = true)]
    _quiet: bool,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

impl Watch {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let services = self.services.services;
        if !self.no_up || context.global.dry_run {
            let exit = Up::detached(services.clone()).run(context)?;
            if context.global.dry_run || exit != Exit::Ok {
                return Ok(exit);
            }
        }
        Events::live(services).run(context)
    }
}
