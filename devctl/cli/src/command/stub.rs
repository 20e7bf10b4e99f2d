//! `stub` and `unstub`: services answered from contracts, and back, while their consumers go on.

use std::io::{self, Write};

use clap::Args;
use devctl_wire::v1::{StatusRequest, StubRequest};

use super::up::Up;
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
    let project = context.project_of(&services)?;
    if context.global.dry_run {
        let action = if off {
            "let answer for itself"
        } else {
            "answer from contracts"
        };
        let steps: Vec<Step> = services.iter().map(|service| Step::new(action, service)).collect();
        return dry::tell(context, &steps);
    }
    let (reply, nodes) = context.block_on(async {
        let mut client = client::expect(&project).await?;
        let reply = client
            .stub(StubRequest {
                services: services.clone(),
                off,
            })
            .await?
            .into_inner();
        Ok((reply, client.status(StatusRequest::default()).await?.into_inner().nodes))
    })?;
    let mut err = io::stderr();
    for problem in &reply.problems {
        writeln!(err, "warning: {}", problem.text)?;
    }
    let never_ran = nodes
        .iter()
        .filter(|node| node.kind == "stub")
        .map(|node| &node.service);
    let (meant, others): (Vec<&String>, Vec<&String>) =
        never_ran.partition(|service| off && services.contains(service));
    let (written, asked): (Vec<&String>, Vec<&String>) = meant.into_iter().partition(|service| {
        let service = project.model.services.get(*service);
        service.is_some_and(|service| service.x_devctl.stub)
    });
    for service in &written {
        writeln!(
            err,
            "warning: `{service}` has nothing else to answer: its `x-devctl.stub` says so"
        )?;
    }
    if !asked.is_empty() {
        // Brought up so (`up --stub`): what is to answer for itself has yet to be started.
        return Up::detached(asked.into_iter().cloned().collect()).run(context);
    }
    let mut stubbed = reply.stubbed;
    stubbed.extend(written.into_iter().chain(others).cloned());
    stubbed.sort();
    stubbed.dedup();
    match stubbed.as_slice() {
        [] => writeln!(err, "every service answers for itself")?,
        stubbed => writeln!(err, "answered from contracts: {}", stubbed.join(", "))?,
    }
    Ok(Exit::Ok)
}
