//! Networks, names, addresses and ports of a container.

use std::collections::HashMap;

use devctl_compose::model::{Network, Project, Service, ServiceNetwork};
use devctl_core::NodeId;
use devctl_drivers::docker::{Attachment, Engine, NetworkSpec, api, labels};

use super::super::Ground;
use super::identity::container_name;

/// Joins a service to its networks, the one of the highest priority first, and puts names and ports in.
pub(super) fn join(
    ground: &Ground<'_>,
    service: &Service,
    id: &NodeId,
    engine: &Engine,
    host: &mut api::HostConfig,
) -> Vec<Attachment> {
    let project = ground.project;
    let list = |written: &[String]| (!written.is_empty()).then(|| written.to_vec());
    host.dns = list(&service.dns);
    host.dns_options = list(&service.dns_opt);
    host.dns_search = list(&service.dns_search);
    let mode = service.network_mode.as_deref().or(service.net.as_deref());
    if let Some(mode) = mode {
        host.network_mode = Some(namespace(project, mode));
    }
    let written = service.extra_hosts.0.iter();
    let mut hosts: Vec<String> = written
        .flat_map(|(name, addresses)| addresses.iter().map(move |address| format!("{name}:{address}")))
        .collect();
    if mode.is_none_or(|mode| !mode.starts_with("container:") && !mode.starts_with("service:")) {
        hosts.extend(ground.addresses.hosts_of(&service.name));
        host.extra_hosts = (!hosts.is_empty()).then_some(hosts);
        host.port_bindings = bindings(ground, service, engine);
    }
    if mode.is_some() {
        return Vec::new();
    }
    let links = links(project, service);
    let joined = by_priority(service);
    let attachments: Vec<Attachment> = joined
        .iter()
        .map(|(key, settings)| Attachment {
            network: network_name(project, key),
            settings: endpoint(project, service, id, *settings, &links),
        })
        .collect();
    host.network_mode = attachments.first().map(|first| first.network.clone());
    attachments
}

/// The networks of a service: by priority, then by name, as Docker Compose joins them.
fn by_priority(service: &Service) -> Vec<(&String, Option<&ServiceNetwork>)> {
    let mut networks: Vec<_> = service
        .networks
        .iter()
        .map(|(key, settings)| (key, settings.as_ref()))
        .collect();
    networks.sort_by_key(|(key, settings)| {
        (
            std::cmp::Reverse(settings.map_or(0, |settings| settings.priority)),
            (*key).clone(),
        )
    });
    networks
}

fn endpoint(
    project: &Project,
    service: &Service,
    id: &NodeId,
    settings: Option<&ServiceNetwork>,
    links: &[String],
) -> api::EndpointSettings {
    let mut aliases = vec![container_name(project, service, id.index()), service.name.clone()];
    let mut endpoint = api::EndpointSettings {
        links: (!links.is_empty()).then(|| links.to_vec()),
        mac_address: service.mac_address.clone(),
        ..api::EndpointSettings::default()
    };
    if let Some(settings) = settings {
        aliases.extend(settings.aliases.iter().cloned());
        let fixed =
            settings.ipv4_address.is_some() || settings.ipv6_address.is_some() || !settings.link_local_ips.is_empty();
        endpoint.ipam_config = fixed.then(|| api::EndpointIpamConfig {
            ipv4_address: settings.ipv4_address.clone(),
            ipv6_address: settings.ipv6_address.clone(),
            link_local_ips: (!settings.link_local_ips.is_empty()).then(|| settings.link_local_ips.clone()),
        });
        endpoint.mac_address = settings.mac_address.clone().or(endpoint.mac_address);
        endpoint.gw_priority = (settings.gw_priority != 0).then_some(settings.gw_priority);
        let options = settings.driver_opts.clone().into_iter().collect::<HashMap<_, _>>();
        endpoint.driver_opts = (!options.is_empty()).then_some(options);
    }
    endpoint.aliases = Some(aliases);
    endpoint
}

/// `container:alias`, for links within the project and out of it.
fn links(project: &Project, service: &Service) -> Vec<String> {
    let mut links = Vec::new();
    for written in &service.links {
        let (name, alias) = written.split_once(':').unwrap_or((written, written));
        let Some(target) = project.service(name) else { continue };
        for number in 1..=u32::try_from(target.replicas()).unwrap_or(1) {
            let container = container_name(project, target, number);
            links.push(format!("{container}:{alias}"));
            // As in Docker Compose also where the file names the container otherwise.
            links.push(format!("{container}:{name}-{number}"));
            links.push(format!("{container}:{}-{name}-{number}", project.name));
        }
    }
    for written in &service.external_links {
        let (name, alias) = written.split_once(':').unwrap_or((written, written));
        links.push(format!("{name}:{alias}"));
    }
    links
}

/// `service:NAME` is that service's container; everything else stays as it is.
pub(super) fn namespace(project: &Project, mode: &str) -> String {
    match mode.strip_prefix("service:").and_then(|name| project.service(name)) {
        Some(service) => format!("container:{}", container_name(project, service, 1)),
        None => mode.to_owned(),
    }
}

