//! The state of everything, as `ps`, `why`, `graph`, `port` and `config --resolved` show it.

use devctl_core::engine::{Create, Exit, Hold, Node, RunPhase, Status};
use devctl_core::{NodeId, Seconds, Time};
use devctl_drivers::log::Redaction;
use devctl_edge::EdgeId;
use devctl_wire::v1;

use crate::convert;
use crate::run_loop::Loop;
use crate::spec::{NodeSpec, Published, What};
use crate::specify::is_secret;

/// What devctl's own edges publish.
const TCP: &str = "tcp";

/// Everything that was asked for.
pub(crate) fn status(all: &Loop, request: &v1::StatusRequest) -> v1::StatusReply {
    let named = |id: &NodeId| {
        request.services.is_empty()
            || request
                .services
                .iter()
                .any(|name| name == id.service() || *name == id.to_string())
    };
    let nodes = || all.state.nodes().filter(|(id, _)| named(id));
    v1::StatusReply {
        project: all.facts.name.clone(),
        project_directory: all.facts.directory.clone(),
        compose_files: all.facts.compose_files.clone(),
        nodes: nodes().map(|(id, _)| node(all, id, request.resolved)).collect(),
        orphans: nodes()
            .filter(|(_, node)| node.orphan)
            .map(|(id, _)| v1::Orphan {
                node: id.to_string(),
                why: "the files no longer name it".to_owned(),
            })
            .collect(),
        edges: edges(all),
        dependencies: all.plan.nodes.values().flat_map(dependencies).collect(),
        last_notice: all.state.last_notice(),
    }
}

fn dependencies(plan: &devctl_core::plan::NodePlan) -> impl Iterator<Item = v1::Dependency> {
    plan.dependencies.iter().map(|dep| v1::Dependency {
        from: plan.id.to_string(),
        to: dep.on.to_string(),
        condition: dep.condition.word().to_owned(),
        required: dep.required,
        restart: dep.restart,
    })
}

fn edges(all: &Loop) -> Vec<v1::EdgeStatus> {
    let ms = |duration: Option<std::time::Duration>| duration.map_or(0.0, |duration| duration.as_secs_f64() * 1000.0);
    let edge = |(id, wire): (&EdgeId, &crate::wiring::Wire)| {
        let stats = wire.stats();
        v1::EdgeStatus {
            consumer: id.consumer.clone(),
            provider: id.provider.clone(),
            port: id.port.into(),
            protocol: stats
                .as_ref()
                .map(|stats| format!("{:?}", stats.protocol).to_lowercase())
                .unwrap_or_default(),
            listen: wire.address().map(|at| at.to_string()).unwrap_or_default(),
            target: wire.target(),
            problem: wire.problem.clone().unwrap_or_default(),
            connections: stats.as_ref().map_or(0, |stats| stats.connections),
            requests: stats.as_ref().map_or(0, |stats| stats.requests),
            errors: stats.as_ref().map_or(0, |stats| stats.errors),
            p50_ms: ms(stats.as_ref().and_then(|stats| stats.p50)),
            p99_ms: ms(stats.as_ref().and_then(|stats| stats.p99)),
            bytes_in: stats.as_ref().map_or(0, |stats| stats.bytes_in),
            bytes_out: stats.as_ref().map_or(0, |stats| stats.bytes_out),
        }
    };
    all.wiring.wires().map(edge).collect()
}

/// What is known of the contracts in which it is the provider.
pub(crate) fn contracts(all: &Loop, node: &Node) -> Option<v1::ContractsStatus> {
    let contracts = &node.contracts;
    let last = contracts.last.as_ref();
    let last = last.filter(|last| last.outcome.verdicts() != devctl_core::engine::Verdicts::None);
    let verifying = contracts.since().is_some() && (contracts.is_running() || last.is_some());
    (verifying || last.is_some()).then(|| v1::ContractsStatus {
        verifying,
        stale: contracts.current().is_none(),
        last: last.map(|last| convert::verdicts(&last.outcome, all.clock.unix_ms(last.at))),
    })
}

