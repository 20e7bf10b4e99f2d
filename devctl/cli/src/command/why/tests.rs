//! The tree of reasons.

use super::*;
use devctl_wire::v1::{Dependency, Hold};

fn node(id: &str, state: State, waits_for: &[&str]) -> NodeStatus {
    NodeStatus {
        id: id.into(),
        service: id.into(),
        state: state.into(),
        wanted: true,
        holds: waits_for
            .iter()
            .map(|on| Hold {
                kind: "dependency".into(),
                on: (*on).into(),
                text: format!("{on} (starting)"),
                condition: String::new(),
            })
            .collect(),
        ..Default::default()
    }
}

fn needs(from: &str, to: &str) -> Dependency {
    Dependency {
        from: from.into(),
        to: to.into(),
        condition: "service_healthy".into(),
        required: true,
        restart: false,
    }
}

#[test]
fn a_chain_is_followed_to_its_end() {
    let failed = NodeStatus {
        exit_code: Some(1),
        ..node("auth-db", State::Failed, &[])
    };
    let status = StatusReply {
        nodes: vec![
            node("api", State::Waiting, &["auth", "rabbitmq"]),
            node("auth", State::Waiting, &["auth-db"]),
            failed,
            NodeStatus {
                summary: "starting, 0.4 s of 60 s".into(),
                ..node("rabbitmq", State::Starting, &[])
            },
        ],
        dependencies: vec![needs("api", "auth"), needs("api", "rabbitmq"), needs("auth", "auth-db")],
        ..Default::default()
    };
    assert_eq!(
        lines(&status, &status.nodes[0], Style::new(false)),
        [
            "api  waiting",
            "├─ auth (service healthy)  waiting",
            "│  └─ auth-db (service healthy)  failed: exited with 1",
            "└─ rabbitmq (service healthy)  starting, 0.4 s of 60 s",
        ]
    );
}

#[test]
fn a_cycle_is_printed_whole() {
    let status = StatusReply {
        nodes: vec![
            node("a", State::Waiting, &["b"]),
            node("b", State::Waiting, &["c"]),
            node("c", State::Waiting, &["a"]),
        ],
        ..Default::default()
    };
    assert_eq!(
        lines(&status, &status.nodes[0], Style::new(false)),
        [
            "a  waiting",
            "└─ b  waiting",
            "   └─ c  waiting",
            "      └─ cycle: a → b → c → a"
        ]
    );
}

#[test]
fn what_runs_says_how_it_came_up_the_slowest_first() {
    let ready = |id: &str, started: i64, ready: i64| NodeStatus {
        started_unix_ms: Some(started),
        ready_unix_ms: Some(ready),
        ..node(id, State::Ready, &[])
    };
    let status = StatusReply {
        nodes: vec![
            ready("api", 3500, 3600),
            ready("db", 0, 700),
            ready("rabbitmq", 0, 3400),
        ],
        dependencies: vec![needs("api", "db"), needs("api", "rabbitmq")],
        ..Default::default()
    };
    assert_eq!(
        lines(&status, &status.nodes[0], Style::new(false)),
        [
            "api  ready in 0.1 s",
            "├─ rabbitmq (service healthy)  ready in 3.4 s",
            "└─ db (service healthy)  ready in 0.7 s",
        ]
    );
}
