//! A started broker: held on one core while it boots, let go when it is ready, ended together with its port mapper.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

use super::{Prepared, RabbitError};
use crate::log::RunLog;
use crate::process::{self, Exit, Process};

/// epmd is up in a few milliseconds, or never.
const EPMD_LIMIT: Duration = Duration::from_secs(5);

/// A started server.
#[derive(Clone, Debug)]
pub struct Running {
    /// The broker: its end is the run's end.
    pub broker: Process,
    /// Its port mapper.
    pub epmd: Process,
}

/// Starts the port mapper and the broker.
///
/// # Errors
/// Where one of the two could not be started; then neither runs.
pub async fn start(prepared: &Prepared, log: &RunLog) -> Result<Running, RabbitError> {
    let epmd = process::spawn(&prepared.epmd, log)?;
    let broker = match process::spawn(&prepared.process, log) {
        Ok(broker) => broker,
        Err(error) => {
            epmd.kill_tree();
            return Err(error.into());
        }
    };
    let running = Running { broker, epmd };
    cores::hold(running.broker.id().pid);
    // The broker asks for it a third of a second into its boot: there is time to look.
    let port = prepared
        .epmd
        .env
        .get("ERL_EPMD_PORT")
        .and_then(|port| port.parse().ok())
        .unwrap_or_default();
    if let Err(reason) = running.epmd_is_up(port).await {
        running.kill();
        return Err(RabbitError::Epmd { port, reason });
    }
    Ok(running)
}

impl Running {
    /// Gives the broker all cores. It boots on one, since there waking the other costs more than it brings.
    pub async fn booted(&self) {
        let pid = self.broker.id().pid;
        // Some hundred small files: not on the runtime's own threads.
        let freed = tokio::task::spawn_blocking(move || cores::free(pid));
        // Only a runtime that goes down refuses, and then nobody needs the cores.
        let _ = freed.await;
    }

    /// Shuts the broker down in order, for `grace` at most, then ends the port mapper and whatever is left.
    pub async fn stop(&self, grace: Duration) -> Exit {
        // The end of its input is what asks it to stop.
        drop(self.broker.take_stdin());
        // Whether it ended in time or not, nothing of it stays.
        let _ = tokio::time::timeout(grace, self.broker.wait()).await;
        self.broker.kill_tree();
        let exit = self.broker.wait().await;
        self.epmd.kill_tree();
        self.epmd.wait().await;
        exit
    }

    /// Ends all of it at once.
    pub fn kill(&self) {
        self.broker.kill_tree();
        self.epmd.kill_tree();
    }

    async fn epmd_is_up(&self, port: u16) -> Result<(), String> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let connect = async {
            while TcpStream::connect(addr).await.is_err() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            exit = self.epmd.wait() => Err(format!("it ended with {exit}")),
            up = tokio::time::timeout(EPMD_LIMIT, connect) => up.map_err(|_| "it does not answer".into()),
        }
    }
}

/// Holding a process on one core, and letting it go.
#[cfg(target_os = "linux")]
mod cores {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    use super::fs;

    /// Before it has made a thread: those that it makes later are held too. Another core for each, as far as there are any.
    pub(super) fn hold(pid: i32) {
        let Ok(ours) = sched_getaffinity(Pid::from_raw(0)) else {
            return;
        };
        let cores: Vec<usize> = (0..CpuSet::count())
            .filter(|core| ours.is_set(*core).unwrap_or(false))
            .collect();
        let Some(core) = cores.get(pid.unsigned_abs() as usize % cores.len().max(1)) else {
            return;
        };
        let mut one = CpuSet::new();
        if one.set(*core).is_ok() {
            // A slower boot is all that there is to lose.
            let _ = sched_setaffinity(Pid::from_raw(pid), &one);
        }
    }

    pub(super) fn free(pid: i32) {
        let Ok(ours) = sched_getaffinity(Pid::from_raw(0)) else {
            return;
        };
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
            return;
        };
        for thread in threads.flatten() {
            if let Some(id) = thread.file_name().to_str().and_then(|name| name.parse().ok()) {
                // A thread that has just ended needs none.
                let _ = sched_setaffinity(Pid::from_raw(id), &ours);
            }
        }
    }
}

/// Elsewhere the scheduler cannot be told.
#[cfg(not(target_os = "linux"))]
mod cores {
    pub(super) fn hold(_pid: i32) {}
    pub(super) fn free(_pid: i32) {}
}
