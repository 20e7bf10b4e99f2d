//! `start`: start services that were stopped.

use clap::Args;
use devctl_wire::v1::{ActRequest, Verb};

use super::act;
use crate::args::{Services, TalkFormat};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// Start services that were stopped
#[derive(Args, Debug)]
pub(crate) struct Start {
    #[command(flatten)]
    services: Services,

    /// Return when they are ready, or as soon as one fails
    #[arg(long)]
    wait: bool,

    /// How long to wait [default: as long as it takes]
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    wait_timeout: Option<u32>,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

impl Start {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let request = ActRequest {
            verb: Verb::Start.into(),
            services: self.services.services,
            wait: self.wait,
            wait_timeout_s: self.wait_timeout.unwrap_or(0),
            ..Default::default()
        };
        act::run(context, request)
    }
}
