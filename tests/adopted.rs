//! What a daemon that was killed leaves in Docker: the next command takes it over as it is, and does nothing twice.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::containers::{Containers, IMAGE, docker, project};
use crate::support::wait_for;

/// The job's data is far away: it needs `auth`, which needs `db`. `db` writes to its volume whenever it is told to.
fn seeded() -> Option<Containers> {
    project(&format!(
        r#"
services:
  db:
    image: {IMAGE}
    init: true
    command: [sh, -c, "touch /data/up; exec sleep 3600"]
    volumes: [data:/data]
    healthcheck: {{test: [CMD, test, -f, /data/up], interval: 1s}}
  auth:
    image: {IMAGE}
    init: true
    command: sleep 3600
    depends_on: {{db: {{condition: service_healthy}}}}
    healthcheck: {{test: [CMD, "true"], interval: 1s}}
  seed:
    image: {IMAGE}
    command: echo seeding
    depends_on: {{auth: {{condition: service_healthy}}}}
  app:
    image: {IMAGE}
    init: true
    command: sleep 3600
    depends_on: {{seed: {{condition: service_completed_successfully}}}}
volumes: {{data: {{}}}}
"#
    ))
}

fn end_its_daemon(project: &Containers) {
    kill(Pid::from_raw(project.project.daemon()), Signal::SIGKILL).expect("the daemon is there");
    project.project.wait_until_gone(Duration::from_secs(5));
}

#[test]
fn a_job_whose_work_is_done_is_not_run_again_and_nothing_counts_as_changed() {
    let Some(project) = seeded() else { return };
    project.ok(&["up", "-d", "--wait"]);
    let first = project.inspect("seed-1", "{{.State.StartedAt}}");
    let db = format!("{}-db-1", project.name);
    // An engine's date of a volume is that of its last change, in whole seconds.
    let made = project.inspect("db-1", "{{.State.StartedAt}}");
    wait_for("the next second", Duration::from_secs(5), || {
        let now = docker(&["exec", &db, "date", "-u", "+%Y-%m-%dT%H:%M:%S"])?;
        (!made.starts_with(now.trim())).then_some(())
    });
    docker(&["exec", &db, "touch", "/data/more"]).expect("a file");
    end_its_daemon(&project);

    let plan = project.ok(&["up", "--dry-run"]).out;
    assert!(!plan.contains("create"), "{plan}");
    let up = project.ok(&["up", "-d", "--wait"]);
    assert_eq!(project.inspect("seed-1", "{{.State.StartedAt}}"), first, "{}", up.err);
    assert!(
        up.err.contains("nothing to change") || up.out.contains("nothing to change"),
        "{up:?}"
    );
    assert!(!up.err.contains("changed"), "{up:?}");

    // New data is seeded.
    project.ok(&["down", "-v", "-t", "0"]);
    project.ok(&["up", "-d", "--wait"]);
    assert_ne!(project.inspect("seed-1", "{{.State.StartedAt}}"), first);
}

#[test]
fn what_was_paused_goes_on_where_an_up_covers_it() {
    let Some(project) = seeded() else { return };
    project.ok(&["up", "-d", "--wait"]);
    project.ok(&["pause", "app", "auth"]);
    end_its_daemon(&project);
    let paused = |name: &str| project.inspect(name, "{{.State.Paused}}").trim() == "true";
    project.ok(&["up", "-d", "--wait", "auth"]);
    assert!(!paused("auth-1") && paused("app-1"));
    project.ok(&["up", "-d", "--wait"]);
    assert!(!paused("app-1"));
}
