//! Ends a command inside a container, which an engine's API has no call for.
//!
//! The engine tells the command's process on its own host. Where that is this host, the process is signalled by its number there; a
//! user who may not do that has the container do it, by the number that the process has inside.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::api;
use super::client::Engine;

/// Until a helper that ends a process must have done so.
const HELPER: Duration = Duration::from_secs(5);

/// A command inside that is not to outlive whoever waits for it.
pub(super) struct OnDrop {
    engine: Engine,
    container: String,
    exec: Option<String>,
}

impl OnDrop {
    pub(super) fn new(engine: Engine, container: &str, exec: &str) -> Self {
        Self {
            engine,
            container: container.to_owned(),
            exec: Some(exec.to_owned()),
        }
    }

    /// It has ended by itself.
    pub(super) fn forget(&mut self) {
        self.exec = None;
    }

    /// Ends it.
    pub(super) async fn now(&mut self) {
        if let Some(exec) = self.exec.take() {
            end(&self.engine, &self.container, &exec).await;
        }
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        let (Some(exec), Ok(runtime)) = (self.exec.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (engine, container) = (self.engine.clone(), self.container.clone());
        runtime.spawn(async move { end(&engine, &container, &exec).await });
    }
}

async fn end(engine: &Engine, container: &str, exec: &str) {
    let Ok(seen) = engine.docker().inspect_exec(exec).await else {
        return;
    };
    let pid = seen.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0);
    let (Some(pid), true) = (pid, seen.running.unwrap_or_default()) else {
        return;
    };
    if engine.facts().remote {
        return;
    }
    let Some(inside) = number_inside(pid) else { return };
    if kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok() {
        return;
    }
    // Not ours to signal: the container's own root may.
    let config = api::ExecConfig {
        cmd: Some(vec!["kill".to_owned(), "-9".to_owned(), inside.to_string()]),
        user: Some("0".to_owned()),
        ..api::ExecConfig::default()
    };
    let helper = async {
        if let Ok(made) = engine.docker().create_exec(container, config).await {
            let options = bollard::exec::StartExecOptions {
                detach: true,
                ..bollard::exec::StartExecOptions::default()
            };
            let _best_effort = engine.docker().start_exec(&made.id, Some(options)).await;
        }
    };
    let _late = tokio::time::timeout(HELPER, helper).await;
}

/// The number of a process in the innermost namespace that it is in; none where it is in no other than ours: a process of this
/// host that merely has the number is never touched.
fn number_inside(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let numbers: Vec<&str> = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?
        .split_whitespace()
        .collect();
    match numbers.as_slice() {
        [_, .., inside] => inside.parse().ok(),
        _ => None,
    }
}
