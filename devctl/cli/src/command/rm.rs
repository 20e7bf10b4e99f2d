//! `rm`: stopped services are removed: their containers, and what devctl knows of their processes.

use std::io::{self, Write};

use clap::Args;
use devctl_wire::v1::{DownRequest, NodeStatus, State, StatusRequest};

use crate::args::{Services, TalkFormat};
use crate::ask;
use crate::client;
use crate::containers::Containers;
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::Show;
use crate::session;

/// Remove services that are stopped
#[derive(Args, Debug)]
pub(crate) struct Rm {
    #[command(flatten)]
    services: Services,

    /// Do not ask
    #[arg(short, long)]
    force: bool,

    /// Stop them first, if need be
    #[arg(short, long)]
    stop: bool,

    /// Also the volumes of containers that have no name
    #[arg(short, long)]
    volumes: bool,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

impl Rm {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of(&self.services.services)?;
        context.block_on(async {
            match client::find(&project).await? {
                Some(client) => self.nodes(context, client).await,
                None => self.containers(context, &project).await,
            }
        })
    }

    fn is_wanted(&self, service: &str) -> bool {
        self.services.services.is_empty() || self.services.services.iter().any(|name| name == service)
    }

    async fn nodes(&self, context: &Context, mut client: devctl_wire::Client) -> Result<Exit, Error> {
        let nodes = client.status(StatusRequest::default()).await?.into_inner().nodes;
        let (going, running): (Vec<&NodeStatus>, Vec<&NodeStatus>) = nodes
            .iter()
            .filter(|node| self.is_wanted(&node.service))
            .partition(|node| self.stop || is_over(node));
        if context.global.dry_run {
            let steps: Vec<Step> = going.iter().map(|node| Step::of_node("remove", node)).collect();
            return dry::tell(context, &steps);
        }
        if going.is_empty() {
            writeln!(io::stderr(), "nothing that is stopped to remove")?;
            if !running.is_empty() {
                writeln!(io::stderr(), "help: `devctl rm --stop` stops what runs first")?;
            }
            return Ok(Exit::Ok);
        }
        let names: Vec<&str> = going.iter().map(|node| node.id.as_str()).collect();
        if !self.agree(&names)? {
            return Ok(Exit::Ok);
        }
        let request = DownRequest {
            services: names.into_iter().map(str::to_owned).collect(),
            anonymous_volumes: self.volumes,
            ..DownRequest::default()
        };
        let updates = client.down(request).await?.into_inner();
        let mut render = context.renderer(Show::default());
        session::shown(&mut *render, &mut client, updates, "left; what was asked for goes on").await
    }

    async fn containers(&self, context: &Context, project: &Project) -> Result<Exit, Error> {
        let found = Containers::look(context, project).await;
        let all = found.as_ref().map(|found| found.all.as_slice()).unwrap_or_default();
        let going: Vec<_> = all
            .iter()
            .filter(|one| !one.is_one_off() && self.is_wanted(one.service()) && (self.stop || !one.is_running()))
            .collect();
        if context.global.dry_run {
            let step = |one: &&devctl_drivers::docker::Listed| {
                Step::new("remove", one.name.clone()).because(one.status.clone())
            };
            return dry::tell(context, &going.iter().map(step).collect::<Vec<_>>());
        }
        let Some(found) = found.as_ref().filter(|_| !going.is_empty()) else {
            writeln!(io::stderr(), "nothing that is stopped to remove")?;
            return Ok(Exit::Ok);
        };
        let names: Vec<&str> = going.iter().map(|one| one.name.as_str()).collect();
        if !self.agree(&names)? {
            return Ok(Exit::Ok);
        }
        let removed = found.remove(project, &going, self.volumes, None).await;
        removed.tell(&mut *context.renderer(Show::default()))
    }

    fn agree(&self, names: &[&str]) -> Result<bool, Error> {
        if self.force {
            return Ok(true);
        }
        writeln!(io::stderr(), "going to remove {}", names.join(", "))?;
        ask::agreed(
            "are you sure?",
            "`--force` removes without asking, `--dry-run` only tells",
        )
    }
}

/// Nothing of it runs, and nothing will by itself.
fn is_over(node: &NodeStatus) -> bool {
    matches!(node.state(), State::Down | State::Completed | State::Failed)
}
