//! `ps`, `port`, `graph`, `why`, `events`: what they print of a snapshot.

use devctl_wire::v1::{Level, update::What};
use insta::assert_snapshot;

use crate::fake::Script;
use crate::sandbox::Sandbox;
use crate::stories::{is, notice, status};

fn with_status() -> (Sandbox, crate::fake::Fake) {
    let sandbox = Sandbox::shop();
    let daemon = sandbox.daemon(Script {
        status: status(),
        ..Default::default()
    });
    (sandbox, daemon)
}

#[test]
fn ps_shows_what_runs_and_what_should() {
    let (sandbox, _daemon) = with_status();
    assert_snapshot!(sandbox.devctl(&["ps"]), @r#"
    status: 0
    --- stdout
    NAME   RUNTIME            STATUS                               PORTS
    db     PostgreSQL 15.18   ready for 3 s                        5432/tcp
    api    native             waiting for seed (starting, 0.4 s)   127.0.0.1:8080->80/tcp
    "#);
    assert_snapshot!(sandbox.devctl(&["ps", "-a", "--format", "table {{.Service}}\t{{.State}}\t{{.ExitCode}}"]), @r#"
    status: 0
    --- stdout
    SERVICE   STATE     EXITCODE
    db        running   0
    seed      exited    0
    api       created   0
    "#);
    assert_snapshot!(sandbox.devctl(&["ps", "-q"]), @r#"
    status: 0
    --- stdout
    db
    api
    "#);
    assert_snapshot!(sandbox.devctl(&["ps", "--services", "--status", "exited"]), @r#"
    status: 0
    --- stdout
    seed
    "#);
    assert_snapshot!(sandbox.devctl(&["ps", "--filter", "status=running", "--format", "json"]), @r#"
    status: 0
    --- stdout
    {"ID":"db","Name":"db","Service":"db","Project":"shop","Image":"postgres:15","Command":"","State":"running","Health":"healthy","ExitCode":0,"Status":"ready for 3 s","Ports":"5432/tcp","Publishers":[{"URL":"","TargetPort":5432,"PublishedPort":0,"Protocol":"tcp"}],"Runtime":"postgres","Version":"PostgreSQL 15.18","Pid":4712,"Run":1,"Restarts":0,"Contracts":null,"Holds":[]}
    "#);
    assert_snapshot!(sandbox.devctl(&["ps", "--format", "{{.Nmae}}"]), @r#"
    status: 2
    --- stderr
    error: `{{.Nmae}}` is no field of a service
     help: did you mean `{{.Name}}`?
    "#);
}

#[test]
fn ps_without_a_daemon_knows_the_files() {
    let sandbox = Sandbox::shop();
    assert_snapshot!(sandbox.devctl(&["ps"]), @r#"
    status: 0
    --- stdout
    NAME   RUNTIME   STATUS   PORTS
    "#);
    assert_snapshot!(sandbox.devctl(&["ps", "-a"]), @r#"
    status: 0
    --- stdout
    NAME   RUNTIME   STATUS   PORTS
    db               down
    seed             down
    api              down
    "#);
}

#[test]
fn port_prints_where_to_connect() {
    let (sandbox, _daemon) = with_status();
    assert_snapshot!(sandbox.devctl(&["port", "api", "80"]), @r#"
    status: 0
    --- stdout
    127.0.0.1:8080
    "#);
    assert_snapshot!(sandbox.devctl(&["port", "db", "5432"]), @r#"
    status: 0
    --- stdout
    127.0.0.1:20001
    "#);
    assert_snapshot!(sandbox.devctl(&["port", "api", "81"]), @r#"
    status: 1
    --- stderr
    error: port 81/tcp of `api` has no address
     help: its ports are 80/tcp
    "#);
    assert_snapshot!(sandbox.devctl(&["port", "--index", "2", "api", "80"]), @r#"
    status: 1
    --- stderr
    error: `api` has no replica 2
     help: it has 1
    "#);
}

#[test]
fn graph_draws_what_the_files_say() {
    let sandbox = Sandbox::shop();
    assert_snapshot!(sandbox.devctl(&["graph"]), @r#"
    status: 0
    --- stdout
    flowchart LR
        n0["db"]
        n1(["seed"])
        n2["api"]
        n1 -->|healthy| n0
        n2 -->|healthy| n0
        n2 -->|completed| n1
    "#);
    assert_snapshot!(sandbox.devctl(&["graph", "--format", "dot", "seed"]), @r#"
    status: 0
    --- stdout
    digraph "shop" {
        rankdir=LR;
        node [shape=box];
        "db";
        "seed" [shape=oval];
        "seed" -> "db" [label="healthy"];
    }
    "#);
}

#[test]
fn graph_of_what_runs_has_states() {
    let (sandbox, _daemon) = with_status();
    assert_snapshot!(sandbox.devctl(&["graph"]), @r#"
    status: 0
    --- stdout
    flowchart LR
        n0[("db")]:::ready
        n1(["seed"]):::ready
        n2["api"]:::busy
        n1 -->|healthy| n0
        n2 -->|healthy| n0
        n2 -->|completed| n1
        classDef ready stroke:#2da44e,stroke-width:2px
        classDef busy stroke:#bf8700,stroke-width:2px
    "#);
    assert_snapshot!(sandbox.devctl(&["graph", "--format", "json", "seed"]), @r#"
    status: 0
    --- stdout
    {"project":"shop","nodes":[{"service":"db","kind":"service","state":"ready"},{"service":"seed","kind":"job","state":"completed"}],"dependencies":[{"from":"seed","to":"db","condition":"service_healthy","required":true,"restart":false}],"edges":[]}
    "#);
}

#[test]
fn why_follows_the_reasons() {
    let (sandbox, _daemon) = with_status();
    assert_snapshot!(sandbox.devctl(&["why"]), @r#"
    status: 0
    --- stdout
    api  waiting
    └─ seed (service completed successfully)  completed
       └─ db (service healthy)  ready in 0.7 s
    "#);
    assert_snapshot!(sandbox.devctl(&["why", "seed"]), @r#"
    status: 0
    --- stdout
    seed  completed
    └─ db (service healthy)  ready in 0.7 s
    "#);
    assert_snapshot!(sandbox.devctl(&["why", "--format", "json", "seed"]), @r#"
    status: 0
    --- stdout
    {"node":"seed","state":"completed","summary":"completed 2 s ago","started_unix_ms":null,"ready_unix_ms":null,"contracts":null,"because":[{"node":"db","state":"ready","summary":"ready for 3 s","started_unix_ms":1764000000000,"ready_unix_ms":1764000000700,"contracts":null,"because":[],"condition":"service healthy"}]}
    "#);
}

#[test]
fn why_of_a_project_that_is_down() {
    let sandbox = Sandbox::shop();
    assert_snapshot!(sandbox.devctl(&["why"]), @r#"
    status: 0
    --- stdout
    project `shop` is not up; `devctl up` starts it
    "#);
}

#[test]
fn events_are_notices_and_nothing_else() {
    let sandbox = Sandbox::shop();
    let _daemon = sandbox.daemon(Script {
        events: vec![
            is("db", devctl_wire::v1::State::Ready),
            notice("db", Level::Info, "ready", "ready after 0.7 s"),
            notice("api[2]", Level::Warning, "restarting", "restarts in 2 s"),
            notice("api-extra", Level::Info, "ready", "another service"),
            What::Notice(devctl_wire::v1::Notice {
                level: Level::Error.into(),
                node: "api".into(),
                text: "exited with 1".into(),
                help: "look at its logs".into(),
                lines: vec!["no database".into()],
                ..Default::default()
            })
            .into(),
        ],
        ..Default::default()
    });
    assert_snapshot!(sandbox.devctl(&["events"]), @r#"
    status: 0
    --- stdout
    2025-11-24T16:00:00.000Z db  ready after 0.7 s
    2025-11-24T16:00:00.000Z warning: api[2]  restarts in 2 s
    2025-11-24T16:00:00.000Z api-extra  another service
    1970-01-01T00:00:00.000Z error: api  exited with 1
        no database
      help: look at its logs
    "#);
    assert_snapshot!(sandbox.devctl(&["events", "--json", "api"]), @r#"
    status: 0
    --- stdout
    {"type":"notice","number":7,"time":"2025-11-24T16:00:00.000Z","level":"warning","node":"api[2]","kind":"restarting","text":"restarts in 2 s","help":"","lines":[]}
    {"type":"notice","number":0,"time":"1970-01-01T00:00:00.000Z","level":"error","node":"api","kind":"","text":"exited with 1","help":"look at its logs","lines":["no database"]}
    "#);
}

#[test]
fn doctor_names_what_cannot_run_here_and_what_to_do() {
    let sandbox = Sandbox::shop();
    let output = sandbox.command(&["doctor", "--format", "json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let services = report["services"].as_array().unwrap();
    let api = services.iter().find(|service| service["service"] == "api").unwrap();
    assert_eq!(
        (&api["runtime"], &api["finding"]["grade"]),
        (&serde_json::Value::Null, &"fault".into())
    );
    assert!(api["finding"]["help"].as_str().unwrap().contains("x-devctl"), "{api}");
    assert_eq!(output.status.code(), Some(1), "a service cannot run");
    let shown = sandbox.devctl(&["--runtime", "docker", "doctor", "seed"]);
    assert!(shown.contains("This machine\n") && shown.contains("✗ seed"), "{shown}");
    assert!(!shown.contains("✗ api"), "{shown}");
}
