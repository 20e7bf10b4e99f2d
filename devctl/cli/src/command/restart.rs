//! `restart`: stop services and start them again.

use clap::Args;
use devctl_wire::v1::{ActRequest, Verb};

use super::act;
use crate::args::{Services, TalkFormat};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// Restart services
#[derive(Args, Debug)]
pub(crate) struct Restart {
    #[command(flatten)]
    services: Services,

    /// Leave alone what depends on them with `restart: true`
    #[arg(long)]
    no_deps: bool,

    /// Grace period, seconds [default: as the files say]
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u32>,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

impl Restart {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let request = ActRequest {
            verb: Verb::Restart.into(),
            services: self.services.services,
            timeout_s: self.timeout,
            no_deps: self.no_deps,
            wait: true,
            ..Default::default()
        };
        act::run(context, request)
    }
}
