//! The edges that a project asks for: leased, opened before anything starts, so that every address is known early.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use devctl_compose::model::Project;
use devctl_core::NodeId;
use devctl_drivers::docker::Engine;
use devctl_drivers::lease::{EdgeKey, Listener, PortKey, who_listens};
use devctl_drivers::user;
use devctl_edge::{Cidr, Edge, EdgeError, EdgeId, EdgeSpec};
use devctl_wire::v1;

use super::reach::{Containers, Reach};
use super::shared::{self, Shared};
use super::way::{Way, way};
use super::{Preparer, project};
use crate::command::Remark;
use crate::specify::{self, Addresses, Choice};
use crate::start;

/// What this host is called in a container of an engine whose networks are not this host's.
const HOST_NAME: &str = "host.docker.internal";

/// Consumer -> provider -> ports.
pub(super) type Calls = BTreeMap<String, BTreeMap<String, BTreeSet<u16>>>;

/// Every edge that the files ask for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    calls: Calls,
    /// Published ports: host address and the ports that will do.
    published: BTreeMap<EdgeId, (IpAddr, Vec<u16>)>,
    /// Edges of several containers.
    pub(super) shared: Shared,
    /// Named without a port: only the port's own number will do.
    bare: HashSet<EdgeId>,
    ways: HashMap<EdgeId, Way>,
    /// Containers that call each other by Docker's own names, because the file says so.
    by_name: BTreeSet<EdgeId>,
    /// What was asked for and cannot be, with the reason.
    problems: BTreeMap<EdgeId, String>,
}

/// How a way was made.
pub(crate) enum Opening {
    /// An edge listens.
    Edge(Edge),
    /// The consumer reaches the provider itself, as the files want it; where, in words.
    Direct(String),
    /// There is none, and why.
    Problem(String),
}

impl Wanted {
    /// Their names.
    pub(super) fn ids(&self) -> HashSet<EdgeId> {
        let calls = self.calls.iter().flat_map(|(consumer, providers)| {
            providers
                .iter()
                .flat_map(move |(provider, ports)| ports.iter().map(move |port| EdgeId::new(consumer, provider, *port)))
        });
        let others = self.published.keys().chain(self.problems.keys()).chain(&self.by_name);
        calls.chain(others.chain(self.shared.keys()).cloned()).collect()
    }

    /// Somebody is to call the service without an edge: its address must then be the same in every run.
    pub(super) fn is_called_directly(&self, service: &str) -> bool {
        self.ways.iter().any(|(id, way)| way.direct && id.provider == service)
    }

    fn way(&self, id: &EdgeId) -> Way {
        self.ways.get(id).copied().unwrap_or_default()
    }
}

