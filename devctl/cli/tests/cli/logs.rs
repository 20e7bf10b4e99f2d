//! `logs`: from the files, with no daemon; followed, from the daemon.

use devctl_drivers::log::{LogStore, Redaction, Retention, Stream};
use insta::assert_snapshot;

use crate::fake::{Asked, Script};
use crate::sandbox::Sandbox;
use crate::stories::log;

/// Logs that an earlier `up` left behind.
fn with_logs() -> Sandbox {
    let sandbox = Sandbox::shop();
    let store = LogStore::new(&sandbox.dirs().logs, Retention::default());
    let db = store.run("db", 1, Redaction::default());
    let api = store.run("api", 1, Redaction::default());
    db.line(Stream::Stderr, b"database system is ready");
    api.line(Stream::Stdout, b"listening on 80");
    api.line(Stream::Stdout, b"GET /orders 200");
    api.line(Stream::Stdout, b"\x1b[31mGET /orders 500\x1b[0m");
    sandbox
}

#[test]
fn logs_outlive_the_daemon() {
    let sandbox = with_logs();
    assert_snapshot!(sandbox.devctl(&["logs"]), @r#"
    status: 0
    --- stdout
    db  | database system is ready
    api | listening on 80
    api | GET /orders 200
    api | GET /orders 500
    "#);
    assert_snapshot!(sandbox.devctl(&["logs", "-n", "1"]), @r#"
    status: 0
    --- stdout
    db  | database system is ready
    api | GET /orders 500
    "#);
    assert_snapshot!(sandbox.devctl(&["logs", "--no-log-prefix", "--grep", "GET .* 5..", "api"]), @r#"
    status: 0
    --- stdout
    GET /orders 500
    "#);
    assert_snapshot!(sandbox.devctl(&["--color", "always", "logs", "--tail", "1", "api"]), @r#"
    status: 0
    --- stdout
    [36mapi |[0m [31mGET /orders 500[0m
    "#);
    assert_snapshot!(sandbox.devctl(&["logs", "--until", "1h"]), @r#"
    status: 0
    "#);
    assert_snapshot!(sandbox.devctl(&["logs", "-f", "db"]), @r#"
    status: 0
    --- stdout
    db | database system is ready
    --- stderr
    project `shop` is not up: these are its last lines
    "#);
}

#[test]
fn json_and_times() {
    let sandbox = with_logs();
    let output = sandbox.command(&["logs", "--format", "json", "db"]).output().unwrap();
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (line["node"].as_str(), line["stream"].as_str()),
        (Some("db"), Some("stderr"))
    );
    let output = sandbox.command(&["logs", "-t", "db"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let time = text.strip_prefix("db | ").unwrap().split(' ').next().unwrap();
    assert_eq!(time, line["time"].as_str().unwrap());
}

#[test]
fn followed_logs_come_from_the_daemon() {
    let sandbox = with_logs();
    let daemon = sandbox.daemon(Script {
        status: crate::stories::status(),
        events: vec![log("api", "one"), log("db", "not asked for"), log("api", "two")],
        ..Default::default()
    });
    assert_snapshot!(sandbox.devctl(&["logs", "-f", "--tail", "5", "--grep", "t", "api"]), @r#"
    status: 0
    --- stdout
    api | two
    "#);
    let asked = daemon.asked();
    let Some(Asked::Events(events)) = asked.last() else {
        panic!("{asked:?}")
    };
    assert_eq!(events.logs.as_ref().and_then(|logs| logs.tail), Some(5));
}

#[test]
fn the_end_of_the_daemon_is_the_end_of_what_is_followed() {
    let gone = || crate::fake::Step::Fail(tonic::Code::Unavailable, "");
    let sandbox = with_logs();
    let _daemon = sandbox.daemon(Script {
        events: vec![log("api", "last words"), gone()],
        ..Default::default()
    });
    let shown = sandbox.devctl(&["logs", "-f", "api"]);
    assert!(
        shown.starts_with("status: 0\n") && shown.contains("last words"),
        "{shown}"
    );
    assert!(sandbox.devctl(&["events"]).starts_with("status: 0\n"));
}

#[test]
fn a_service_that_was_never_there_is_named() {
    let sandbox = with_logs();
    assert_snapshot!(sandbox.devctl(&["logs", "apj"]), @r#"
    status: 2
    --- stderr
    error: project `shop` has no service `apj`
     help: did you mean `api`?
    "#);
    assert_snapshot!(sandbox.devctl(&["logs", "--grep", "("]), @r#"
    status: 2
    --- stderr
    error: invalid value '(' for '--grep <REGEX>': regex parse error:
        (
        ^
    error: unclosed group

    For more information, try '--help'.
    "#);
}
