//! `create`: everything is made ready, and nothing is started.

use clap::Args;

use super::up::Up;
use crate::args::{Services, TalkFormat};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// Make services ready without starting them: containers, networks, volumes, builds
#[derive(Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    pub(super) services: Services,

    /// Build first, even what looks built
    #[arg(long, conflicts_with = "no_build")]
    pub(super) build: bool,

    /// Make anew also what has not changed
    #[arg(long, conflicts_with = "no_recreate")]
    pub(super) force_recreate: bool,

    /// Never build
    #[arg(long)]
    pub(super) no_build: bool,

    /// Keep what is there, even if it has changed
    #[arg(long)]
    pub(super) no_recreate: bool,

    /// When images are pulled [default: as the files say]
    #[arg(long, value_name = "POLICY", value_parser = ["always", "missing", "never", "build", "policy"])]
    pub(super) pull: Option<String>,

    /// Docker Compose's ways to ask for what devctl does anyway: little is told of pulls, nothing is asked
    #[arg(long, hide = true)]
    quiet_pull: bool,
    #[arg(short = 'y', long, hide = true)]
    yes: bool,

    /// Remove what runs and is no longer in the files
    #[arg(long)]
    pub(super) remove_orphans: bool,

    /// Number of replicas of a service; may be given several times
    #[arg(long, value_name = "SERVICE=NUM", value_parser = super::scale::count)]
    pub(super) scale: Vec<(String, u32)>,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

impl Create {
    /// Runs it: an `up` that starts nothing.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        Up::created(self).run(context)
    }
}
