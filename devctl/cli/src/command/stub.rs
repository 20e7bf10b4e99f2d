//! `stub` and `unstub`: services answered from contracts, and back, while their consumers go on.

use std::io::{self, Write};

use clap::Args;
use devctl_wire::v1::StubRequest;

use crate::client;
use crate::complete;
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;

/// Answer services from contracts
#[derive(Args, Debug)]
pub(crate) struct Stub {
    /// Services
    #[arg(required = true, value_name = "SERVICE", add = complete::services())]
    services: Vec<String>,
}

/// Let services that were answered from contracts answer for themselves again
#[derive(Args, Debug)]
pub(crate) struct Unstub {
    /// Services
    #[arg(required = true, value_name = "SERVICE", add = complete::services())]
    services: Vec<String>,
}

impl Stub {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        ask(context, self.services, false)
    }
}

impl Unstub {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        ask(context, self.services, true)
    }
}

fn ask(context: &Context, services: Vec<String>, off: bool) -> Result<Exit, Error> {
    let project = context.project()?;
    project.check_services(&services)?;
    if context.global.dry_run {
        let action = if off {
            "let answer for itself"
        } else {
            "answer from contracts"
        };
        let steps: Vec<Step> = services.iter().map(|service| Step::new(action, service)).collect();
        return dry::tell(context, &steps);
    }
    let reply = context.block_on(async {
        let mut client = client::expect(&project).await?;
        Ok(client.stub(StubRequest { services, off }).await?.into_inner())
    })?;
    let mut err = io::stderr();
    for problem in &reply.problems {
        writeln!(err, "warning: {}", problem.text)?;
    }
    match reply.stubbed.as_slice() {
        [] => writeln!(err, "every service answers for itself")?,
        stubbed => writeln!(err, "answered from contracts: {}", stubbed.join(", "))?,
    }
    Ok(Exit::Ok)
}