/// One node.
pub(crate) fn node(all: &Loop, id: &NodeId, resolved: bool) -> v1::NodeStatus {
    let now = all.clock.now();
    let Some(node) = all.state.node(id) else {
        return v1::NodeStatus::default();
    };
    let status = all.state.status(id, now);
    let run = node.run.as_ref();
    let live = run.and_then(|run| all.performer.live(run.number));
    let spec = live
        .map(|live| &live.spec)
        .or_else(|| all.performer.spec(id, &node.plan.hash));
    let holds = match run {
        Some(_) => all.state.away_hold(node, now).into_iter().collect(),
        None => all.state.holds(id, now),
    };
    let ended = node.last.as_ref().filter(|_| run.is_none());
    let summary = summary(all, node, status, &holds);
    v1::NodeStatus {
        contracts: contracts(all, node),
        id: id.to_string(),
        service: id.service().to_owned(),
        index: id.index(),
        kind: node.plan.kind.word().to_owned(),
        runtime: spec.map(|spec| spec.what.word().to_owned()).unwrap_or_default(),
        version: run.and_then(|run| run.version.clone()).unwrap_or_default(),
        image: spec.and_then(|spec| spec.image.clone()).unwrap_or_default(),
        command: spec.map(|spec| command(spec)).unwrap_or_default(),
        state: convert::state(status).into(),
        summary,
        holds: holds.iter().map(convert::hold).collect(),
        run: run.map_or_else(|| node.last.as_ref().map_or(0, |last| last.run), |run| run.number),
        pid: run.and_then(|run| run.pid).unwrap_or_default(),
        exit_code: ended.and_then(|last| match last.exit {
            Exit::Code(code) => Some(code),
            _ => None,
        }),
        signal: ended
            .and_then(|last| match &last.exit {
                Exit::Signal(signal) => Some(signal.clone()),
                _ => None,
            })
            .unwrap_or_default(),
        restarts: node.restarts,
        started_unix_ms: run.and_then(|run| run.started).map(|at| all.clock.unix_ms(at)),
        ready_unix_ms: run
            .and_then(|run| run.ready)
            .or(node.completed)
            .map(|at| all.clock.unix_ms(at)),
        ports: spec.map(|spec| ports(all, id, spec)).unwrap_or_default(),
        hash: node.plan.hash.to_string(),
        has_health_test: node.plan.health.is_some(),
        probe_output: run.map(|run| run.health.output.clone()).unwrap_or_default(),
        container_name: spec.and_then(|spec| spec.container_name.clone()).unwrap_or_default(),
        resolved: spec.filter(|_| resolved).map(|spec| resolve(spec)),
        restart_in_ms: match holds.first() {
            Some(Hold::Backoff { left }) => u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            _ => 0,
        },
        wanted: node.wanted == devctl_core::engine::Wanted::Up,
        next: next(node, now),
        container_id: live
            .and_then(|live| live.handle.container_id())
            .map(str::to_owned)
            .unwrap_or_default(),
    }
}

/// Of a node that serves: why it is not what was saved last that does.
fn next(node: &Node, now: Time) -> String {
    if node.run.is_none() {
        return String::new();
    }
    match (&node.next, &node.build.failure, &node.not_replaced) {
        (Some(run), ..) => {
            let taken = Seconds(now - run.started.unwrap_or(run.issued));
            match (&node.plan.health, run.health.output.lines().last()) {
                (Some(test), Some(line)) => {
                    format!("its next run: starting, {taken} of {}: {line}", Seconds(test.budget()))
                }
                _ => format!("its next run: starting for {taken}"),
            }
        }
        (None, ..) if let Some((_, since, _)) = &node.build.running => {
            format!("its next run: being built for {}", Seconds(now - *since))
        }
        (None, Some(failure), _) => format!("its last build failed: {}", failure.what),
        (None, None, Some(what)) => format!("its last new run failed: {what}"),
        (None, None, None) => String::new(),
    }
}

