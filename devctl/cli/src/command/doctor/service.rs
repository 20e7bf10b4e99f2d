//! What a service of the project gets: how it runs here, and which of its attributes mean something there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use devctl_drivers::lease::who_listens;
use devctl_drivers::server::{Requirement, Server, Version};
use serde_json::Value;

use super::attributes::{Fate, Kind, fate};
use super::machine::Machine;
use super::{Finding, Grade};
use crate::args::Runtime;

/// What a service gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assessment {
    /// The service.
    pub(crate) service: String,
    /// `process`, `postgres`, `rabbitmq`, `stub`, `external`, or empty where it cannot run.
    pub(crate) runtime: &'static str,
    /// How it runs, or why it cannot.
    pub(crate) finding: Finding,
    /// Attributes that mean what they mean in a container.
    pub(crate) honoured: Vec<String>,
    /// Attributes of the container that is not there.
    pub(crate) passed_by: Vec<String>,
    /// Attributes that ask for what is not given, and what there is in their place.
    pub(crate) unsupported: Vec<(String, &'static str)>,
}

/// Assesses a service from its JSON, as `config --format json` prints it.
pub(crate) fn assess(name: &str, service: &Value, machine: &Machine, runtime: Runtime) -> Assessment {
    let (runtime, kind, finding) = place(name, service, machine, runtime);
    let mut assessment = Assessment {
        service: name.to_owned(),
        runtime,
        finding,
        honoured: Vec::new(),
        passed_by: Vec::new(),
        unsupported: Vec::new(),
    };
    let attributes = service
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| says_something(value));
    if let Some(kind) = kind {
        for (attribute, _) in attributes {
            match fate(attribute, kind) {
                Fate::Honoured => assessment.honoured.push(attribute.clone()),
                Fate::PassedBy => assessment.passed_by.push(attribute.clone()),
                Fate::Unsupported(instead) => assessment.unsupported.push((attribute.clone(), instead)),
            }
        }
    }
    if !assessment.unsupported.is_empty() {
        assessment.finding.grade = assessment.finding.grade.max(Grade::Lack);
    }
    assessment
}

/// The published ports that somebody else has.
pub(crate) fn taken_ports(name: &str, service: &Value) -> Vec<Finding> {
    let ports = service["ports"].as_array().into_iter().flatten();
    let published = ports.filter_map(|port| {
        let number: u16 = port["published"].as_str()?.parse().ok()?;
        let address = port["host_ip"].as_str().and_then(|ip| ip.parse::<IpAddr>().ok());
        // Every interface means loopback here, unless the file names an address.
        let address = address
            .filter(|ip| !ip.is_unspecified())
            .unwrap_or(Ipv4Addr::LOCALHOST.into());
        Some(SocketAddr::new(address, number))
    });
    published
        .filter_map(|address| {
            let listener = who_listens(address)?;
            let who = match (listener.command, listener.pid) {
                (Some(command), Some(pid)) => format!("`{command}` (pid {pid})"),
                (None, Some(pid)) => format!("pid {pid}"),
                _ => "a process of another user".to_owned(),
            };
            let finding = Finding::new(Grade::Note, name, format!("port {} is taken by {who}", address.port()));
            Some(finding.help("`up` publishes another port and says which; end the other process to get this one"))
        })
        .collect()
}

fn place(name: &str, service: &Value, machine: &Machine, runtime: Runtime) -> (&'static str, Option<Kind>, Finding) {
    let extension = &service["x-devctl"];
    let good = |text: String| Finding::new(Grade::Good, name, text);
    if extension["stub"] == true {
        return ("stub", None, good("answered from contracts, never run".into()));
    }
    if extension["external"].as_object().is_some_and(|ports| !ports.is_empty()) {
        return (
            "external",
            None,
            good("runs elsewhere, as `x-devctl.external` says".into()),
        );
    }
    let wants_container = runtime == Runtime::Docker;
    if !extension["native"]["command"].is_null() && !wants_container {
        return (
            "process",
            Some(Kind::Process),
            good("a process, as `x-devctl.native` says".into()),
        );
    }
    let image = service["image"].as_str().unwrap_or_default();
    if let Some(server) = Server::recognise(image)
        && !wants_container
    {
        return stand_in(name, image, &server, extension["native"]["version"].as_str(), machine);
    }
    let tried = match &machine.engine {
        Some(engine) => format!(
            "needs a container; Docker {} answers, but this version of devctl starts none",
            engine.version
        ),
        None => "needs a container, and no Docker engine answers".to_owned(),
    };
    let help = format!(
        "say how it runs as a process: `x-devctl: {{native: {{command: ...}}}}`, or `x-devctl: {{stub: true}}` in `{name}`"
    );
    ("", None, Finding::new(Grade::Fault, name, tried).help(help))
}

