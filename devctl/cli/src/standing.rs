//! Where a service stands: in a container, as a process of this machine, or nowhere. For the verbs that step inside.
//!
//! The daemon knows what it runs; a container that it does not (Docker Compose started it) is found by its labels.

use devctl_drivers::docker::{DockerError, Engine, Listed, labels};
use devctl_wire::v1::{InsideReply, InsideRequest, StatusRequest};
use indexmap::IndexMap;

use crate::client;
use crate::error::Error;
use crate::project::Project;

/// Where a service stands.
pub(crate) enum Standing {
    /// In a container that runs.
    Container(Box<Container>),
    /// As a process of this machine.
    Process(Box<InsideReply>),
    /// Nothing of it runs; the daemon knows how it would.
    Idle(Box<InsideReply>),
    /// Nobody knows of it.
    Nowhere,
}

/// A container.
pub(crate) struct Container {
    /// Where it is.
    pub(crate) engine: Engine,
    /// Its id.
    pub(crate) id: String,
}

/// This process's environment, as the engine's client wants it.
pub(crate) fn environment() -> IndexMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The engine that this caller means.
pub(crate) async fn engine() -> Result<Engine, Error> {
    Engine::connect(&environment()).await.map_err(|error| Error::Refused {
        what: format!("failed to {error}"),
        help: error.help(),
    })
}

/// What the engine refused.
pub(crate) fn refused(error: &DockerError) -> Error {
    Error::Refused {
        what: format!("failed to {error}"),
        help: error.help(),
    }
}

/// Finds a service's replica (from 1 on).
pub(crate) async fn find(project: &Project, service: &str, index: u32) -> Result<Standing, Error> {
    let mut idle = None;
    if let Some(mut client) = client::find(project).await? {
        let request = InsideRequest {
            service: service.to_owned(),
            index,
        };
        match client.inside(request).await {
            Ok(reply) => {
                let reply = reply.into_inner();
                if !reply.container.is_empty() {
                    let engine = engine().await?;
                    return Ok(Standing::Container(Box::new(Container {
                        engine,
                        id: reply.container,
                    })));
                }
                if reply.running {
                    return Ok(Standing::Process(Box::new(reply)));
                }
                idle = Some(Box::new(reply));
            }
            Err(status) if status.code() == tonic::Code::NotFound => {}
            Err(status) => return Err(status.into()),
        }
    }
    // Somebody else's, by the labels that Docker Compose gives.
    if let Ok(engine) = Engine::connect(&environment()).await {
        let found = containers(&engine, project, Some(service), false).await?;
        let container = found
            .into_iter()
            .find(|one| one.is_running() && one.number() == index.max(1));
        if let Some(container) = container {
            return Ok(Standing::Container(Box::new(Container {
                engine,
                id: container.id,
            })));
        }
    }
    Ok(idle.map_or(Standing::Nowhere, Standing::Idle))
}

/// Finds a service that must run: what is said where it does not.
pub(crate) async fn running(project: &Project, service: &str, index: u32) -> Result<Standing, Error> {
    match find(project, service, index).await? {
        Standing::Idle(_) => Err(Error::Unmet {
            what: format!("`{service}` does not run"),
            help: Some(format!(
                "`devctl up -d {service}` starts it, `devctl why {service}` tells what holds it"
            )),
        }),
        Standing::Nowhere => Err(missing(project, service, index).await?),
        standing => Ok(standing),
    }
}

/// Why nothing of a service is to be found: the project is not up, or all but this one.
async fn missing(project: &Project, service: &str, index: u32) -> Result<Error, Error> {
    let all = everything(project, &[]).await?;
    if all.is_empty() {
        let project = project.name.clone();
        return Ok(client::ClientError::NotUp { project }.into());
    }
    let replicas = everything(project, &[service.to_owned()]).await?.len();
    Ok(match replicas {
        0 => Error::Unmet {
            what: format!("`{service}` does not run"),
            help: Some(format!("`devctl up -d {service}` starts it")),
        },
        count => Error::Unmet {
            what: format!("`{service}` has no replica {index}"),
            help: Some(format!("it has {count}; `devctl scale {service}={index}` makes it")),
        },
    })
}