/// Who calls whom by the files' words. What cannot become an edge is a remark, with its reason.
pub(super) fn wanted(
    project: &Project,
    choices: &HashMap<String, Choice>,
    addresses: &Addresses,
    between_containers: bool,
    remarks: &mut Vec<Remark>,
) -> Wanted {
    let mut wanted = Wanted {
        shared: shared::wanted(project, choices, addresses),
        ..Wanted::default()
    };
    for consumer in project.services.values() {
        let in_container = match choices.get(&consumer.name) {
            Some(Choice::Process | Choice::External(_)) => false,
            Some(Choice::Container) => true,
            _ => continue,
        };
        for (provider, named) in specify::references(addresses, consumer, in_container) {
            let port = named;
            let (Some(service), Some(choice)) = (project.services.get(&provider), choices.get(&provider)) else {
                continue;
            };
            if in_container && consumer.network_mode.as_deref() == Some("none") {
                continue;
            }
            let declared = specify::declared_ports(service, choice);
            if in_container && *choice == Choice::Container {
                let asked = way(project, &consumer.name, service, choice, port.unwrap_or_default()).direct;
                if asked {
                    let ports = port.map_or_else(|| declared.clone(), |port| vec![port]);
                    let ids = ports.iter().map(|port| EdgeId::new(&consumer.name, &provider, *port));
                    wanted.by_name.extend(ids);
                }
                if asked || !between_containers {
                    // By Docker's own names.
                    continue;
                }
            }
            let ports = match port {
                Some(port) if declared.contains(&port) || !matches!(choice, Choice::Process) => vec![port],
                Some(port) => {
                    let has: Vec<String> = declared.iter().map(ToString::to_string).collect();
                    let why = format!("{provider} has no such port as a process");
                    remarks.push(Remark {
                        node: Some(NodeId::from(consumer.name.as_str())),
                        text: format!("it is told `{provider}:{port}`, and {why}"),
                        help: Some(format!(
                            "`x-devctl.native.ports` of `{provider}` names {}",
                            if has.is_empty() {
                                "none".to_owned()
                            } else {
                                has.join(", ")
                            }
                        )),
                    });
                    wanted
                        .problems
                        .insert(EdgeId::new(&consumer.name, &provider, port), why);
                    continue;
                }
                None => declared,
            };
            let calls = wanted
                .calls
                .entry(consumer.name.clone())
                .or_default()
                .entry(provider.clone())
                .or_default();
            for port in ports {
                calls.insert(port);
                let id = EdgeId::new(&consumer.name, &provider, port);
                if named.is_none() {
                    wanted.bare.insert(id.clone());
                }
                wanted
                    .ways
                    .insert(id, way(project, &consumer.name, service, choice, port));
            }
        }
    }
    for service in project.services.values() {
        let Some(choice) = choices.get(&service.name) else {
            continue;
        };
        for port in specify::published_ports(project, service) {
            if port.protocol != "tcp" && *choice == Choice::Container {
                // Docker publishes it.
                continue;
            }
            let id = EdgeId::new(EdgeId::HOST, &service.name, port.target);
            if port.protocol != "tcp" {
                remarks.push(Remark {
                    node: Some(NodeId::from(service.name.as_str())),
                    text: format!(
                        "its {} port {} is not published: only TCP is",
                        port.protocol, port.target
                    ),
                    help: None,
                });
                wanted.problems.insert(id, "only TCP is published".to_owned());
                continue;
            }
            let way = way(project, EdgeId::HOST, service, choice, port.target);
            wanted.ways.insert(id.clone(), way);
            wanted.published.insert(id, (port.host, port.ports));
        }
    }
    wanted
}

/// What came of each way.
pub(super) type Opened = Vec<(EdgeId, Opening)>;

