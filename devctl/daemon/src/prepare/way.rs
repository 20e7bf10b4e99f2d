//! What the files say about the way from one consumer to one provider: over an edge or directly, what is spoken, how much may wait.
//!
//! A provider's own entry goes before `default`, a service's word before the project's; for the protocol, the port's own
//! `app_protocol` goes before both, and a server that is known by its image needs no word at all.

use std::time::Duration;

use devctl_compose::model::{Edge, EdgeMode, EdgeProtocol, Hold, Project, Service};
use devctl_edge::{EdgeId, HoldLimits, Protocol};

use crate::specify::{Choice, is_secret};
use crate::start;

/// One way, as the files want it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Way {
    /// Not over an edge.
    pub(super) direct: bool,
    pub(super) protocol: Protocol,
    pub(super) hold: HoldLimits,
}

/// The way from `consumer` (`host` for a published port) to a port of `provider`.
pub(super) fn way(project: &Project, consumer: &str, provider: &Service, choice: &Choice, port: u16) -> Way {
    let own = project.services.get(consumer).map(|service| &service.x_devctl.edges);
    let levels = [own, Some(&project.x_devctl.edges)];
    let entries: Vec<&Edge> = levels
        .iter()
        .flatten()
        .filter_map(|edges| edges.providers.get(&provider.name))
        .collect();
    let mode = entries
        .iter()
        .find_map(|entry| entry.mode)
        .or_else(|| levels.iter().flatten().find_map(|edges| edges.default));
    let spoken = entries.iter().find_map(|entry| entry.protocol).map(protocol);
    let mut hold = HoldLimits::default();
    // The nearest word on each limit counts, so the furthest is put in first.
    for entry in entries.iter().rev().filter_map(|entry| entry.hold.as_ref()) {
        limit(&mut hold, entry);
    }
    Way {
        // A published port is what devctl listens at: nothing else does.
        direct: mode == Some(EdgeMode::Direct) && consumer != EdgeId::HOST,
        protocol: app_protocol(provider, port)
            .or(spoken)
            .unwrap_or_else(|| known(choice, port)),
        hold,
    }
}