/// Every port that file and edges name, `80/tcp`.
pub(super) fn exposed(service: &Service) -> Vec<String> {
    let mut ports: Vec<String> = Vec::new();
    for written in &service.expose {
        let (range, protocol) = written.split_once('/').unwrap_or((written, "tcp"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) {
            ports.extend((first..=last).map(|port| format!("{port}/{protocol}")));
        }
    }
    for port in &service.ports {
        ports.push(format!("{}/{}", port.target, port.protocol.as_deref().unwrap_or("tcp")));
    }
    ports.sort();
    ports.dedup();
    ports
}

/// TCP is published by devctl's own edges, so that a reload holds requests. The engine publishes what is not TCP; and, where this
/// host cannot reach its networks, every port on a loopback port of its own choosing, for the edges to lead to.
fn bindings(ground: &Ground<'_>, service: &Service, engine: &Engine) -> Option<api::PortMap> {
    let mut map: api::PortMap = HashMap::new();
    for published in super::super::published_ports(ground.project, service) {
        if published.protocol == "tcp" {
            continue;
        }
        let port = match published.ports.as_slice() {
            [] => String::new(),
            [port] => port.to_string(),
            [first, .., last] => format!("{first}-{last}"),
        };
        let binding = api::PortBinding {
            host_ip: Some(published.host.to_string()),
            host_port: Some(port),
        };
        let bindings = map.entry(format!("{}/{}", published.target, published.protocol));
        bindings
            .or_insert_with(|| Some(Vec::new()))
            .get_or_insert_default()
            .push(binding);
    }
    if engine.facts().far && service.network_mode.as_deref() != Some("host") {
        for port in super::super::declared_ports(service, &super::super::Choice::Container) {
            let binding = api::PortBinding {
                host_ip: Some("127.0.0.1".to_owned()),
                host_port: Some(String::new()),
            };
            map.insert(format!("{port}/tcp"), Some(vec![binding]));
        }
    }
    (!map.is_empty()).then_some(map)
}

/// The networks that have to be there before the service starts.
pub(crate) fn networks(project: &Project, service: &Service) -> Vec<NetworkSpec> {
    if service.network_mode.is_some() || service.net.is_some() {
        return Vec::new();
    }
    by_priority(service)
        .into_iter()
        .map(|(key, _)| {
            let default = Network::default();
            let written = project.networks.get(key).unwrap_or(&default);
            network(project, key, written)
        })
        .collect()
}

/// The network whose gateway a service's edges listen at: none where it has no bridge of its own.
pub(crate) fn reachable_network(project: &Project, service: &Service) -> Option<NetworkSpec> {
    networks(project, service)
        .into_iter()
        .find(|network| network.body.driver.as_deref().is_none_or(|driver| driver == "bridge"))
}

fn network_name(project: &Project, key: &str) -> String {
    project
        .networks
        .get(key)
        .and_then(|network| network.name.clone())
        .unwrap_or_else(|| format!("{}_{key}", project.name))
}

fn network(project: &Project, key: &str, written: &Network) -> NetworkSpec {
    let mut all: HashMap<String, String> = written.labels.clone().into_iter().collect();
    let mut hashed = written.clone();
    hashed.name = Some(network_name(project, key));
    all.extend([
        (labels::PROJECT.to_owned(), project.name.clone()),
        (labels::NETWORK.to_owned(), key.to_owned()),
        (labels::VERSION.to_owned(), labels::COMPOSE_VERSION.to_owned()),
        (labels::CONFIG_HASH.to_owned(), hashed.hash()),
        (labels::DIR.to_owned(), project.working_dir.display().to_string()),
    ]);
    let pools = written.ipam.config.iter().map(|pool| api::IpamConfig {
        subnet: pool.subnet.clone(),
        ip_range: pool.ip_range.clone(),
        gateway: pool.gateway.clone(),
        auxiliary_addresses: (!pool.aux_addresses.is_empty()).then(|| pool.aux_addresses.clone().into_iter().collect()),
    });
    let ipam = (!written.ipam.config.is_empty() || written.ipam.driver.is_some() || !written.ipam.options.is_empty())
        .then(|| api::Ipam {
            driver: written.ipam.driver.clone(),
            config: Some(pools.collect()),
            options: (!written.ipam.options.is_empty()).then(|| written.ipam.options.clone().into_iter().collect()),
        });
    NetworkSpec {
        body: api::NetworkCreateRequest {
            name: network_name(project, key),
            driver: written.driver.clone(),
            internal: written.internal.then_some(true),
            attachable: written.attachable.then_some(true),
            ipam,
            enable_ipv4: written.enable_ipv4,
            enable_ipv6: written.enable_ipv6,
            options: (!written.driver_opts.is_empty()).then(|| written.driver_opts.clone().into_iter().collect()),
            labels: Some(all),
            ..api::NetworkCreateRequest::default()
        },
        external: written.external,
    }
}