/// Leases addresses and opens what is not open yet. `addresses` learns where each edge listens.
pub(super) async fn open(
    preparer: &Preparer,
    containers: &Containers<'_>,
    wanted: &Wanted,
    (dry_run, strict): (bool, bool),
    addresses: &mut Addresses,
    remarks: &mut Vec<Remark>,
) -> Result<Opened, v1::Outcome> {
    let mut opened = shared::open(preparer, containers, wanted, dry_run, addresses, remarks).await;
    let problem = |(id, why): (&EdgeId, &String)| (id.clone(), Opening::Problem(why.clone()));
    opened.extend(wanted.problems.iter().map(problem));
    let by_name = |id: &EdgeId| (id.clone(), Opening::Direct("by Docker's own name".to_owned()));
    opened.extend(wanted.by_name.iter().map(by_name));
    remarks.extend(containers.unreachable_host(&wanted.calls));
    for (consumer, providers) in &wanted.calls {
        let reach = containers.reach(consumer);
        if matches!(reach, Some(Reach::Name)) {
            addresses.called.insert(consumer.clone(), HOST_NAME.to_owned());
            let hosts = addresses.hosts.entry(consumer.clone()).or_default();
            hosts.insert(HOST_NAME.to_owned(), "host-gateway".to_owned());
        }
        for (provider, ports) in providers {
            let ip = match &reach {
                Some(Reach::Gateway(ip, _)) => IpAddr::V4(*ip),
                Some(Reach::Name) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                Some(Reach::Host) | None => address(preparer, consumer, provider)?,
            };
            let peers = match &reach {
                Some(Reach::Gateway(_, network)) => Some(*network),
                _ => None,
            };
            // One address for all providers: their ports may have to change.
            let shared = matches!(reach, Some(Reach::Gateway(..) | Reach::Name));
            for port in ports {
                let id = EdgeId::new(consumer, provider, *port);
                let direct = match wanted.way(&id).direct {
                    true => direct_address(preparer, containers.choices, &id, remarks)?,
                    false => None,
                };
                // One that is open stays where it is: whoever was told of it goes on.
                let open = preparer.edges.get(&id).map(|edge| edge.address());
                let open = open
                    .filter(|at| at.ip() == ip)
                    .or_else(|| preparer.edges.aside(&id, ip));
                let listen = match direct.or(open.filter(|_| shared)) {
                    Some(at) => at,
                    None => SocketAddr::new(ip, edge_port(preparer, &id, ip, shared, wanted.bare.contains(&id))?),
                };
                addresses
                    .edges
                    .entry(consumer.clone())
                    .or_default()
                    .insert((provider.clone(), *port), listen);
                if let Some(at) = direct {
                    preparer.edges.set_aside(&id);
                    opened.push((id, Opening::Direct(at.to_string())));
                } else if !dry_run {
                    opened.extend(open_one(preparer, wanted, id, listen, peers).await);
                }
            }
        }
    }
    if dry_run {
        return Ok(opened);
    }
    for (id, (host, ports)) in &wanted.published {
        opened.extend(publish(preparer, wanted, containers, id, *host, ports, strict, remarks).await?);
    }
    for (id, opening) in &opened {
        if let Opening::Problem(why) = opening
            && !wanted.problems.contains_key(id)
        {
            remarks.push(Remark {
                node: Some(NodeId::from(id.provider.as_str())),
                text: format!("there is no edge {id}: {why}"),
                help: None,
            });
        }
    }
    Ok(opened)
}

/// Where a provider's own runs listen, the same in each; None, with a remark, where only an edge can lead to it.
fn direct_address(
    preparer: &Preparer,
    choices: &HashMap<String, Choice>,
    id: &EdgeId,
    remarks: &mut Vec<Remark>,
) -> Result<Option<SocketAddr>, v1::Outcome> {
    let why = match (choices.get(&id.consumer), choices.get(&id.provider)) {
        (Some(Choice::Container), _) => format!("a container reaches {} through devctl alone", id.provider),
        (_, Some(Choice::External(ports))) => return Ok(ports.get(&id.port).copied()),
        (_, Some(Choice::Process | Choice::Postgres(_) | Choice::RabbitMq { .. })) => String::new(),
        (_, Some(Choice::Container)) => format!("the address of {} changes with each container", id.provider),
        _ => format!("what stands in for {} answers at edges alone", id.provider),
    };
    if !why.is_empty() {
        remarks.push(Remark {
            node: Some(NodeId::from(id.consumer.as_str())),
            text: format!(
                "its way to {} is an edge, though the file says `direct`: {why}",
                id.provider
            ),
            help: None,
        });
        return Ok(None);
    }
    let key = PortKey {
        project: preparer.dirs.id.clone(),
        node: id.provider.clone(),
        port: format!("{}/tcp", id.port),
    };
    let port = match preparer.leases.known_port(&key) {
        Ok(Some(port)) => Ok(port),
        Ok(None) => preparer.leases.port(&key, start::LOOPBACK, None, &preparer.dirs.state),
        Err(error) => Err(error),
    };
    port.map(|port| Some(SocketAddr::new(start::LOOPBACK, port)))
        .map_err(|error| lease_outcome(&error))
}