/// Every name whose value is never captured, logged or shown. What one service names goes for all: the same secret is seen
/// at both ends of a way.
pub(crate) fn redacted(project: &Project) -> Vec<String> {
    let own = project.services.values().flat_map(|service| &service.x_devctl.redact);
    let mut names: Vec<String> = project.x_devctl.redact.iter().chain(own).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The values of the variables among these names: a service may tell them in an answer.
pub(super) fn redacted_values(project: &Project, names: &[String]) -> Vec<String> {
    let variables = project.services.values().flat_map(|service| {
        let native = service.x_devctl.native.iter().flat_map(|native| &native.env);
        let written = service.environment.iter();
        written
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
            .chain(native)
    });
    variables
        .filter(|(name, _)| is_secret(name, names))
        .map(|(_, value)| value.clone())
        .collect()
}

/// What the provider's `ports` say of this one.
fn app_protocol(provider: &Service, port: u16) -> Option<Protocol> {
    let named = provider.ports.iter().filter(|written| written.target == port);
    named
        .filter_map(|written| written.app_protocol.as_deref())
        .find_map(Protocol::from_word)
}

fn protocol(written: EdgeProtocol) -> Protocol {
    match written {
        EdgeProtocol::Http => Protocol::Http,
        EdgeProtocol::Http2 => Protocol::Http2,
        EdgeProtocol::Grpc => Protocol::Grpc,
        EdgeProtocol::Tcp => Protocol::Tcp,
        EdgeProtocol::Amqp => Protocol::Amqp,
        EdgeProtocol::Postgres => Protocol::Postgres,
        EdgeProtocol::Tls => Protocol::Tls,
    }
}

fn known(choice: &Choice, port: u16) -> Protocol {
    match choice {
        Choice::Postgres(_) => Protocol::Postgres,
        Choice::RabbitMq { .. } if port == start::AMQP_PORT => Protocol::Amqp,
        Choice::RabbitMq { .. } | Choice::Stub => Protocol::Http,
        _ => Protocol::Auto,
    }
}

fn limit(limits: &mut HoldLimits, written: &Hold) {
    let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    if let Some(requests) = written.requests {
        limits.requests = size(requests.into());
    }
    if let Some(bytes) = written.bytes {
        limits.bytes = size(bytes);
    }
    if let Some(time) = written.time {
        limits.time = time;
        limits.refused = limits.refused.min(time.max(Duration::from_millis(1)));
    }
}

#[cfg(test)]
mod tests {
    use devctl_compose::model::Port;

    use super::*;

    fn project() -> Project {
        let mut project = Project::default();
        for name in ["api", "billing", "db"] {
            let service = Service {
                name: name.to_owned(),
                ..Service::default()
            };
            project.services.insert(name.to_owned(), service);
        }
        project
    }

    fn entry(mode: Option<EdgeMode>, protocol: Option<EdgeProtocol>, hold: Option<Hold>) -> Edge {
        Edge { mode, protocol, hold }
    }

    fn of(project: &Project, consumer: &str) -> Way {
        way(project, consumer, &project.services["billing"], &Choice::Process, 8080)
    }

    #[test]
    fn the_nearest_word_counts() {
        let mut project = project();
        assert_eq!(of(&project, "api"), Way::default());
        project.x_devctl.edges.default = Some(EdgeMode::Direct);
        assert!(of(&project, "api").direct);
        let common = entry(Some(EdgeMode::On), Some(EdgeProtocol::Http), None);
        project.x_devctl.edges.providers.insert("billing".to_owned(), common);
        assert!(!of(&project, "api").direct, "an entry goes before `default`");
        let own = entry(None, Some(EdgeProtocol::Grpc), None);
        project.services["api"]
            .x_devctl
            .edges
            .providers
            .insert("billing".to_owned(), own);
        let way = of(&project, "api");
        assert_eq!((way.direct, way.protocol), (false, Protocol::Grpc));
        assert_eq!(of(&project, "db").protocol, Protocol::Http);
    }

    #[test]
    fn a_port_knows_best_what_it_speaks() {
        let mut project = project();
        let common = entry(None, Some(EdgeProtocol::Http), None);
        project.x_devctl.edges.providers.insert("billing".to_owned(), common);
        project.services["billing"].ports.push(Port {
            target: 8080,
            app_protocol: Some("grpc".to_owned()),
            ..Port::default()
        });
        assert_eq!(of(&project, "api").protocol, Protocol::Grpc);
        let other = way(&project, "api", &project.services["billing"], &Choice::Process, 9090);
        assert_eq!(other.protocol, Protocol::Http);
    }

    #[test]
    fn limits_are_taken_one_by_one() {
        let mut project = project();
        let common = Hold {
            requests: Some(5),
            bytes: Some(1024),
            time: Some(Duration::from_secs(3)),
        };
        let own = Hold {
            time: Some(Duration::from_millis(200)),
            ..Hold::default()
        };
        let providers = &mut project.x_devctl.edges.providers;
        providers.insert("billing".to_owned(), entry(None, None, Some(common)));
        project.services["api"]
            .x_devctl
            .edges
            .providers
            .insert("billing".to_owned(), entry(None, None, Some(own)));
        let hold = of(&project, "api").hold;
        assert_eq!((hold.requests, hold.bytes), (5, 1024));
        assert_eq!(
            (hold.time, hold.refused),
            (Duration::from_millis(200), Duration::from_millis(200))
        );
    }

    #[test]
    fn a_published_port_is_never_direct() {
        let mut project = project();
        project.x_devctl.edges.default = Some(EdgeMode::Direct);
        assert!(!of(&project, EdgeId::HOST).direct);
    }
}
