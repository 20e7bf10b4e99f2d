//! What `start`, `stop`, `restart` and `kill` have in common: one request about services that the project has.

use devctl_wire::v1::ActRequest;

use crate::client;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::Show;
use crate::session::{self, OnSignal, Session};

/// Asks the daemon, which must be there, and shows what it does.
pub(crate) fn run(context: &Context, request: ActRequest) -> Result<Exit, Error> {
    shown(context, request, Show::default())
}

/// The same, shown otherwise.
pub(super) fn shown(context: &Context, request: ActRequest, show: Show) -> Result<Exit, Error> {
    let project = context.project()?;
    project.check_services(&request.services)?;
    context.block_on(async {
        let mut client = client::expect(&project).await?;
        let updates = client.act(request).await?.into_inner();
        let mut render = context.renderer(show);
        let session = Session {
            render: &mut *render,
            on_signal: OnSignal::Leave("left; what was asked for goes on"),
            attach: None,
            watcher: None,
        };
        let close = session.run(&mut client, updates).await?;
        Ok(session::exit(&close))
    })
}