pub(super) async fn open_one(
    preparer: &Preparer,
    wanted: &Wanted,
    id: EdgeId,
    listen: SocketAddr,
    peers: Option<Cidr>,
) -> Option<(EdgeId, Opening)> {
    if let Some(edge) = preparer.edges.get(&id) {
        if edge.address() != listen {
            // A run that was told of it may go on for long: while the next one is built.
            preparer.edges.set_aside(&id);
        } else if is_as_wanted(&edge, wanted.way(&id)) {
            return None;
        } else {
            preparer.edges.close(&id).await;
        }
    }
    if let Some(edge) = preparer.edges.take_back(&id, listen) {
        if is_as_wanted(&edge, wanted.way(&id)) {
            return Some((id, Opening::Edge(edge)));
        }
        preparer.edges.close(&id).await;
    }
    let edge = try_open(preparer, wanted, &id, listen, peers)
        .await
        .map_or_else(|error| Opening::Problem(told(&error)), Opening::Edge);
    Some((id, edge))
}

/// The files say of it what they said when it was opened.
fn is_as_wanted(edge: &Edge, way: Way) -> bool {
    edge.protocol() == way.protocol && edge.limits() == way.hold
}

fn told(error: &EdgeError) -> String {
    let text = start::told(error);
    match error.help() {
        Some(help) => format!("{text} ({help})"),
        None => text,
    }
}

async fn try_open(
    preparer: &Preparer,
    wanted: &Wanted,
    id: &EdgeId,
    listen: SocketAddr,
    peers: Option<Cidr>,
) -> Result<Edge, EdgeError> {
    let Way { protocol, hold, .. } = wanted.way(id);
    let spec = EdgeSpec::new(id.clone(), listen).protocol(protocol).hold(hold);
    let spec = match peers {
        Some(peers) => spec.allow_peers(peers),
        None => spec,
    };
    preparer.edges.open(spec).await
}

/// A published port: the declared one where it is free, otherwise another one, and that is said.
#[expect(
    clippy::too_many_arguments,
    reason = "one call, at one place, of what would be a struct of references"
)]
async fn publish(
    preparer: &Preparer,
    wanted: &Wanted,
    containers: &Containers<'_>,
    id: &EdgeId,
    host: IpAddr,
    ports: &[u16],
    strict: bool,
    remarks: &mut Vec<Remark>,
) -> Result<Option<(EdgeId, Opening)>, v1::Outcome> {
    if let Some(edge) = preparer.edges.get(id) {
        let address = edge.address();
        let as_wished = ports.is_empty() || ports.contains(&address.port());
        // A port that had been taken and is free again is what the file says: it is taken back.
        let free_again = !as_wished
            && ports
                .iter()
                .any(|port| devctl_drivers::lease::is_free(SocketAddr::new(host, *port)));
        if strict
            && !as_wished
            && !free_again
            && let Some(port) = ports.last()
        {
            let what = is_taken(SocketAddr::new(host, *port), containers.engine).await;
            return Err(refused(&what, id, containers.project));
        }
        if address.ip() == host && !free_again && is_as_wanted(&edge, wanted.way(id)) {
            return Ok(None);
        }
        preparer.edges.close(id).await;
    }
    let mut taken = None;
    for port in ports {
        let listen = SocketAddr::new(host, *port);
        match try_open(preparer, wanted, id, listen, None).await {
            Ok(edge) => return Ok(Some((id.clone(), Opening::Edge(edge)))),
            Err(EdgeError::AddressInUse { .. }) => taken = Some(listen),
            Err(error) => return Ok(Some((id.clone(), Opening::Problem(told(&error))))),
        }
    }
    if let Some(listen) = taken {
        let what = is_taken(listen, containers.engine).await;
        if strict {
            return Err(refused(&what, id, containers.project));
        }
        remarks.push(Remark {
            node: Some(NodeId::from(id.provider.as_str())),
            text: format!("{what}: another one is published for {}", id.port),
            help: Some("`devctl port` tells which; `--strict-names` makes this an error".to_owned()),
        });
    }
    let key = PortKey {
        project: preparer.dirs.id.clone(),
        node: id.provider.clone(),
        port: format!("{}/published", id.port),
    };
    let port = preparer
        .leases
        .port(&key, host, None, &preparer.dirs.state)
        .map_err(|error| lease_outcome(&error))?;
    let edge = try_open(preparer, wanted, id, SocketAddr::new(host, port), None)
        .await
        .map_or_else(|error| Opening::Problem(told(&error)), Opening::Edge);
    Ok(Some((id.clone(), edge)))
}

