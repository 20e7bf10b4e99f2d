//! The Docker engines that requests have named, each connected to once, with one subscription to its events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use devctl_drivers::docker::{ConnectError, Engine, EngineEvent, Events, endpoints};
use indexmap::IndexMap;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::run_loop::Wake;

/// All of them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Engines {
    known: Arc<Mutex<HashMap<String, Known>>>,
    wake: mpsc::UnboundedSender<Wake>,
}

struct Known {
    engine: Engine,
    /// By project.
    events: HashMap<String, Events>,
}

impl Engines {
    pub(crate) fn new(wake: mpsc::UnboundedSender<Wake>) -> Self {
        Self {
            known: Arc::default(),
            wake,
        }
    }

    /// The engine that this environment names.
    pub(crate) async fn connect(&self, env: &IndexMap<String, String>) -> Result<Engine, ConnectError> {
        for endpoint in endpoints(env)? {
            let known = self.lock().get(&endpoint.host).map(|known| known.engine.clone());
            if let Some(engine) = known
                && *engine.endpoint() == endpoint
                && engine.answers().await
            {
                return Ok(engine);
            }
        }
        let engine = Engine::connect(env).await?;
        let known = Known {
            engine: engine.clone(),
            events: HashMap::new(),
        };
        self.lock().entry(engine.endpoint().host.clone()).or_insert(known);
        Ok(engine)
    }

    /// The engine that this environment names, where a project has run something in it: it is away.
    pub(crate) fn lost(&self, env: &IndexMap<String, String>) -> Option<String> {
        let named = endpoints(env).unwrap_or_default();
        let all = self.lock();
        let used = |address: &String| all.get(address).is_some_and(|known| !known.events.is_empty());
        named.into_iter().map(|endpoint| endpoint.host).find(used)
    }

    /// What happens to a project's containers there.
    pub(crate) fn events(&self, engine: &Engine, project: &str) -> Events {
        let mut all = self.lock();
        let known = all.entry(engine.endpoint().host.clone()).or_insert_with(|| Known {
            engine: engine.clone(),
            events: HashMap::new(),
        });
        let events = known.events.entry(project.to_owned()).or_insert_with(|| {
            let events = Events::follow(engine, project);
            tokio::spawn(tell(events.clone(), engine.endpoint().host.clone(), self.wake.clone()));
            events
        });
        events.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the loop when the engine goes away and when it is back.
async fn tell(events: Events, host: String, wake: mpsc::UnboundedSender<Wake>) {
    let mut events = events.subscribe();
    let mut away = false;
    loop {
        let lost = match events.recv().await {
            Ok(EngineEvent::Lost { why }) => Some(why),
            // Whatever it tells, it is there.
            Ok(EngineEvent::Back) | Err(RecvError::Lagged(_)) if away => None,
            Ok(EngineEvent::Started { id }) => {
                if wake.send(Wake::StartedOutside { id }).is_err() {
                    return;
                }
                continue;
            }
            Ok(EngineEvent::Paused { id, on }) => {
                if wake.send(Wake::HeldOutside { id, still: on }).is_err() {
                    return;
                }
                continue;
            }
            Ok(_) | Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        away = lost.is_some();
        let told = Wake::Engine {
            host: host.clone(),
            lost,
        };
        if wake.send(told).is_err() {
            return;
        }
    }
}
