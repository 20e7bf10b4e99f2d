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
use crate::render::Show;
use crate::session::{self, is_end};
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
        let project = context.project_of(&self.services)?;
        context.block_on(async {
            match client::find(&project).await? {
                Some(mut client) => {
                    let status = self.runs(&project, &mut client, context).await?;
                    if self.down_project && !context.global.dry_run {
                        let updates = client.down(DownRequest::default()).await?.into_inner();
                        let mut render = context.renderer(Show {
                            quiet: true,
                            ..Show::default()
                        });
                        let left = "left; the services still go down";
                        let down = session::shown(&mut *render, &mut client, updates, left).await?;
                        if !matches!(down, Exit::Ok) {
                            return Ok(down);
                        }
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

    /// By the daemon's word. What takes the place of one that is waited for (a reload) is waited for as well.
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
        let all = began.len();
        for node in began {
            if runs(node) {
                open.insert(node.id.clone(), node.run);
            } else {
                last = tell(node)?;
            }
        }
        let first_counts = self.down_project && open.len() < all;
        while !open.is_empty() && !first_counts {
            let update = match updates.message().await {
                Ok(Some(update)) => update,
                Ok(None) => return Err(unknown(open.keys())),
                Err(status) if is_end(&status) => return Err(unknown(open.keys())),
                Err(status) => return Err(status.into()),
            };
            let Some(What::Node(node)) = update.what else { continue };
            let Some(run) = open.get_mut(&node.id) else { continue };
            // An engine that is away says nothing of it, and it may well go on.
            if runs(&node) || node.state() == State::Waiting && node.run == *run {
                *run = node.run;
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
        let is_meant = |one: &&Listed| !one.is_one_off() && self.is_wanted(one.service());
        let wanted: Vec<&Listed> = found.all.iter().filter(is_meant).collect();
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
            let down = removed.tell(&mut *context.renderer(Show::default()))?;
            if !matches!(down, Exit::Ok) {
                return Ok(down);
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

/// The end of some has not been seen.
fn unknown<'a>(of: impl Iterator<Item = &'a String>) -> Error {
    let names: Vec<&str> = of.map(String::as_str).collect();
    Error::Unmet {
        what: format!("how {} ended is not known: devctl's daemon has gone", names.join(", ")),
        help: Some("`devctl up -d` takes over what still runs".to_owned()),
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
        (None, Err(_)) if node.state() == State::Completed => 0,
        (None, Err(_)) => return Err(unknown(std::iter::once(name))),
    };
    writeln!(io::stdout(), "{kind} {name:?} exited with status code {code}")?;
    Ok(foreground::of(code))
}