/// That somebody listens there, and who. Of what an engine publishes only its helper is to be seen, or a process of another user:
/// then the engine says which container it is.
async fn is_taken(listen: SocketAddr, engine: Option<&Engine>) -> String {
    let listener = who_listens(listen);
    let is_hidden = |listener: &Listener| {
        let command = listener.command.as_deref();
        command.is_none_or(|command| command.split(' ').next().is_some_and(|it| it.ends_with("docker-proxy")))
    };
    if let (Some(engine), true) = (engine, listener.as_ref().is_some_and(is_hidden))
        && let Ok(found) = engine.publishers(listen.port()).await
        && let Some(holder) = found.first()
    {
        let name = &holder.name;
        return format!(
            "port {} of {} is taken by container `{name}`",
            listen.port(),
            listen.ip()
        );
    }
    let by = match listener {
        Some(listener) => match (listener.command, listener.pid) {
            (Some(command), Some(pid)) => format!("by `{}` (process {pid})", first_words(&command)),
            (_, Some(pid)) => format!("by process {pid}"),
            _ => "by a process of another user".to_owned(),
        },
        None => "by somebody who is gone already".to_owned(),
    };
    format!("port {} of {} is taken {by}", listen.port(), listen.ip())
}

fn refused(what: &str, id: &EdgeId, project: &Project) -> v1::Outcome {
    project::invalid(vec![format!(
        "error: {what}, and `{}` of project `{}` wants it\nhelp: end that one, publish another port, or leave out `--strict-names` to have another one chosen",
        id.provider, project.name
    )])
}

fn first_words(command: &str) -> String {
    const MOST: usize = 60;
    match command.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}...", &command[..at]),
        None => command.to_owned(),
    }
}

/// Linux: an address for this consumer and this provider alone, so that the port can stay. Elsewhere only 127.0.0.1 answers.
fn address(preparer: &Preparer, consumer: &str, provider: &str) -> Result<IpAddr, v1::Outcome> {
    if !cfg!(target_os = "linux") {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let key = EdgeKey {
        project: preparer.dirs.id.clone(),
        consumer: consumer.to_owned(),
        provider: provider.to_owned(),
    };
    preparer
        .leases
        .address(&key, &preparer.dirs.state)
        .map(IpAddr::V4)
        .map_err(|error| lease_outcome(&error))
}

/// The port stays where address and privileges allow it.
fn edge_port(preparer: &Preparer, id: &EdgeId, ip: IpAddr, shared: bool, bare: bool) -> Result<u16, v1::Outcome> {
    let privileged = id.port < 1024 && !user::is_root();
    if cfg!(target_os = "linux") && !privileged && !shared {
        return Ok(id.port);
    }
    let key = PortKey {
        project: preparer.dirs.id.clone(),
        node: id.consumer.clone(),
        port: format!("{}:{}/edge", id.provider, id.port),
    };
    preparer
        .leases
        .port(&key, ip, (bare && !privileged).then_some(id.port), &preparer.dirs.state)
        .map_err(|error| lease_outcome(&error))
}

fn lease_outcome(error: &devctl_drivers::lease::LeaseError) -> v1::Outcome {
    project::invalid(vec![format!("error: {}", crate::start::told(error))])
}
