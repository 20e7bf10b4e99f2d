//! Words for scripts: nodes, notices and outcomes in a line each.

use devctl_wire::v1::{
    Dependency, Failure, Hold, Level, LogLine, NodeStatus, Notice, Outcome, PathStep, PortStatus, Result as Ended,
    State, StatusReply, update::What,
};

use crate::fake::Step;

pub(crate) fn node(id: &str, state: State) -> NodeStatus {
    NodeStatus {
        id: id.into(),
        service: id.into(),
        index: 1,
        kind: "service".into(),
        runtime: "native".into(),
        state: state.into(),
        wanted: true,
        ..Default::default()
    }
}

pub(crate) fn is(id: &str, state: State) -> Step {
    What::Node(node(id, state)).into()
}

pub(crate) fn notice(id: &str, level: Level, kind: &str, text: &str) -> Step {
    What::Notice(Notice {
        number: 7,
        time_unix_ms: 1_764_000_000_000,
        level: level.into(),
        node: id.into(),
        kind: kind.into(),
        text: text.into(),
        ..Default::default()
    })
    .into()
}

pub(crate) fn log(id: &str, line: &str) -> Step {
    What::Log(LogLine {
        node: id.into(),
        run: 1,
        time_unix_ns: 1_764_000_000_123_456_789,
        line: line.into(),
        ..Default::default()
    })
    .into()
}

pub(crate) fn ready() -> Step {
    What::Outcome(Outcome {
        result: Ended::Ready.into(),
        seconds: 4.21,
        ready: 2,
        completed: 1,
        changed: 3,
        critical_path: vec![
            PathStep {
                node: "db".into(),
                what: "start".into(),
                seconds: 3.9,
                detail: String::new(),
            },
            PathStep {
                node: "api".into(),
                what: "ready".into(),
                seconds: 0.3,
                detail: String::new(),
            },
        ],
        own_share: 0.012,
        ..Default::default()
    })
    .into()
}

pub(crate) fn ended(result: Ended) -> Step {
    What::Outcome(Outcome {
        result: result.into(),
        seconds: 1.5,
        ..Default::default()
    })
    .into()
}

pub(crate) fn failed() -> Step {
    What::Outcome(Outcome {
        result: Ended::Failed.into(),
        seconds: 2.0,
        failures: vec![Failure {
            node: "api".into(),
            what: "exited with 101".into(),
            why: "it ended before it was ready".into(),
            help: "`devctl logs api` has all of it".into(),
            exit_code: Some(101),
            probe_output: "GET /healthz: connection refused".into(),
            log_tail: vec!["thread 'main' panicked at src/main.rs:4".into(), "no database".into()],
        }],
        ..Default::default()
    })
    .into()
}

/// A shop that is half up.
pub(crate) fn status() -> StatusReply {
    let needs = |from: &str, to: &str, condition: &str| Dependency {
        from: from.into(),
        to: to.into(),
        condition: condition.into(),
        required: true,
        restart: false,
    };
    StatusReply {
        project: "shop".into(),
        nodes: vec![
            NodeStatus {
                runtime: "postgres".into(),
                version: "PostgreSQL 15.18".into(),
                image: "postgres:15".into(),
                summary: "ready for 3 s".into(),
                pid: 4712,
                run: 1,
                has_health_test: true,
                started_unix_ms: Some(1_764_000_000_000),
                ready_unix_ms: Some(1_764_000_000_700),
                ports: vec![PortStatus {
                    target: 5432,
                    protocol: "tcp".into(),
                    address: "127.0.0.1:20001".into(),
                    ..Default::default()
                }],
                ..node("db", State::Ready)
            },
            NodeStatus {
                kind: "job".into(),
                exit_code: Some(0),
                summary: "completed 2 s ago".into(),
                ..node("seed", State::Completed)
            },
            NodeStatus {
                summary: "waiting for seed (starting, 0.4 s)".into(),
                holds: vec![Hold {
                    kind: "dependency".into(),
                    on: "seed".into(),
                    text: "seed (starting, 0.4 s)".into(),
                    condition: String::new(),
                }],
                ports: vec![PortStatus {
                    target: 80,
                    protocol: "tcp".into(),
                    published: "127.0.0.1:8080".into(),
                    address: "127.0.0.1:20002".into(),
                    url: "http://127.0.0.1:8080".into(),
                }],
                ..node("api", State::Waiting)
            },
        ],
        dependencies: vec![
            needs("seed", "db", "service_healthy"),
            needs("api", "db", "service_healthy"),
            needs("api", "seed", "service_completed_successfully"),
        ],
        ..Default::default()
    }
}