/// One thing of a project that runs.
pub(crate) struct Running {
    /// `billing`, or `billing[2]`; a container that the daemon does not know has its own name.
    pub(crate) name: String,
    /// Which replica, from 1 on.
    pub(crate) index: u32,
    /// Its main process here, or its container.
    pub(crate) place: Place,
}

/// Where something runs.
pub(crate) enum Place {
    /// A process of this machine.
    Process(i32),
    /// A container.
    Container(Box<Container>),
}

/// Everything of these services (of all where none is named) that runs, by name.
pub(crate) async fn everything(project: &Project, services: &[String]) -> Result<Vec<Running>, Error> {
    let mut all = Vec::new();
    let mut known = Vec::new();
    if let Some(mut client) = client::find(project).await? {
        let request = StatusRequest {
            services: services.to_vec(),
            ..StatusRequest::default()
        };
        for node in client.status(request).await?.into_inner().nodes {
            if node.runtime == "docker" || node.pid == 0 {
                known.push((node.service, node.index.max(1), node.id));
            } else if let Ok(pid) = i32::try_from(node.pid) {
                all.push(Running {
                    index: node.index.max(1),
                    name: node.id,
                    place: Place::Process(pid),
                });
            }
        }
    }
    if let Ok(engine) = Engine::connect(&environment()).await {
        for found in containers(&engine, project, None, false).await? {
            if !found.is_running() || !services.is_empty() && !services.iter().any(|name| name == found.service()) {
                continue;
            }
            let node = known
                .iter()
                .find(|(service, index, _)| service == found.service() && *index == found.number());
            let name = node.map_or_else(|| found.name.clone(), |(_, _, id)| id.clone());
            let index = found.number();
            let container = Box::new(Container {
                engine: engine.clone(),
                id: found.id,
            });
            all.push(Running {
                name,
                index,
                place: Place::Container(container),
            });
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// A service's container, running or not. Where it runs as a process: an error that says `instead`.
pub(crate) async fn container(project: &Project, service: &str, index: u32, instead: &str) -> Result<Container, Error> {
    match find(project, service, index).await? {
        Standing::Container(container) => return Ok(*container),
        Standing::Process(_) => {
            return Err(Error::usage(
                format!("`{service}` runs as a process, and has no container"),
                instead,
            ));
        }
        Standing::Idle(_) | Standing::Nowhere => {}
    }
    if let Ok(engine) = Engine::connect(&environment()).await {
        let found = containers(&engine, project, Some(service), false).await?;
        if let Some(container) = found.into_iter().find(|one| one.number() == index.max(1)) {
            return Ok(Container {
                engine,
                id: container.id,
            });
        }
    }
    Err(Error::Unmet {
        what: format!("`{service}` has no container"),
        help: Some(format!("`devctl up -d {service}` makes one")),
    })
}

/// The project's containers on an engine, by the labels that Docker Compose gives as well: of one service, or of all.
async fn containers(
    engine: &Engine,
    project: &Project,
    service: Option<&str>,
    one_off: bool,
) -> Result<Vec<Listed>, Error> {
    let mut wanted = vec![
        format!("{}={}", labels::PROJECT, project.docker_name()),
        format!("{}={}", labels::ONEOFF, if one_off { "True" } else { "False" }),
    ];
    wanted.extend(service.map(|service| format!("{}={service}", labels::SERVICE)));
    engine.containers(&wanted).await.map_err(|error| refused(&error))
}

/// The running containers that `run` has made for a service.
pub(crate) async fn one_offs(project: &Project, service: &str) -> Result<Vec<Standing>, Error> {
    let Ok(engine) = Engine::connect(&environment()).await else {
        return Ok(Vec::new());
    };
    let found = containers(&engine, project, Some(service), true).await?;
    let standing = |one: Listed| {
        Standing::Container(Box::new(Container {
            engine: engine.clone(),
            id: one.id,
        }))
    };
    Ok(found.into_iter().filter(|one| one.is_running()).map(standing).collect())
}
