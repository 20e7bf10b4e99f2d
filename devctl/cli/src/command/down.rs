//! `down`: stop and remove everything, dependants first.

use clap::Args;
use devctl_compose::model::Service;
use devctl_daemon::images;
use devctl_wire::v1::{DownRequest, NodeStatus, State, StatusRequest};

use crate::args::{Services, TalkFormat};
use crate::client;
use crate::containers::Containers;
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::{Render, Show, now_ms};
use crate::session;
use crate::standing;
use crate::verifications;

/// Said to whoever does not wait for the end.
const LEFT: &str = "left; the services still go down";

/// Stop and remove services
#[derive(Args, Debug, Default)]
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

    /// Also remove images: `local`, those that were built and that the files give no name; or `all`
    #[arg(long, value_name = "TYPE", value_parser = ["local", "all"])]
    rmi: Option<String>,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

impl Down {
    /// Of the whole project, with its data, and without a word where all is well.
    pub(super) fn everything() -> Self {
        Self {
            volumes: true,
            remove_orphans: true,
            ..Self::default()
        }
    }

    /// Nobody holds the project's containers: they are removed without a daemon.
    async fn containers(
        &self,
        containers: &Containers,
        project: &Project,
        render: &mut dyn Render,
    ) -> Result<Exit, Error> {
        let services = &self.services.services;
        let removed = containers
            .down(project, services, self.remove_orphans, self.volumes, self.timeout)
            .await;
        removed.tell(render)
    }

    /// The images of the files' services, where that was asked for.
    async fn images(&self, project: &Project) -> Result<(), Error> {
        let names = self.image_names(project);
        if names.is_empty() {
            return Ok(());
        }
        let engine = standing::engine().await?;
        for name in names {
            match engine.remove_image(&name).await {
                Ok(()) => eprintln!("image {name} removed"),
                Err(error) => eprintln!("image {name} stays: {}", error.source),
            }
        }
        Ok(())
    }

    /// Containers that the daemon did not hold: of orphans, where they are to go as well, or of an earlier runtime of a service.
    async fn leftovers(&self, context: &Context, project: &Project) {
        // Without containers as well: a volume, or a network, may have been made for one that never came to be.
        if let Some(containers) = Containers::look(context, project).await
            && (self.volumes || !containers.all.is_empty())
        {
            let done = containers
                .down(project, &[], self.remove_orphans, self.volumes, self.timeout)
                .await;
            for problem in &done.problems {
                eprintln!("failed to {problem}");
            }
        }
    }

    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of(&self.services.services)?;
        if context.global.dry_run {
            return self.told(context, &project);
        }
        context.block_on(async {
            let exit = self.take_down(context, &project).await?;
            // The daemon has ended: none of it is a verification's that goes on in there.
            if self.services.services.is_empty() {
                for problem in verifications::remove_left_behind(context, &project).await {
                    eprintln!("failed to {problem}");
                }
            }
            self.images(&project).await?;
            Ok(exit)
        })
    }

    /// `--dry-run`.
    fn told(&self, context: &Context, project: &Project) -> Result<Exit, Error> {
        let status = super::ps::status(context, project, self.services.services.clone())?;
        let is_orphan = |node: &NodeStatus| status.orphans.iter().any(|orphan| orphan.node == node.id);
        let is_there = |node: &NodeStatus| {
            node.run > 0 || node.state() != State::Down || super::ps::container::state(node) == "created"
        };
        let is_named = |node: &NodeStatus| match self.services.services.as_slice() {
            [] => self.remove_orphans || !is_orphan(node),
            services => services.contains(&node.service),
        };
        let nodes = status.nodes.iter().filter(|node| is_there(node) && is_named(node));
        let mut steps: Vec<Step> = nodes.map(|node| Step::of_node("stop and remove", node)).collect();
        if self.services.services.is_empty() && !steps.is_empty() {
            let networks = project.model.networks.values().filter(|network| !network.external);
            let name = |name: &Option<String>| name.clone().unwrap_or_default();
            steps.extend(networks.map(|network| Step::new("remove", format!("network {}", name(&network.name)))));
        }
        if self.volumes {
            let volumes = project.model.volumes.values().filter(|volume| !volume.external);
            let name = |name: &Option<String>| name.clone().unwrap_or_default();
            steps.extend(volumes.map(|volume| Step::new("remove", format!("volume {}", name(&volume.name)))));
        }
        for image in self.image_names(project) {
            steps.push(Step::new("remove", format!("image {image}")));
        }
        dry::tell(context, &steps)
    }

    /// The images that `--rmi` means.
    fn image_names(&self, project: &Project) -> Vec<String> {
        let Some(which) = &self.rmi else { return Vec::new() };
        let mut model = project.model.clone();
        model.name = project.docker_name();
        let is_meant = |service: &&Service| which == "all" || (service.build.is_some() && service.image.is_none());
        let meant = model.services.values().filter(is_meant);
        meant.map(|service| images::name(&model, service)).collect()
    }

    async fn take_down(&self, context: &Context, project: &Project) -> Result<Exit, Error> {
        let mut render = context.renderer(Show::default());
        // Data may be left of a project that is not up; then a daemon is started to remove it, and ends with that.
        let left_over = self.volumes && project.dirs.data.exists();
        let found = match client::find(project).await? {
            None if left_over => Some(client::find_or_start(project).await?),
            found => found,
        };
        let Some(mut client) = found else {
            if let Some(containers) = Containers::look(context, project).await
                && !containers.all.is_empty()
            {
                return self.containers(&containers, project, &mut *render).await;
            }
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
            anonymous_volumes: false,
        };
        let updates = client.down(request).await?.into_inner();
        let exit = session::shown(&mut *render, &mut client, updates, LEFT).await?;
        if self.services.services.is_empty() {
            self.leftovers(context, project).await;
            drop(client);
            client::gone(project).await;
        }
        Ok(exit)
    }
}

/// Removes what runs of the project and its files no longer name, and nothing else.
pub(super) fn orphans(context: &Context) -> Result<Exit, Error> {
    let project = context.project()?;
    context.block_on(async {
        let mut render = context.renderer(Show::default());
        if let Some(mut client) = client::find(&project).await? {
            let status = client.status(StatusRequest::default()).await?.into_inner();
            let services: Vec<String> = status.orphans.into_iter().map(|orphan| orphan.node).collect();
            if !services.is_empty() {
                let request = DownRequest {
                    services,
                    ..DownRequest::default()
                };
                let updates = client.down(request).await?.into_inner();
                return session::shown(&mut *render, &mut client, updates, LEFT).await;
            }
        }
        let Some(found) = Containers::look(context, &project).await else {
            return Ok(Exit::Ok);
        };
        let is_named = |name: &str| {
            project.model.services.contains_key(name) || project.model.disabled_services.contains_key(name)
        };
        let going: Vec<_> = found.all.iter().filter(|one| !is_named(one.service())).collect();
        let removed = found.remove(&project, &going, false, None).await;
        removed.tell(&mut *render)
    })
}
