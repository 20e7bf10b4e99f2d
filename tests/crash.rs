//! Nothing outlives the daemon, and nothing is lost with it.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Project, wait_for};

const COMPOSE: &str = r#"
services:
  stubborn:
    image: app
    environment: {NAME: stubborn, IGNORE_TERM: "1", SPAWN: "1", HOLDS: "$$PWD"}
    x-devctl:
      native: {command: [python3, $SERVICE], ports: {"8080": PORT}, ready: /healthz}
"#;

/// The daemon and its guardian.
fn daemon(project: &Project) -> (i32, i32) {
    let find = |verb: &str| {
        project
            .processes()
            .into_iter()
            .find(|(_, command)| command.contains(verb))
            .map(|(pid, _)| pid)
    };
    let daemon = wait_for("the daemon", Duration::from_secs(5), || find("__daemon"));
    let guardian = wait_for("the guardian", Duration::from_secs(5), || find("__guardian"));
    (daemon, guardian)
}

#[test]
fn kill_9_of_the_daemon_leaves_nothing_after_two_seconds() {
    let project = Project::new(COMPOSE);
    project.ok(&["up", "-d", "--wait"]);
    wait_for("a child that has lost its parent", Duration::from_secs(10), || {
        let processes = project.processes();
        let found = processes.iter().find(|(_, command)| command.starts_with("sleep 1001"));
        found.map(|_| ())
    });
    let (daemon, _) = daemon(&project);
    kill(Pid::from_raw(daemon), Signal::SIGKILL).expect("the daemon is there");
    let took = project.wait_until_gone(Duration::from_secs(4));
    assert!(took <= Duration::from_millis(2500), "it took {took:?}");

    let said = project.ok(&["up", "-d", "--wait"]);
    assert!(project.pid("stubborn") > 0, "{}", said.err);
    let logs = project.ok(&["logs", "stubborn"]).out;
    assert_eq!(logs.matches("stubborn starts").count(), 2, "{logs}");
}

#[test]
fn the_daemon_does_not_outlive_its_guardian() {
    let project = Project::new(COMPOSE);
    project.ok(&["up", "-d", "--wait"]);
    let (_, guardian) = daemon(&project);
    kill(Pid::from_raw(guardian), Signal::SIGKILL).expect("the guardian is there");
    project.wait_until_gone(Duration::from_secs(15));
}

#[test]
fn a_daemon_with_nothing_to_run_ends_itself() {
    let project = Project::new(COMPOSE);
    project.ok(&["up", "-d", "--wait"]);
    project.ok(&["down", "-t", "1"]);
    project.wait_until_gone(Duration::from_secs(10));
}
