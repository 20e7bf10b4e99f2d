//! A container: what it needs is there first, one that is as the files say is started again, another one takes its place.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use devctl_core::engine::{Failure, Started};
use devctl_drivers::docker::pull::{self, Pull, PullProgress};
use devctl_drivers::docker::{ContainerSpec, DockerError, Engine, Image, Problem, Seen, api, labels};
use devctl_drivers::log::{Query, RunLog, Stream};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::Run;
use super::container_probe::probe;
use crate::container::Container;
use crate::hooks::Place;
use crate::live::{Handle, Live};
use crate::perform::Means;
use crate::spec::{ContainerPlan, NodeSpec};

/// None: `told` came before there was anything to stop.
pub(super) async fn start(
    means: &Means,
    spec: &Arc<NodeSpec>,
    plan: &ContainerPlan,
    run: Run,
    log: &RunLog,
    told: &CancellationToken,
) -> Option<Result<(Live, Started), Failure>> {
    loop {
        let gone = match attempt(means, spec, plan, run, log, told).await {
            Err(StartError::Docker(error)) if error.problem == Problem::EngineGone => error,
            Err(StartError::Told) => return None,
            done => return Some(done.map_err(|error| error.failure(&plan.spec.name))),
        };
        // An engine that is away is waited for: whoever looks is told why by its own notice.
        log.line(Stream::Devctl, format!("waiting for Docker: {}", gone.said).as_bytes());
        let back = async {
            while !plan.engine.answers().await {
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        };
        told.run_until_cancelled(back).await?;
    }
}

/// Why there is no container.
enum StartError {
    Docker(DockerError),
    Other(Failure),
    /// It was told to stop meanwhile.
    Told,
}

impl From<DockerError> for StartError {
    fn from(error: DockerError) -> Self {
        Self::Docker(error)
    }
}

impl StartError {
    fn failure(self, container: &str) -> Failure {
        match self {
            Self::Other(failure) => failure,
            Self::Told => Failure::new("it was told to stop"),
            Self::Docker(error) => Failure {
                help: error.help().map(|help| help.replace("NAME", container)),
                what: super::told(&error),
                output: Vec::new(),
            },
        }
    }
}

async fn attempt(
    means: &Means,
    spec: &Arc<NodeSpec>,
    plan: &ContainerPlan,
    run: Run,
    log: &RunLog,
    told: &CancellationToken,
) -> Result<(Live, Started), StartError> {
    let going_on = || going_on(told);
    let engine = &plan.engine;
    // Subscribed first: an end that comes at once is not missed.
    let events = means.engines.events(engine, &plan.project);
    if let Some(path) = plan.missing_binds.iter().find(|path| !path.exists()) {
        return Err(StartError::Other(Failure {
            what: format!("failed to mount `{}`: there is no such path", path.display()),
            help: Some("make it, or write `bind: {create_host_path: true}`".to_owned()),
            output: Vec::new(),
        }));
    }
    going_on()?;
    let began_at = Instant::now();
    let data = surroundings(plan, log).await?;
    let image = image_unless(plan, log, told).await?;
    going_on()?;
    let (id, since) = container(plan, &image, run, log).await?;
    going_on()?;
    let seen = match began(engine, &id).await {
        Ok(seen) => seen,
        Err(error) => {
            let error = named(engine, error).await;
            // One that has got data stays with it, and is started again by whoever asks next.
            let has_data = matches!(engine.look(&id).await, Ok(Some(seen)) if seen.handed_on().next().is_some());
            if !has_data {
                let _left = engine.remove(&id, true).await;
            }
            return Err(error.into());
        }
    };
    // All of it is the engine's own time.
    let prepared = began_at.elapsed();
    let container = Container::take(engine, &events, &seen, since, log);
    let (ip, ports) = addresses(plan, &seen).await?;
    let (live, started) = live(spec, plan, &image, &seen, container, (ip, ports), data, run.place);
    let started = Started { prepared, ..started };
    Ok((live, started))
}

/// Networks and volumes; the identities of the volumes.
async fn surroundings(plan: &ContainerPlan, log: &RunLog) -> Result<Vec<String>, StartError> {
    let engine = &plan.engine;
    for network in &plan.networks {
        let (_, differs) = engine.ensure_network(network).await?;
        if let Some(differs) = differs {
            let text = format!(
                "network `{}` is not as the files say: `devctl down` removes it, and `up` makes it anew",
                differs.name
            );
            log.line(Stream::Devctl, text.as_bytes());
        }
    }
    let mut data = Vec::new();
    for volume in &plan.volumes {
        data.push(engine.ensure_volume(volume).await?);
    }
    Ok(data)
}

/// Makes the container, and does not start it.
pub(super) async fn create(
    means: &Means,
    spec: &Arc<NodeSpec>,
    plan: &ContainerPlan,
    fresh: bool,
    told: &CancellationToken,
) -> Result<(), Failure> {
    let run = Run {
        number: 0,
        place: 0,
        beside: false,
        fresh,
    };
    let log = means.log(spec, run.number);
    let made = async {
        going_on(told)?;
        surroundings(plan, &log).await?;
        let image = image_unless(plan, &log, told).await?;
        going_on(told)?;
        container(plan, &image, run, &log).await
    };
    made.await
        .map(|_| ())
        .map_err(|error: StartError| error.failure(&plan.spec.name))
}

/// Takes over a container that runs already. Its log goes on where the earlier daemon's ended.
pub(super) async fn adopt(
    means: &Means,
    spec: &Arc<NodeSpec>,
    plan: &ContainerPlan,
    run: u64,
    log: &RunLog,
) -> Option<(Live, Started)> {
    let engine = &plan.engine;
    let events = means.engines.events(engine, &plan.project);
    let seen = engine
        .look(&plan.spec.name)
        .await
        .ok()
        .flatten()
        .filter(|seen| seen.running)?;
    let image = engine.image(&seen.image).await.ok().flatten().unwrap_or_default();
    let before = Query {
        nodes: vec![spec.id.to_string()],
        run: Some(run),
        tail: Some(1),
        streams: vec![Stream::Stdout, Stream::Stderr],
        ..Query::default()
    };
    let last = means.logs.read(&before).next().await.map(|record| record.time);
    let container = Container::take(engine, &events, &seen, last.unwrap_or(Timestamp::UNIX_EPOCH), log);
    let (ip, ports) = addresses(plan, &seen).await.ok()?;
    let mut data = Vec::new();
    for volume in &plan.volumes {
        data.extend(engine.volume(volume.name()).await.ok().flatten());
    }
    Some(live(spec, plan, &image, &seen, container, (ip, ports), data, 0))
}

#[expect(clippy::too_many_arguments, reason = "what a start and an adoption know alike")]
fn live(
    spec: &Arc<NodeSpec>,
    plan: &ContainerPlan,
    image: &Image,
    seen: &Seen,
    container: Container,
    (ip, ports): (Option<IpAddr>, HashMap<u16, SocketAddr>),
    mut data: Vec<String>,
    place: u8,
) -> (Live, Started) {
    let mut anonymous: Vec<String> = seen.anonymous_volumes().cloned().collect();
    anonymous.sort();
    data.extend(anonymous);
    let live = Live {
        spec: spec.clone(),
        handle: Handle::Container(Arc::new(container)),
        probe: probe(plan, image, seen, ip),
        ports,
        ip,
        place,
        context: Some(Place::Container(plan.engine.clone(), seen.id.clone())),
    };
    let started = Started {
        data: (!data.is_empty()).then(|| data.join(" ")),
        pid: seen.pid.filter(|_| !plan.engine.facts().far),
        ..Started::default()
    };
    (live, started)
}

fn going_on(told: &CancellationToken) -> Result<(), StartError> {
    match told.is_cancelled() {
        true => Err(StartError::Told),
        false => Ok(()),
    }
}

/// The image, unless `told` comes first: a pull may be long, and nothing is left of one that is given up.
async fn image_unless(plan: &ContainerPlan, log: &RunLog, told: &CancellationToken) -> Result<Image, StartError> {
    told.run_until_cancelled(image(plan, log))
        .await
        .unwrap_or(Err(StartError::Told))
}

/// The image: pulled as its policy says.
async fn image(plan: &ContainerPlan, log: &RunLog) -> Result<Image, StartError> {
    let pull = Pull {
        image: &plan.image.name,
        platform: plan.image.platform.as_deref(),
        policy: plan.image.policy,
        env: &plan.image.env,
    };
    let mut before = String::new();
    let mut on_progress = |progress: PullProgress| {
        if progress.text != before {
            log.line(Stream::Devctl, progress.text.as_bytes());
            before = progress.text;
        }
    };
    pull::ensure(&plan.engine, &pull, &mut on_progress)
        .await
        .map_err(|error| {
            let help = match &plan.image.build {
                Some(_) => Some("`devctl up --build` builds it".to_owned()),
                None => error.help(),
            };
            StartError::Other(Failure {
                help,
                what: format!("failed to {error}"),
                output: Vec::new(),
            })
        })
}

/// The container of the node: the one that is there, where it is as the files say; otherwise a new one, which gets the anonymous
/// volumes of the one before (as with `docker compose`). Tells since when its log is of interest.
async fn container(
    plan: &ContainerPlan,
    image: &Image,
    run: Run,
    log: &RunLog,
) -> Result<(String, Timestamp), StartError> {
    let engine = &plan.engine;
    let mut wanted = plan.spec.clone();
    put_labels(&mut wanted, plan, image);
    let joined = joined(engine, &wanted).await?;
    if !joined.is_empty() {
        let all = wanted.body.labels.get_or_insert_with(HashMap::new);
        all.insert(labels::JOINED.to_owned(), joined);
    }
    let there = engine.look(&wanted.name).await?;
    if let Some(seen) = &there {
        let same = |label: &str| seen.label(label) == wanted_label(&wanted, label);
        let elsewhere = seen.running && !same(labels::WORKING_DIR);
        if elsewhere || ![labels::PROJECT, labels::SERVICE].into_iter().all(same) {
            return Err(foreign(seen));
        }
        let told = [labels::HASH, labels::TOLD, labels::JOINED];
        let as_wanted = !run.fresh && seen.image == image.id && told.into_iter().all(same);
        match (run.beside, as_wanted) {
            (false, true) if seen.running => {
                log.line(Stream::Devctl, b"it runs already");
                return Ok((seen.id.clone(), Timestamp::UNIX_EPOCH));
            }
            (false, true) => return Ok((seen.id.clone(), seen.finished.unwrap_or(Timestamp::UNIX_EPOCH))),
            (false, false) => {
                if !plan.renew_volumes {
                    keep_anonymous_volumes(&mut wanted, seen);
                }
                engine.remove(&seen.id, plan.renew_volumes).await?;
                engine.remove_replaced(&seen.image).await;
            }
            (true, _) => {
                // Beside the run that serves: that one's container makes room for the name.
                let short: String = seen.id.chars().take(12).collect();
                engine.rename(&seen.id, &format!("{short}_{}", wanted.name)).await?;
            }
        }
    }
    let (id, warnings) = match engine.create(&wanted).await {
        Err(error) => return Err(named(engine, error).await.into()),
        Ok(made) => made,
    };
    for warning in warnings {
        log.line(Stream::Devctl, warning.as_bytes());
    }
    Ok((id, Timestamp::UNIX_EPOCH))
}

/// The ids of the containers whose namespaces or volumes it shares: it cannot be started again once one of them is another.
async fn joined(engine: &Engine, wanted: &ContainerSpec) -> Result<String, DockerError> {
    let Some(host) = &wanted.body.host_config else {
        return Ok(String::new());
    };
    let spaces = [&host.network_mode, &host.ipc_mode, &host.pid_mode]
        .into_iter()
        .flatten();
    let spaces = spaces.filter_map(|mode| mode.strip_prefix("container:"));
    let volumes = host.volumes_from.iter().flatten();
    let names: BTreeSet<&str> = spaces
        .chain(volumes.filter_map(|from| from.split(':').next()))
        .collect();
    let mut ids = Vec::new();
    for name in names {
        ids.extend(engine.look(name).await?.map(|seen| seen.id));
    }
    Ok(ids.join(","))
}

fn put_labels(wanted: &mut ContainerSpec, plan: &ContainerPlan, image: &Image) {
    let all = wanted.body.labels.get_or_insert_with(HashMap::new);
    all.insert(labels::IMAGE.to_owned(), image.id.clone());
    all.insert(labels::TOLD.to_owned(), plan.told.clone());
}

fn wanted_label<'a>(wanted: &'a ContainerSpec, label: &str) -> Option<&'a str> {
    wanted.body.labels.as_ref()?.get(label).map(String::as_str)
}

