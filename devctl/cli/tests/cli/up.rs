//! `up`: in the foreground, detached, waiting, failing, interrupted.

use devctl_wire::v1::{Level, Result as Ended, State};
use insta::assert_snapshot;
use nix::sys::signal::Signal;

use crate::fake::{Asked, Script, Step};
use crate::sandbox::Sandbox;
use crate::stories::{ended, failed, is, log, notice, ready};

fn coming_up() -> Vec<Step> {
    vec![
        is("db", State::Starting),
        notice("db", Level::Info, "starting", "starting PostgreSQL 15.18"),
        is("db", State::Ready),
        notice("db", Level::Info, "ready", "ready after 3.9 s"),
        is("api", State::Ready),
        ready(),
    ]
}

#[test]
fn waiting_ends_with_a_summary() {
    let sandbox = Sandbox::shop();
    let daemon = sandbox.daemon(Script {
        up: coming_up(),
        status: crate::stories::status(),
        ..Default::default()
    });
    assert_snapshot!(sandbox.devctl(&["up", "-d", "--wait", "--wait-timeout", "60", "api"]), @r#"
    status: 0
    --- stdout
    ready in 4.2 s · 2 ready, 1 completed, 3 changed
      api  http://127.0.0.1:8080
    critical path: db start 3.90 s → api ready 0.30 s · devctl's own part 1.2 %
    --- stderr
    db  starting PostgreSQL 15.18
    db  ready after 3.9 s
    "#);
    let asked = daemon.up();
    assert!(asked.wait && !asked.attach);
    assert_eq!((asked.wait_timeout_s, asked.services), (60, vec!["api".to_owned()]));
    let source = asked.source.unwrap();
    assert_eq!(source.working_directory, sandbox.dir().to_string_lossy());
    assert_eq!(source.environment["PATH"], "/usr/bin:/bin");
}

#[test]
fn a_failure_shows_what_it_last_said_and_ends_with_one() {
    let sandbox = Sandbox::shop();
    let _daemon = sandbox.daemon(Script {
        up: vec![is("api", State::Failed), failed()],
        ..Default::default()
    });
    assert_snapshot!(sandbox.devctl(&["up", "--wait"]), @r#"
    status: 1
    --- stderr
    ✗ api exited with 101
       why: it ended before it was ready
       its health test said:
         GET /healthz: connection refused
       its last lines:
         thread 'main' panicked at src/main.rs:4
         no database
      help: `devctl logs api` has all of it
    failed after 2.0 s: api
    "#);
}

#[test]
fn json_is_all_of_stdout() {
    let sandbox = Sandbox::shop();
    let _daemon = sandbox.daemon(Script {
        up: coming_up(),
        ..Default::default()
    });
    let output = sandbox.command(&["--format", "json", "up", "--wait"]).output().unwrap();
    let lines: Vec<serde_json::Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["node", "notice", "node", "notice", "node", "outcome"]);
    assert_eq!(lines[0]["state"], "starting");
    assert_eq!(lines[5]["result"], "ready");
    assert!(output.stderr.is_empty());
}

#[test]
fn in_the_foreground_ctrl_c_takes_the_graph_down() {
    let sandbox = Sandbox::shop();
    let mut up = coming_up();
    up.extend([
        Step::AwaitRelease(1),
        notice("api", Level::Info, "stopped", "stopped"),
        ended(Ended::Stopped),
    ]);
    let daemon = sandbox.daemon(Script {
        up,
        events: vec![
            notice("db", Level::Info, "ready", "ready after 3.9 s"),
            log("db", "ready for connections"),
            log("api", "\x1b[2Jlistening"),
            Step::AwaitRelease(1),
        ],
        ..Default::default()
    });
    let mut running = sandbox.spawn(&["up"]);
    running.wait_for("ready in");
    running.signal(Signal::SIGINT);
    let shown = running.end(&sandbox);
    assert!(shown.starts_with("status: 130\n"), "{shown}");
    assert!(shown.contains("db  | ready for connections\n"), "{shown}");
    assert!(shown.contains("api | listening\n"), "{shown}");
    assert_eq!(shown.matches("ready after 3.9 s").count(), 1, "{shown}");
    assert!(shown.contains("stopping; Ctrl-C again kills at once\n"), "{shown}");
    assert!(shown.contains("stopped in "), "{shown}");
    let released: Vec<bool> = daemon
        .asked()
        .iter()
        .filter_map(|asked| {
            if let Asked::Release(release) = asked {
                Some(release.kill)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(released, [false]);
}

#[test]
fn twice_kills() {
    let sandbox = Sandbox::shop();
    let mut up = coming_up();
    up.extend([
        Step::AwaitRelease(1),
        notice("api", Level::Warning, "stopping", "does not end"),
        log("api", "asked to stop"),
        Step::AwaitRelease(2),
        ended(Ended::Stopped),
    ]);
    let daemon = sandbox.daemon(Script {
        up,
        events: vec![Step::AwaitRelease(2)],
        ..Default::default()
    });
    let mut running = sandbox.spawn(&["up"]);
    running.wait_for("ready in");
    running.signal(Signal::SIGTERM);
    running.wait_for("asked to stop");
    running.signal(Signal::SIGINT);
    let shown = running.end(&sandbox);
    assert!(shown.starts_with("status: 143\n"), "{shown}");
    let released: Vec<bool> = daemon
        .asked()
        .iter()
        .filter_map(|asked| {
            if let Asked::Release(release) = asked {
                Some(release.kill)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(released, [false, true]);
}

#[test]
fn a_second_clients_ctrl_c_only_detaches_it() {
    let sandbox = Sandbox::shop();
    let mut up = coming_up();
    up.push(Step::AwaitRelease(9));
    let _daemon = sandbox.daemon(Script {
        up,
        events: vec![Step::AwaitRelease(9)],
        others: true,
        ..Default::default()
    });
    let mut running = sandbox.spawn(&["up"]);
    running.wait_for("ready in");
    running.signal(Signal::SIGINT);
    let shown = running.end(&sandbox);
    assert!(
        shown.starts_with("status: 130\n") && shown.contains("left; others are still attached"),
        "{shown}"
    );
}

#[test]
fn a_services_status_becomes_the_commands() {
    let sandbox = Sandbox::shop();
    let exited = devctl_wire::v1::NodeStatus {
        exit_code: Some(7),
        ..crate::stories::node("seed", State::Failed)
    };
    let _daemon = sandbox.daemon(Script {
        up: vec![
            Step::AwaitLogs,
            devctl_wire::v1::update::What::Node(exited).into(),
            Step::AwaitRelease(1),
            ended(Ended::Stopped),
        ],
        events: vec![Step::AwaitRelease(1)],
        ..Default::default()
    });
    let shown = sandbox.devctl(&["up", "--exit-code-from", "seed"]);
    assert!(
        shown.starts_with("status: 7\n") && shown.contains("`seed` ended: stopping\n"),
        "{shown}"
    );
}

#[test]
fn whoever_reads_may_go_away() {
    let sandbox = Sandbox::shop();
    let _daemon = sandbox.daemon(Script {
        up: vec![Step::AwaitLogs, is("db", State::Ready), ready(), Step::AwaitRelease(1)],
        events: vec![log("db", "one"), log("db", "two")],
        ..Default::default()
    });
    let (reader, writer) = nix::unistd::pipe().unwrap();
    drop(reader);
    let output = sandbox.command(&["up"]).stdout(writer).output().unwrap();
    assert_eq!(sandbox.shown(&output), "status: 141\n");
}

#[test]
fn a_dry_run_says_why() {
    use devctl_wire::v1::{Change, Plan, update::What};
    let sandbox = Sandbox::shop();
    let change = |node: &str, action: &str, reason: &str| Change {
        node: node.into(),
        action: action.into(),
        reason: reason.into(),
    };
    let plan = Plan {
        changes: vec![
            change("db", "keep", ""),
            change("api", "recreate", "`image` changed: shop/api → shop/api:2"),
            change("old", "orphan", "no longer in the files"),
        ],
        ..Default::default()
    };
    let _daemon = sandbox.daemon(Script {
        up: vec![What::Plan(plan).into(), ended(Ended::Planned)],
        ..Default::default()
    });
    assert_snapshot!(sandbox.devctl(&["up", "--dry-run"]), @r#"
    status: 0
    --- stdout
    keep      db
    recreate  api  `image` changed: shop/api → shop/api:2
    orphan    old  no longer in the files
    nothing was done (--dry-run)
    "#);
}