/// Whether one of the machine's own servers may stand in for that image.
fn stand_in(
    name: &str,
    image: &str,
    server: &Server,
    asked: Option<&str>,
    machine: &Machine,
) -> (&'static str, Option<Kind>, Finding) {
    let (runtime, title, wanted, there, package): (_, _, _, Vec<&Version>, _) = match server {
        Server::Postgres { version } => {
            let there = machine.postgres.iter().map(|found| &found.version).collect();
            ("postgres", "PostgreSQL", version, there, "postgresql")
        }
        Server::RabbitMq { version, .. } => {
            let there = machine.rabbitmq.iter().map(|found| &found.version).collect();
            ("rabbitmq", "RabbitMQ", version, there, "rabbitmq-server")
        }
    };
    let wanted = match asked.map(str::parse::<Requirement>) {
        Some(Ok(asked)) => asked,
        Some(Err(bad)) => {
            let finding = Finding::new(Grade::Fault, name, bad.to_string()).help(bad.help());
            return (runtime, Some(Kind::Server), finding);
        }
        None => wanted.clone(),
    };
    if let Some(version) = there.iter().find(|version| wanted.accepts(version)) {
        let text = format!("this machine's {title} {version} stands in for `{image}`");
        return (runtime, Some(Kind::Server), Finding::new(Grade::Good, name, text));
    }
    let finding = if there.is_empty() {
        Finding::new(
            Grade::Fault,
            name,
            format!("`{image}` wants {title}, which this machine has not"),
        )
        .help(format!("`apt-get install {package}`"))
    } else {
        let versions: Vec<String> = there.iter().map(ToString::to_string).collect();
        Finding::new(
            Grade::Fault,
            name,
            format!(
                "`{image}` wants {title} {wanted}, and this machine has {}",
                versions.join(", ")
            ),
        )
        .help(format!(
            "install that version, or allow another: `x-devctl: {{native: {{version: \">={}\"}}}}`",
            versions[0]
        ))
    };
    ("", Some(Kind::Server), finding)
}

/// Whether an attribute is more than Compose's way of writing nothing.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bare() -> Machine {
        Machine {
            postgres: Vec::new(),
            rabbitmq: Vec::new(),
            engine: None,
            findings: Vec::new(),
        }
    }

    #[test]
    fn a_process_names_what_it_cannot_have() {
        let service = json!({
            "command": null,
            "environment": {"A": "1"},
            "image": "shop/api",
            "networks": {"default": null},
            "volumes": [{"type": "bind"}],
            "x-devctl": {"native": {"command": ["api"]}},
        });
        let found = assess("api", &service, &bare(), Runtime::Auto);
        assert_eq!((found.runtime, found.finding.grade), ("process", Grade::Lack));
        assert_eq!(found.honoured, ["environment", "x-devctl"]);
        assert_eq!(found.passed_by, ["image", "networks"]);
        assert_eq!(found.unsupported[0].0, "volumes");
    }

    #[test]
    fn without_a_way_to_run_it_is_a_fault_with_a_next_step() {
        let found = assess("api", &json!({"image": "shop/api"}), &bare(), Runtime::Auto);
        assert_eq!((found.runtime, found.finding.grade), ("", Grade::Fault));
        assert!(found.finding.help.unwrap().contains("x-devctl"));
        let docker = json!({"image": "shop/api", "x-devctl": {"native": {"command": ["api"]}}});
        assert_eq!(assess("api", &docker, &bare(), Runtime::Docker).runtime, "");
    }

    #[test]
    fn a_missing_server_is_named_with_its_package() {
        let found = assess("db", &json!({"image": "postgres:15"}), &bare(), Runtime::Auto);
        assert_eq!(
            found.finding.text,
            "`postgres:15` wants PostgreSQL, which this machine has not"
        );
        assert_eq!(found.finding.help.as_deref(), Some("`apt-get install postgresql`"));
    }
}
