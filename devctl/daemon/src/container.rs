//! A container that runs: its end, as the engine's events tell it, and what is done to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use devctl_core::engine::Exit;
use devctl_drivers::docker::{Engine, EngineEvent, Events, Problem, Seen};
use devctl_drivers::log::RunLog;
use jiff::Timestamp;
use nix::sys::signal::Signal;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// After a container's end its last lines are waited for, at most so long.
const LAST_LINES: Duration = Duration::from_secs(2);

/// A start that follows a stop within this time was one command with it.
const RESTART: Duration = Duration::from_millis(500);

const SIGKILL: i32 = 9;

/// The wait before an engine that does not answer is asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// A container that runs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Container {
    pub(crate) engine: Engine,
    pub(crate) id: String,
    pub(crate) name: String,
    events: Events,
    /// Since when: another time means that somebody started it again.
    started: Option<Timestamp>,
    /// The number of the signal that asks it to end.
    stop_signal: Option<i32>,
    /// This daemon has sent it a signal.
    asked: Arc<AtomicBool>,
    /// It was to be ended, and its engine does not answer.
    left: CancellationToken,
    /// Its log has been read to the end.
    logged: watch::Receiver<bool>,
}

impl Container {
    /// Takes a running container over: its log is followed from `since` on.
    pub(crate) fn take(engine: &Engine, events: &Events, seen: &Seen, since: Timestamp, log: &RunLog) -> Self {
        let (done, logged) = watch::channel(false);
        let (followed, id, started, log) = (engine.clone(), seen.id.clone(), seen.started, log.clone());
        tokio::spawn(async move {
            devctl_drivers::docker::logs::follow(&followed, &id, started, since, &log).await;
            let _nobody = done.send(true);
        });
        Self {
            engine: engine.clone(),
            id: seen.id.clone(),
            name: seen.name.clone(),
            events: events.clone(),
            started: seen.started,
            stop_signal: number(seen.stop_signal.as_deref().unwrap_or("SIGTERM")),
            asked: Arc::default(),
            left: CancellationToken::new(),
            logged,
        }
    }

    /// Waits for its end. An engine that goes away is waited for: what has become of the container is only known then.
    pub(crate) async fn wait(&self) -> Exit {
        let exit = tokio::select! {
            exit = self.ended() => exit,
            // What becomes of it is known again by its labels, once its engine is back.
            () = self.left.cancelled() => return Exit::Unknown,
        };
        let mut logged = self.logged.clone();
        let _late = tokio::time::timeout(LAST_LINES, logged.wait_for(|done| *done)).await;
        exit
    }

    /// How it has ended, seen from now, after its engine was away. None: it goes on, or nobody can tell.
    pub(crate) async fn has_ended(&self) -> Option<Exit> {
        match self.engine.look(&self.id).await {
            Ok(None) => Some(Exit::Unknown),
            Ok(Some(seen)) if seen.running && seen.started == self.started => None,
            Ok(Some(_)) => Some(Exit::WithEngine),
            Err(_) => None,
        }
    }

    async fn ended(&self) -> Exit {
        let mut events = self.events.subscribe();
        let mut lost = false;
        let mut look = true;
        // Somebody has sent a signal that is meant to end it.
        let mut told_to_stop = false;
        loop {
            if look {
                match self.engine.look(&self.id).await {
                    Ok(None) => return Exit::Unknown,
                    Ok(Some(seen)) => {
                        let same = seen.started == self.started;
                        if !seen.running || !same {
                            return match (lost, same) {
                                (true, _) => Exit::WithEngine,
                                (false, true) => Exit::Code(seen.exit_code),
                                (false, false) => Exit::Unknown,
                            };
                        }
                        (look, lost) = (false, false);
                    }
                    Err(_) => {
                        // Away, or not quite back.
                        lost = true;
                        tokio::time::sleep(AGAIN).await;
                        continue;
                    }
                }
            }
            match events.recv().await {
                Ok(EngineEvent::Signalled { id, signal }) if id == self.id => {
                    let ends = signal == SIGKILL || Some(signal) == self.stop_signal;
                    told_to_stop |= ends && !self.asked.load(Ordering::Relaxed);
                }
                Ok(EngineEvent::Died { id, code }) if id == self.id => {
                    // An engine that is being stopped ends its containers first, and takes nobody's call any more.
                    return match (self.engine.takes_calls().await, told_to_stop) {
                        (false, _) => Exit::WithEngine,
                        (true, false) => Exit::Code(code),
                        (true, true) => self.stopped_outside(code, &mut events).await,
                    };
                }
                Ok(EngineEvent::Destroyed { id }) if id == self.id => look = true,
                Ok(EngineEvent::Back) => look = true,
                Ok(EngineEvent::Lost { .. }) => lost = true,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => look = true,
                Err(RecvError::Closed) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }

    /// `docker restart` is a stop that is followed by a start; one that is removed has no other way to come back than its policy.
    async fn stopped_outside(&self, code: i32, events: &mut Receiver<EngineEvent>) -> Exit {
        let started = async {
            loop {
                match events.recv().await {
                    Ok(EngineEvent::Started { id }) if id == self.id => return Exit::Unknown,
                    Ok(EngineEvent::Destroyed { id }) if id == self.id => return Exit::Code(code),
                    Ok(EngineEvent::Lost { .. }) => return Exit::WithEngine,
                    Err(RecvError::Closed) => return Exit::Outside(code),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(RESTART, started)
            .await
            .unwrap_or(Exit::Outside(code))
    }

    /// Sends its stop signal, and kills it after `grace`. Where the engine does not answer, the container is left to itself.
    pub(crate) async fn stop(&self, grace: Duration) {
        self.asked.store(true, Ordering::Relaxed);
        let done = match grace.is_zero() {
            true => self.engine.kill(&self.id, "SIGKILL").await,
            false => self.engine.stop(&self.id, grace).await,
        };
        if let Err(error) = done {
            if error.problem == Problem::EngineGone {
                self.left.cancel();
            }
            tracing::warn!(container = self.name, %error, "a container could not be stopped");
        }
    }

    /// Removes it where a successor has taken its name, or where it was the last one: nobody would start it again.
    pub(crate) async fn remove_if_replaced(&self, last: bool) {
        let Ok(Some(seen)) = self.engine.look(&self.id).await else {
            return;
        };
        let short: String = self.id.chars().take(12).collect();
        if !last && !seen.name.starts_with(&format!("{short}_")) {
            return;
        }
        match self.engine.remove(&self.id, true).await {
            Ok(()) => self.engine.remove_replaced(&seen.image).await,
            Err(error) => {
                tracing::warn!(container = seen.name, %error, "a container that was replaced could not be removed");
            }
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let ends = [
            Signal::SIGKILL,
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGQUIT,
            Signal::SIGABRT,
        ];
        self.asked.fetch_or(ends.contains(&signal), Ordering::Relaxed);
        let container = self.clone();
        tokio::spawn(async move {
            if let Err(error) = container.engine.kill(&container.id, signal.as_str()).await {
                tracing::warn!(container = container.name, %error, "a container could not be signalled");
            }
        });
    }
}

/// `SIGTERM`, `TERM` or `15`, as an image may write it.
fn number(name: &str) -> Option<i32> {
    let name = name.to_uppercase();
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let name = if name.starts_with("SIG") {
        name
    } else {
        format!("SIG{name}")
    };
    name.parse::<Signal>().ok().map(|signal| signal as i32)
}
