//! `stop`: stop services, and keep what they are made of.

use clap::Args;
use devctl_wire::v1::{ActRequest, Verb};

use super::act;
use crate::args::{Services, TalkFormat};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// Stop services without removing them
#[derive(Args, Debug)]
pub(crate) struct Stop {
    #[command(flatten)]
    services: Services,

    /// Grace period, seconds [default: as the files say]
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u32>,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

impl Stop {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let request = ActRequest {
            verb: Verb::Stop.into(),
            services: self.services.services,
            timeout_s: self.timeout,
            wait: true,
            ..Default::default()
        };
        act::run(context, request)
    }
}
