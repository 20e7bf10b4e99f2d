//! `down`: stop and remove everything, dependants first.

use clap::Args;
use devctl_wire::v1::DownRequest;

use crate::args::{Services, TalkFormat};
use crate::client;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::{Show, now_ms};
use crate::session::{self, OnSignal, Session};

/// Stop and remove services
#[derive(Args, Debug)]
pub(crate) struct Down {
    #[command(flatten)]
    services: Services,

    /// Also remove the data: named volumes, and the databases of servers that devctl runs itself
    #[arg(short, long)]
    volumes: bool,

    /// Grace period of every service, seconds [default: as the files say]
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u32>,

    /// Remove what runs and is no longer in the files
    #[arg(long)]
    remove_orphans: bool,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

impl Down {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project()?;
        project.check_services(&self.services.services)?;
        context.block_on(async {
            let mut render = context.renderer(Show::default());
            // Data may be left of a project that is not up; then a daemon is started to remove it, and ends with that.
            let left_over = self.volumes && project.dirs.data.exists();
            let found = match client::find(&project).await? {
                None if left_over => Some(client::find_or_start(&project).await?),
                found => found,
            };
            let Some(mut client) = found else {
                render.remark(
                    &format!("project `{}` is not up: nothing to take down", project.name),
                    now_ms(),
                )?;
                render.finish(now_ms())?;
                return Ok(Exit::Ok);
            };
            let request = DownRequest {
                volumes: self.volumes,
                timeout_s: self.timeout,
                remove_orphans: self.remove_orphans,
                services: self.services.services.clone(),
                kill: false,
            };
            let updates = client.down(request).await?.into_inner();
            let session = Session {
                render: &mut *render,
                on_signal: OnSignal::Leave("left; the services still go down"),
                attach: None,
                watcher: None,
            };
            let close = session.run(&mut client, updates).await?;
            Ok(session::exit(&close))
        })
    }
}