fn foreign(seen: &Seen) -> StartError {
    let whose = match (seen.label(labels::PROJECT), seen.label(labels::SERVICE)) {
        (Some(project), Some(service)) => {
            let dir = seen.label(labels::WORKING_DIR).unwrap_or("another directory");
            format!("service `{service}` of project `{project}` in `{dir}`")
        }
        _ => "a container of nobody's project".to_owned(),
    };
    StartError::Other(Failure {
        what: format!("the container name `{}` is taken by {whose}", seen.name),
        help: Some(format!(
            "`docker rm -f {}` removes that one; or give the project another name (`-p NAME`), or the service another `container_name`",
            seen.name
        )),
        output: Vec::new(),
    })
}

/// Anonymous volumes are mounted by their names where the new container wants one that nothing else names. The engine takes them for named
/// ones from then on: a label remembers what they are.
fn keep_anonymous_volumes(wanted: &mut ContainerSpec, before: &Seen) {
    let Some(host) = &mut wanted.body.host_config else {
        return;
    };
    let bound: Vec<String> = host
        .binds
        .iter()
        .flatten()
        .filter_map(|bind| bind.split(':').nth(1).map(str::to_owned))
        .collect();
    let anonymous: Vec<&String> = before.anonymous_volumes().collect();
    let mut handed_on = Vec::new();
    for (target, name) in before.volumes.iter().filter(|(_, name)| anonymous.contains(name)) {
        let mounts = host.mounts.get_or_insert_with(Vec::new);
        match mounts.iter_mut().find(|mount| mount.target.as_ref() == Some(target)) {
            Some(mount) if mount.source.is_none() => mount.source = Some(name.clone()),
            Some(_) => continue,
            None if bound.contains(target) => continue,
            None => mounts.push(api::Mount {
                typ: Some(api::MountType::VOLUME),
                source: Some(name.clone()),
                target: Some(target.clone()),
                ..api::Mount::default()
            }),
        }
        handed_on.push(name.as_str());
    }
    if !handed_on.is_empty() {
        let all = wanted.body.labels.get_or_insert_with(HashMap::new);
        all.insert(labels::ANONYMOUS.to_owned(), handed_on.join(","));
    }
}

