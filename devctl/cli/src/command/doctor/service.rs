//! What a service of the project gets: how it runs here, and which of its attributes mean something there. The daemon's own rules
//! say it ([`devctl_daemon::assess`]).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use devctl_compose::model::Service;
use devctl_daemon::assess::{Attributes, Ground};
use devctl_drivers::lease::who_listens;
use serde_json::Value;

use super::{Finding, Grade};
use crate::args::Runtime;

/// What a service gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assessment {
    /// The service.
    pub(crate) service: String,
    /// `native`, `postgres`, `rabbitmq`, `docker`, `stub`, `external`, or empty where it cannot run.
    pub(crate) runtime: &'static str,
    /// How it runs, or why it cannot.
    pub(crate) finding: Finding,
    /// What becomes of its attributes.
    pub(crate) attributes: Attributes,
}

/// Assesses a service.
pub(crate) fn assess(ground: &Ground<'_>, service: &Service, runtime: Runtime) -> Assessment {
    let found = ground.assess(service, runtime.to_wire());
    let grade = match (found.runtime.is_empty(), found.attributes.unsupported.is_empty()) {
        (true, _) => Grade::Fault,
        (false, false) => Grade::Lack,
        (false, true) => Grade::Good,
    };
    let mut finding = Finding::new(grade, &service.name, found.how);
    finding.help = found.help;
    Assessment {
        service: service.name.clone(),
        runtime: found.runtime,
        finding,
        attributes: found.attributes,
    }
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