/// One line for `ps`.
fn summary(all: &Loop, node: &Node, status: Status, holds: &[Hold]) -> String {
    let now = all.clock.now();
    match (&node.run, status) {
        (Some(run), Status::Ready) => {
            let what = if node.plan.health.is_some() { "ready" } else { "running" };
            let replace = match (&node.next, &node.replace) {
                (Some(_), _) => ", its next run is starting",
                (None, Some(_)) => ", to be replaced",
                (None, None) if node.build.running.is_some() => ", being built",
                (None, None) if node.build.failure.is_some() => ", its last build failed",
                (None, None) if node.not_replaced.is_some() => ", its last new run failed",
                (None, None) => "",
            };
            format!("{what} for {}{replace}", Seconds(now - run.ready.unwrap_or(run.issued)))
        }
        (Some(run), Status::Paused) => format!("paused for {}", Seconds(now - run.paused.unwrap_or(now))),
        (Some(run), Status::Starting) if run.phase == RunPhase::Starting => {
            format!("starting for {}", Seconds(now - run.issued))
        }
        (Some(run), Status::Starting) => match &node.plan.health {
            Some(test) => format!(
                "starting, {} of {}",
                Seconds(now - run.started.unwrap_or(run.issued)),
                Seconds(test.budget())
            ),
            None => "starting".to_owned(),
        },
        (Some(run), Status::Unhealthy) => format!(
            "not healthy: {}",
            run.health.output.lines().last().unwrap_or("no output")
        ),
        (Some(run), Status::Stopping) => match &run.phase {
            RunPhase::Stopping { since, .. } => format!("stopping for {}", Seconds(now - *since)),
            _ => "stopping".to_owned(),
        },
        (None, Status::Completed) => match &node.last {
            Some(last) => format!("{} {} ago", last.exit, Seconds(now - last.at)),
            None => "completed before".to_owned(),
        },
        (None, Status::Down) => match &node.last {
            Some(last) => format!("stopped ({})", last.exit),
            None if node.create == Create::Done => "created".to_owned(),
            None => "not started".to_owned(),
        },
        (None, _) | (Some(_), Status::Waiting) => holds
            .first()
            .map(ToString::to_string)
            .unwrap_or_else(|| status.to_string()),
        _ => status.to_string(),
    }
}

fn command(spec: &NodeSpec) -> String {
    match &spec.what {
        What::Process(plan) => shell_words::join(&plan.command),
        What::Postgres(_) => "postgres".to_owned(),
        What::RabbitMq(_) => "rabbitmq-server".to_owned(),
        What::Container(plan) => {
            let body = &plan.spec.body;
            let words: Vec<&String> = body.entrypoint.iter().chain(&body.cmd).flatten().collect();
            shell_words::join(words)
        }
        What::Stub => "answers from contracts".to_owned(),
        What::External { .. } => "runs elsewhere".to_owned(),
        What::Impossible { .. } => String::new(),
    }
}

fn ports(all: &Loop, id: &NodeId, spec: &NodeSpec) -> Vec<v1::PortStatus> {
    let live = all
        .state
        .node(id)
        .and_then(|node| node.run.as_ref())
        .and_then(|run| all.performer.live(run.number));
    let published = |port: u16| {
        all.wiring
            .wires()
            .find(|(edge, _)| edge.consumer == EdgeId::HOST && edge.provider == id.service() && edge.port == port)
            .and_then(|(_, wire)| wire.address())
    };
    let of = |port: u16| spec.published.iter().filter(move |published| published.target == port);
    let is_tcp = |port: &&u16| of(**port).next().is_none() || of(**port).any(|published| published.protocol == TCP);
    let tcp = spec.ports.iter().filter(is_tcp).map(|port| {
        let at = published(*port);
        let written = of(*port).find(|published| published.protocol == TCP);
        v1::PortStatus {
            target: (*port).into(),
            protocol: TCP.to_owned(),
            published: at.map(|at| at.to_string()).unwrap_or_default(),
            address: live
                .and_then(|live| live.ports.get(port))
                .map(ToString::to_string)
                .unwrap_or_default(),
            url: at
                .filter(|_| speaks_http(written, *port))
                .map(|at| format!("http://{at}"))
                .unwrap_or_default(),
        }
    });
    // The engine publishes these, while the container runs.
    let others = spec.published.iter().filter(|published| published.protocol != TCP);
    let others = others.map(|published| v1::PortStatus {
        target: published.target.into(),
        protocol: published.protocol.clone(),
        published: match published.ports.as_slice() {
            [port] if live.is_some() => std::net::SocketAddr::new(published.host, *port).to_string(),
            _ => String::new(),
        },
        ..v1::PortStatus::default()
    });
    tcp.chain(others).collect()
}