/// Starts it, and looks what came of that.
async fn began(engine: &Engine, id: &str) -> Result<Seen, DockerError> {
    engine.start(id).await?;
    match engine.look(id).await? {
        Some(seen) => Ok(seen),
        None => Err(DockerError {
            doing: "start its container".to_owned(),
            said: "it was removed meanwhile".to_owned(),
            problem: Problem::NotThere,
        }),
    }
}

/// Names the container that has a port.
async fn named(engine: &Engine, mut error: DockerError) -> DockerError {
    if error.problem != Problem::PortTaken {
        return error;
    }
    let digits = error
        .said
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|word| word.parse::<u16>().ok());
    for port in digits.filter(|port| *port > 1) {
        if let Ok(found) = engine.publishers(port).await
            && let Some(holder) = found.first()
        {
            error.said = format!("port {port} is taken by container `{}`", holder.name);
            break;
        }
    }
    error
}

/// Where its ports answer: at its own address, or, where this host cannot reach that, at a loopback port that leads there.
async fn addresses(
    plan: &ContainerPlan,
    seen: &Seen,
) -> Result<(Option<IpAddr>, HashMap<u16, SocketAddr>), StartError> {
    if seen.network_mode == "host" {
        return Ok((Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), HashMap::new()));
    }
    if let Some(other) = seen.network_mode.strip_prefix("container:") {
        let other = plan.engine.look(other).await?;
        return Ok(other.map(|other| reachable(plan, &other)).unwrap_or_default());
    }
    Ok(reachable(plan, seen))
}

fn reachable(plan: &ContainerPlan, seen: &Seen) -> (Option<IpAddr>, HashMap<u16, SocketAddr>) {
    if plan.engine.facts().far {
        return (None, seen.published.clone());
    }
    let first = plan
        .spec
        .networks
        .iter()
        .find_map(|network| seen.addresses.get(&network.network));
    let ip = first
        .or_else(|| seen.addresses.values().next())
        .copied()
        .map(IpAddr::V4);
    let ports = plan
        .ports
        .iter()
        .filter_map(|port| Some((*port, SocketAddr::new(ip?, *port))));
    (ip, ports.collect())
}
