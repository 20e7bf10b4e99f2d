//! Edges in front of real servers: RabbitMQ and PostgreSQL of this machine.
//!
//! Where a server is missing the test says so and passes, except in CI.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests and their helpers say what they expect by panicking"
)]

mod postgres;
mod rabbitmq;

use std::net::SocketAddr;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use devctl_edge::{Edge, EdgeId, EdgeSpec, Edges, EdgesConfig, Protocol};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that ends with the test, whatever the test's end.
struct Server {
    child: Child,
    stop: Signal,
    after: Option<Command>,
}

impl Server {
    fn start(mut command: Command, stop: Signal) -> Self {
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Self {
            child: command.spawn().unwrap(),
            stop,
            after: None,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _ = kill(pid, self.stop);
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if began.elapsed() > PATIENCE {
                let _ = killpg(pid, Signal::SIGKILL);
            }
            std::thread::yield_now();
        }
        let _ = killpg(pid, Signal::SIGKILL);
        if let Some(mut after) = self.after.take() {
            let _ = after.output();
        }
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Says why there is nothing to test with, or fails where there must be.
fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    eprintln!("skipped: {reason}");
}

async fn edge(provider: &str, port: u16) -> (Edges, Edge) {
    let edges = Edges::new(EdgesConfig::default()).unwrap();
    let listen: SocketAddr = ([127, 0, 0, 1], 0).into();
    let spec = EdgeSpec::new(EdgeId::new("orders", provider, port), listen).protocol(Protocol::Auto);
    let edge = edges.open(spec).await.unwrap();
    (edges, edge)
}
