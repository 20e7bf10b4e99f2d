//! `wait`: until services have ended; their exit statuses.

use std::collections::HashMap;
use std::io::{self, Write};

use clap::Args;
use devctl_drivers::docker::Listed;
use devctl_wire::Client;
use devctl_wire::v1::{DownRequest, EventsRequest, NodeStatus, State, StatusRequest, update::What};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use crate::client;
use crate::complete;
use crate::containers::Containers;
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;
use crate::foreground;
use crate::project::Project;
use crate::session::is_end;
use crate::standing;

/// Wait until services have ended, and print their exit statuses; the last one's is devctl's own
#[derive(Args, Debug)]
pub(crate) struct Wait {
    /// Take the whole project down when the first of them ends
    #[arg(long)]
    down_project: bool,

    /// Services
    #[arg(value_name = "SERVICE", required = true, add = complete::services())]
    services: Vec<String>,
}

impl Wait {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project()?;
        project.check_services(&self.services)?;
        context.block_on(async {
            match client::find(&project).await? {
                Some(mut client) => {
                    let status = self.runs(&project, &mut client, context).await?;
                    if self.down_project && !context.global.dry_run {
                        let request = DownRequest::default();
                        let mut updates = client.down(request).await?.into_inner();
                        while updates.message().await?.is_some() {}
                    }
                    Ok(status)
                }
                None => self.containers(context, &project).await,
            }
        })
    }

    fn is_wanted(&self, service: &str) -> bool {
        self.services.iter().any(|name| name == service)
    }

    /// By the daemon's word: what runs now is waited for, whatever takes its place.
    async fn runs(&self, project: &Project, client: &mut Client, context: &Context) -> Result<Exit, Error> {
        // Followed first: an end that comes at once is not missed.
        let request = EventsRequest {
            from: 0,
            follow: true,
            logs: None,
        };
        let mut updates = client.events(request).await?.into_inner();
        let request = StatusRequest {
            services: self.services.clone(),
            resolved: false,
        };
        let nodes = client.status(request).await?.into_inner().nodes;
        let nodes: Vec<NodeStatus> = nodes.into_iter().filter(|node| self.is_wanted(&node.service)).collect();
        let began: Vec<&NodeStatus> = nodes.iter().filter(|node| runs(node) || has_ended(node)).collect();
        if began.is_empty() {
            return Err(nothing(project, &self.services));
        }
        if context.global.dry_run {
            let steps: Vec<Step> = began.iter().map(|node| Step::of_node("wait for", node)).collect();
            return dry::tell(context, &steps);
        }
        let mut last = Exit::Ok;
        let mut open: HashMap<String, u64> = HashMap::new();
        for node in began {
            if runs(node) {
                open.insert(node.id.clone(), node.run);
            } else {
                last = tell(node)?;
            }
        }
        let first_counts = self.down_project && open.len() < nodes.len();
        while !open.is_empty() && !first_counts {
            let update = match updates.message().await {
                Ok(Some(update)) => update,
                Ok(None) => return Ok(last),
                Err(status) if is_end(&status) => return Ok(last),
                Err(status) => return Err(status.into()),
            };
            let Some(What::Node(node)) = update.what else { continue };
            let Some(run) = open.get(&node.id) else { continue };
            if runs(&node) && node.run == *run {
                continue;
            }
            open.remove(&node.id);
            last = tell(&node)?;
            if self.down_project {
                break;
            }
        }
        Ok(last)
    }

    /// Nobody holds the project's containers: the engine is asked.
    async fn containers(&self, context: &Context, project: &Project) -> Result<Exit, Error> {
        let Some(found) = Containers::look(context, project).await else {
            return Err(nothing(project, &self.services));
        };
        let wanted: Vec<&Listed> = found.all.iter().filter(|one| self.is_wanted(one.service())).collect();
        if wanted.is_empty() {
            return Err(nothing(project, &self.services));
        }
        if context.global.dry_run {
            let step = |one: &&Listed| Step::new("wait for", one.name.clone()).because(one.status.clone());
            return dry::tell(context, &wanted.iter().map(step).collect::<Vec<_>>());
        }
        let mut ends: FuturesUnordered<_> = wanted
            .iter()
            .map(async |one| (one.name.clone(), found.engine().ended(&one.id).await))
            .collect();
        let mut last = Exit::Ok;
        while let Some((name, ended)) = ends.next().await {
            let code = ended.map_err(|error| standing::refused(&error))?;
            writeln!(io::stdout(), "container {name:?} exited with status code {code}")?;
            last = foreground::of(i32::try_from(code).unwrap_or(1));
            if self.down_project {
                break;
            }
        }
        if self.down_project {
            let removed = found.down(project, &[], false, false, None).await;
            for line in removed.lines {
                writeln!(io::stderr(), "{line}")?;
            }
        }
        Ok(last)
    }
}

fn nothing(project: &Project, services: &[String]) -> Error {
    Error::Unmet {
        what: format!(
            "nothing of {} in project `{}` runs, or has run",
            services.join(", "),
            project.name
        ),
        help: Some("`devctl up -d` starts it".to_owned()),
    }
}

fn runs(node: &NodeStatus) -> bool {
    matches!(
        node.state(),
        State::Starting | State::Ready | State::Unhealthy | State::Stopping | State::Paused
    )
}

fn has_ended(node: &NodeStatus) -> bool {
    node.exit_code.is_some() || !node.signal.is_empty() || node.state() == State::Completed
}

/// In Docker Compose's words; the status that it comes to.
fn tell(node: &NodeStatus) -> Result<Exit, Error> {
    let (kind, name) = match node.container_name.as_str() {
        "" => ("process", &node.id),
        _ => ("container", &node.container_name),
    };
    let signal = node.signal.parse::<nix::sys::signal::Signal>();
    let code = match (node.exit_code, signal) {
        (Some(code), _) => code,
        (None, Ok(signal)) => 128 + signal as i32,
        (None, Err(_)) => 0,
    };
    writeln!(io::stdout(), "{kind} {name:?} exited with status code {code}")?;
    Ok(foreground::of(code))
}
