//! `pause` and `unpause`: services held still as they are, in containers and as processes, and let go on.

use clap::Args;
use devctl_wire::v1::{ActRequest, Verb};

use super::act;
use crate::args::{Services, TalkFormat};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// Hold services still: they keep their memory and their connections, and do nothing
#[derive(Args, Debug)]
pub(crate) struct Pause {
    #[command(flatten)]
    services: Services,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

/// Let services go on that were paused
#[derive(Args, Debug)]
pub(crate) struct Unpause {
    #[command(flatten)]
    services: Services,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

impl Pause {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        ask(context, Verb::Pause, self.services)
    }
}

impl Unpause {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        ask(context, Verb::Unpause, self.services)
    }
}

fn ask(context: &Context, verb: Verb, services: Services) -> Result<Exit, Error> {
    let request = ActRequest {
        verb: verb.into(),
        services: services.services,
        wait: true,
        ..Default::default()
    };
    act::run(context, request)
}
