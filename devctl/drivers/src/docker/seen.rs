//! Containers as they are, in plain words.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use jiff::Timestamp;

use super::{api, labels};

/// A container as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The id of its image.
    pub image: String,
    /// Its labels.
    pub labels: HashMap<String, String>,
    /// It runs.
    pub running: bool,
    /// It is held still.
    pub paused: bool,
    /// It was never started.
    pub created_only: bool,
    /// The main process, on the engine's host.
    pub pid: Option<u32>,
    /// Since when.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// How it ended.
    pub exit_code: i32,
    /// The kernel ended it for its memory.
    pub oom: bool,
    /// What the engine says of a start that failed.
    pub error: String,
    /// What asks it to end: `SIGTERM`, unless image or file name another signal.
    pub stop_signal: Option<String>,
    /// It has a terminal.
    pub tty: bool,
    /// Its address on each network that it joined.
    pub addresses: BTreeMap<String, Ipv4Addr>,
    /// `host`, `none`, a network's name, `container:ID`.
    pub network_mode: String,
    /// Container port -> address on the host that leads there.
    pub published: HashMap<u16, SocketAddr>,
    /// Path inside -> name of the volume.
    pub volumes: HashMap<String, String>,
    /// Ports that image or file declare.
    pub exposed: Vec<u16>,
    /// What the engine's own health test says.
    pub health: Option<String>,
}

impl Seen {
    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    /// The names of its anonymous volumes: 64 digits, which is more than a name that somebody gave is likely to have.
    pub fn anonymous_volumes(&self) -> impl Iterator<Item = &String> {
        let is_digest = |name: &&String| name.len() == 64 && name.chars().all(|c| c.is_ascii_hexdigit());
        self.volumes.values().filter(is_digest)
    }

    /// Those of them that it got from the container before it. The engine does not remove them with the container.
    pub fn handed_on(&self) -> impl Iterator<Item = &String> {
        let told: Vec<&str> = self
            .label(labels::ANONYMOUS)
            .into_iter()
            .flat_map(|told| told.split(','))
            .collect();
        self.anonymous_volumes()
            .filter(move |name| told.contains(&name.as_str()))
    }
}

impl From<api::ContainerInspectResponse> for Seen {
    fn from(seen: api::ContainerInspectResponse) -> Self {
        let state = seen.state.unwrap_or_default();
        let config = seen.config.unwrap_or_default();
        let host = seen.host_config.unwrap_or_default();
        let settings = seen.network_settings.unwrap_or_default();
        let time = |text: Option<String>| text?.parse().ok().filter(|time: &Timestamp| time.as_second() > 0);
        let addresses = settings
            .networks
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(name, endpoint)| Some((name, endpoint.ip_address?.parse().ok()?)))
            .collect();
        let published = settings
            .ports
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(port, bindings)| {
                let port = port.strip_suffix("/tcp")?.parse().ok()?;
                Some((port, bindings?.iter().find_map(binding)?))
            })
            .collect();
        let volumes = seen
            .mounts
            .unwrap_or_default()
            .into_iter()
            .filter(|mount| mount.typ.as_deref() == Some("volume"))
            .filter_map(|mount| Some((mount.destination?, mount.name?)))
            .collect();
        let exposed = config.exposed_ports.unwrap_or_default();
        Self {
            id: seen.id.unwrap_or_default(),
            name: seen.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            image: seen.image.unwrap_or_default(),
            labels: config.labels.unwrap_or_default(),
            running: state.running.unwrap_or_default(),
            paused: state.paused.unwrap_or_default(),
            created_only: state.status == Some(api::ContainerStateStatusEnum::CREATED),
            pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0),
            started: time(state.started_at),
            finished: time(state.finished_at),
            exit_code: state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1),
            oom: state.oom_killed.unwrap_or_default(),
            error: state.error.unwrap_or_default(),
            stop_signal: config.stop_signal,
            tty: config.tty.unwrap_or_default(),
            addresses,
            network_mode: host.network_mode.unwrap_or_default(),
            published,
            volumes,
            exposed: exposed
                .iter()
                .filter_map(|port| port.strip_suffix("/tcp")?.parse().ok())
                .collect(),
            health: state
                .health
                .and_then(|health| health.status)
                .map(|status| status.to_string()),
        }
    }
}

fn binding(binding: &api::PortBinding) -> Option<SocketAddr> {
    let port = binding.host_port.as_deref()?.parse().ok()?;
    let ip: IpAddr = binding
        .host_ip
        .as_deref()
        .unwrap_or_default()
        .parse()
        .unwrap_or(Ipv4Addr::LOCALHOST.into());
    let ip = if ip.is_unspecified() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        ip
    };
    Some(SocketAddr::new(ip, port))
}

/// A container in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its image, as it was named.
    pub image: String,
    /// The id of its image.
    pub image_id: String,
    /// What it runs.
    pub command: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// `running`, `exited`, `created`, ...
    pub state: String,
    /// `Up 5 minutes (healthy)`.
    pub status: String,
    /// Its labels.
    pub labels: HashMap<String, String>,
    /// Published ports: address of the host, container port, protocol.
    pub ports: Vec<(Option<SocketAddr>, u16, String)>,
}

impl Listed {
    /// It runs, be it held still.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused")
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    /// The service that it is of.
    #[must_use]
    pub fn service(&self) -> &str {
        self.label(labels::SERVICE).unwrap_or_default()
    }

    /// Which replica it is.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.label(labels::NUMBER)
            .and_then(|number| number.parse().ok())
            .unwrap_or(1)
    }

    /// It was made by `run`.
    #[must_use]
    pub fn is_one_off(&self) -> bool {
        self.label(labels::ONEOFF)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

impl From<api::ContainerSummary> for Listed {
    fn from(listed: api::ContainerSummary) -> Self {
        let name = listed.names.unwrap_or_default().into_iter().next().unwrap_or_default();
        let ports = listed.ports.unwrap_or_default().into_iter().map(|port| {
            let ip = port.ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok());
            let at = ip.zip(port.public_port).map(|(ip, port)| SocketAddr::new(ip, port));
            let protocol = port.typ.map(|typ| typ.to_string()).unwrap_or_default();
            (at, port.private_port, protocol)
        });
        Self {
            ports: ports.collect(),
            id: listed.id.unwrap_or_default(),
            name: name.trim_start_matches('/').to_owned(),
            image: listed.image.unwrap_or_default(),
            image_id: listed.image_id.unwrap_or_default(),
            command: listed.command.unwrap_or_default(),
            created: listed.created.unwrap_or_default(),
            state: listed.state.map(|state| state.to_string()).unwrap_or_default(),
            status: listed.status.unwrap_or_default(),
            labels: listed.labels.unwrap_or_default(),
        }
    }
}