/// Whether a published port is worth a link: what says nothing of its protocol is taken for HTTP unless it is a port that
/// everybody knows as something else.
fn speaks_http(published: Option<&Published>, port: u16) -> bool {
    const OTHERS: &[u16] = &[
        22, 25, 53, 1433, 3306, 4317, 5432, 5671, 5672, 6379, 9090, 9092, 11211, 27017,
    ];
    match published.and_then(|published| published.app_protocol.as_deref()) {
        Some(protocol) => protocol.contains("http") && !protocol.contains("https"),
        None => !OTHERS.contains(&port),
    }
}

/// What a node is told, its secrets hidden.
pub(crate) fn resolve(spec: &NodeSpec) -> v1::Resolved {
    let secrets = Redaction::new(&spec.secrets).naming(&spec.redact);
    let hide = |value: &str| without_passwords(&String::from_utf8_lossy(&secrets.apply(value.as_bytes())));
    let (env, command, directory) = match &spec.what {
        What::Process(plan) => {
            let mut env = plan.env.clone();
            for (port, variable) in &plan.port_variables {
                env.insert(variable.clone(), format!("(the port of its run, {port} in the file)"));
            }
            (env, plan.command.clone(), plan.dir.display().to_string())
        }
        What::Container(plan) => {
            let body = &plan.spec.body;
            let pairs = body.env.iter().flatten().filter_map(|pair| pair.split_once('='));
            let env = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            let words = body.entrypoint.iter().chain(&body.cmd).flatten().cloned().collect();
            (env, words, body.working_dir.clone().unwrap_or_default())
        }
        _ => (spec.environment.clone(), Vec::new(), String::new()),
    };
    v1::Resolved {
        environment: env
            .iter()
            .map(|(key, value)| v1::KeyValue {
                key: key.clone(),
                value: match is_secret(key, &spec.redact) {
                    true => "***".to_owned(),
                    false => hide(value),
                },
            })
            .collect(),
        command: command.iter().map(|word| hide(word)).collect(),
        directory,
        rewrites: spec
            .rewrites
            .iter()
            .filter(|rewrite| !is_secret(&rewrite.place, &spec.redact))
            .map(|rewrite| v1::Rewrite {
                r#where: rewrite.place.clone(),
                written: hide(&rewrite.written),
                told: hide(&rewrite.told),
            })
            .collect(),
    }
}

/// `postgres://billing:***@host`: what stands between a URL's user and its host is nobody's business (RFC 3986, 3.2.1).
fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(|c: char| "/?#, \"'".contains(c)).unwrap_or(after.len());
        let (authority, more) = after.split_at(end);
        match authority
            .rsplit_once('@')
            .map(|(user, host)| (user.split_once(':'), host))
        {
            Some((Some((name, _)), host)) => shown.push_str(&format!("{name}:***@{host}")),
            _ => shown.push_str(authority),
        }
        rest = more;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_urls_password_is_not_shown() {
        let shown = without_passwords("postgres://billing:pa:ss@127.0.0.1:5432/x");
        assert_eq!(shown, "postgres://billing:***@127.0.0.1:5432/x");
        assert_eq!(
            without_passwords("http://a:8080,http://u:p@b/"),
            "http://a:8080,http://u:***@b/"
        );
        assert_eq!(without_passwords("a:b@c"), "a:b@c");
    }
}
