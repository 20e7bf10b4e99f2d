//! A node in Docker Compose's words, for scripts that read `docker compose ps --format json` or use its templates.

use devctl_wire::v1::{NodeStatus, PortStatus, State};
use serde_json::{Value, json};

use crate::error::Error;
use crate::render::board::why_failed;
use crate::render::json;
use crate::render::template;

/// The states that Docker Compose knows and a node can be in, and that of one whose engine does not answer.
pub(crate) const STATES: [&str; 8] = [
    "created",
    "running",
    "paused",
    "restarting",
    "removing",
    "exited",
    "dead",
    "unknown",
];

/// Letters of a container's id, where it is not the only word in its line.
const SHORT: usize = 12;

/// What the daemon says of a node that is made and was not started.
const CREATED: &str = "created";

/// A node's state in those words.
pub(crate) fn state(node: &NodeStatus) -> &'static str {
    match node.state() {
        State::Waiting if is_away(node) => "unknown",
        State::Waiting | State::Building => "created",
        State::Starting | State::Ready | State::Unhealthy => "running",
        State::Paused => "paused",
        State::Stopping => "removing",
        State::Backoff => "restarting",
        State::Down if node.summary == CREATED => "created",
        State::Down | State::Completed | State::Failed => "exited",
    }
}

/// Its engine does not answer: nobody knows how it is.
fn is_away(node: &NodeStatus) -> bool {
    node.holds.first().is_some_and(|hold| hold.kind == "away")
}

/// What the daemon says in one line; made up from the state where it says nothing.
pub(crate) fn status(node: &NodeStatus) -> String {
    if !node.summary.is_empty() {
        return node.summary.clone();
    }
    let state = json::state(node);
    match why_failed(node) {
        why if node.state() == State::Failed && !why.is_empty() => format!("{state}: {why}"),
        _ => state,
    }
}

/// By which others know it: its container's id; a process has its name.
pub(crate) fn id(node: &NodeStatus) -> &str {
    match node.container_id.as_str() {
        "" => &node.id,
        id => id,
    }
}

/// As tables have it.
fn short(node: &NodeStatus) -> &str {
    node.container_id.get(..SHORT).unwrap_or_else(|| id(node))
}

/// How it runs: the real version of a server, else the kind of runtime.
pub(crate) fn runtime(node: &NodeStatus) -> String {
    if node.version.is_empty() {
        node.runtime.clone()
    } else {
        node.version.clone()
    }
}

/// `127.0.0.1:8080->80/tcp, 5432/tcp`.
pub(crate) fn ports(node: &NodeStatus) -> String {
    let ports: Vec<String> = node.ports.iter().map(port).collect();
    ports.join(", ")
}

fn port(port: &PortStatus) -> String {
    let protocol = if port.protocol.is_empty() {
        "tcp"
    } else {
        &port.protocol
    };
    if port.published.is_empty() {
        format!("{}/{protocol}", port.target)
    } else {
        format!("{}->{}/{protocol}", port.published, port.target)
    }
}

/// The object of `--format json`: Docker Compose's fields, then devctl's own.
pub(crate) fn object(node: &NodeStatus, project: &str) -> Value {
    let name = if node.container_name.is_empty() {
        &node.id
    } else {
        &node.container_name
    };
    let publishers: Vec<Value> = node.ports.iter().map(publisher).collect();
    json!({
        "ID": short(node),
        "Name": name,
        "Service": node.service,
        "Project": project,
        "Image": node.image,
        "Command": node.command,
        "State": state(node),
        "Health": health(node),
        "ExitCode": node.exit_code.unwrap_or(0),
        "Status": status(node),
        "Ports": ports(node),
        "Publishers": publishers,
        "Runtime": node.runtime,
        "Version": node.version,
        "Pid": node.pid,
        "Run": node.run,
        "Restarts": node.restarts,
        "Contracts": node.contracts.as_ref().map(json::contracts),
        "Holds": node.holds.iter().map(json::hold).collect::<Vec<_>>(),
    })
}

fn publisher(port: &PortStatus) -> Value {
    let (url, published) = port.published.rsplit_once(':').unwrap_or(("", ""));
    json!({
        "URL": url.trim_matches(['[', ']']),
        "TargetPort": port.target,
        "PublishedPort": published.parse::<u32>().unwrap_or(0),
        "Protocol": if port.protocol.is_empty() { "tcp" } else { &port.protocol },
    })
}

fn health(node: &NodeStatus) -> &'static str {
    if !node.has_health_test {
        return "";
    }
    match node.state() {
        State::Ready => "healthy",
        State::Unhealthy => "unhealthy",
        State::Starting => "starting",
        _ => "",
    }
}

/// The lines of a template of the object's fields.
pub(crate) fn template(format: &str, nodes: &[&NodeStatus], project: &str) -> Result<Vec<String>, Error> {
    let known = object(&NodeStatus::default(), project);
    let objects: Vec<Value> = nodes.iter().map(|node| object(node, project)).collect();
    let (first, second) = ("Name", "Status");
    // The two that come to mind first, for whoever is told how a template is written.
    let mut fields = template::fields(&known);
    fields.sort_by_key(|field| (*field != first, *field != second));
    template::lines(format, &objects, &fields, "service")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeStatus {
        NodeStatus {
            id: "api".into(),
            service: "api".into(),
            state: State::Ready.into(),
            has_health_test: true,
            ports: vec![PortStatus {
                target: 80,
                protocol: "tcp".into(),
                published: "127.0.0.1:8080".into(),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn scripts_for_docker_compose_find_their_fields() {
        let object = object(&node(), "phoenix");
        assert_eq!(object["State"], "running");
        assert_eq!(object["Health"], "healthy");
        assert_eq!(
            object["Publishers"][0],
            json!({"URL": "127.0.0.1", "TargetPort": 80, "PublishedPort": 8080, "Protocol": "tcp"})
        );
    }

    #[test]
    fn templates_are_filled_and_their_slips_named() {
        let node = node();
        assert_eq!(
            template("{{.Name}}: {{ .State }}", &[&node], "p").unwrap(),
            ["api: running"]
        );
        assert_eq!(
            template("table {{.Name}}\\t{{.Ports}}", &[&node], "p").unwrap(),
            ["NAME   PORTS", "api    127.0.0.1:8080->80/tcp"]
        );
        let slip = template("{{.Nmae}}", &[&node], "p").unwrap_err();
        assert_eq!(slip.to_string(), "`{{.Nmae}}` is no field of a service");
        assert!(template("yaml", &[&node], "p").is_err());
        assert!(template("{{range .}}", &[&node], "p").is_err());
    }
}
