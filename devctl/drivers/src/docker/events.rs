//! An engine's event stream: one subscription, renewed whenever the engine comes back.
//!
//! An event is only ever a hint to look again, except that it carries how a container ended: so one that was missed (a lag, an
//! engine that was away) costs nothing.

use std::collections::HashMap;
use std::time::Duration;

use bollard::query_parameters::EventsOptions;
use futures::StreamExt as _;
use tokio::sync::broadcast;

use super::client::Engine;
use super::error::brief;
use super::labels;

/// How soon an engine that went away is asked again: at first, and at most.
const SOON: Duration = Duration::from_millis(100);
const LATER: Duration = Duration::from_secs(2);

/// What an engine tells of a project's containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineEvent {
    /// A container ended.
    Died {
        /// Which.
        id: String,
        /// Its exit status.
        code: i32,
    },
    /// The kernel ended something in it for its memory.
    OutOfMemory {
        /// Which.
        id: String,
    },
    /// Somebody sent it a signal: this daemon, or somebody else.
    Signalled {
        /// Which.
        id: String,
        /// The signal's number.
        signal: i32,
    },
    /// A container runs.
    Started {
        /// Which.
        id: String,
    },
    /// A container is gone.
    Destroyed {
        /// Which.
        id: String,
    },
    /// Frozen, or no longer.
    Paused {
        /// Which.
        id: String,
        /// Frozen.
        on: bool,
    },
    /// The engine does not answer any more.
    Lost {
        /// What it last said.
        why: String,
    },
    /// It answers again: look at everything.
    Back,
}

/// A subscription to a project's events. Cheap to clone; ends with its last clone.
#[derive(Debug, Clone)]
pub struct Events {
    sender: broadcast::Sender<EngineEvent>,
    _task: std::sync::Arc<Task>,
}

#[derive(Debug)]
struct Task(tokio::task::AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Events {
    /// Subscribes to what happens to a project's containers.
    #[must_use]
    pub fn follow(engine: &Engine, project: &str) -> Self {
        let (sender, _) = broadcast::channel(1024);
        let task = tokio::spawn(run(engine.clone(), project.to_owned(), sender.clone()));
        Self {
            sender,
            _task: std::sync::Arc::new(Task(task.abort_handle())),
        }
    }

    /// Everything from now on. A receiver that lags looks at its container again.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<EngineEvent> {
        self.sender.subscribe()
    }
}

async fn run(engine: Engine, project: String, sender: broadcast::Sender<EngineEvent>) {
    let filters = HashMap::from([
        ("type".to_owned(), vec!["container".to_owned()]),
        ("label".to_owned(), vec![format!("{}={project}", labels::PROJECT)]),
    ]);
    // The stream stays open as long as the engine does: no limit on it.
    let docker = engine.patient(Duration::from_secs(u64::from(u32::MAX)));
    let mut away = false;
    loop {
        let options = EventsOptions {
            filters: Some(filters.clone()),
            ..EventsOptions::default()
        };
        let mut stream = docker.events(Some(options));
        if away {
            wait_until_back(&engine).await;
            away = false;
            let _nobody = sender.send(EngineEvent::Back);
        }
        let why = loop {
            match stream.next().await {
                Some(Ok(message)) => {
                    if let Some(event) = event(message) {
                        let _nobody = sender.send(event);
                    }
                }
                Some(Err(error)) => break brief(&error),
                None => break "it closed the connection".to_owned(),
            }
        };
        // A proxy that ends an idle connection is no engine that went away.
        if engine.answers().await {
            let _nobody = sender.send(EngineEvent::Back);
            tokio::time::sleep(SOON).await;
            continue;
        }
        away = true;
        let _nobody = sender.send(EngineEvent::Lost { why });
        wait_until_back(&engine).await;
    }
}

async fn wait_until_back(engine: &Engine) {
    let mut wait = SOON;
    while !engine.answers().await {
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LATER);
    }
}

fn event(message: super::api::EventMessage) -> Option<EngineEvent> {
    let actor = message.actor?;
    let id = actor.id?;
    let attribute = |name: &str| actor.attributes.as_ref()?.get(name)?.parse::<i32>().ok();
    Some(match message.action?.as_str() {
        "die" => EngineEvent::Died {
            code: attribute("exitCode").unwrap_or(-1),
            id,
        },
        "oom" => EngineEvent::OutOfMemory { id },
        "kill" => EngineEvent::Signalled {
            signal: attribute("signal").unwrap_or_default(),
            id,
        },
        "start" => EngineEvent::Started { id },
        "destroy" => EngineEvent::Destroyed { id },
        "pause" => EngineEvent::Paused { id, on: true },
        "unpause" => EngineEvent::Paused { id, on: false },
        _ => return None,
    })
}
