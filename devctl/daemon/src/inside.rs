//! What it takes to stand where a service stands: its environment in the clear, its directory, its process, its database.
//!
//! For `run`, `exec`, `env` and `db`. The API's socket is its owner's alone, and so is everything that is told here.

use std::sync::Arc;

use devctl_core::NodeId;
use devctl_drivers::postgres::Settings;
use devctl_wire::v1;
use indexmap::IndexMap;

use crate::hooks::Place;
use crate::live::{Handle, Live};
use crate::run_loop::Loop;
use crate::spec::{NodeSpec, What};
use crate::start;

/// The node's inside; `None` where the project has no such node.
pub(crate) fn inside(all: &Loop, request: &v1::InsideRequest) -> Option<v1::InsideReply> {
    let wanted = |id: &&NodeId| id.service() == request.service && id.index() == request.index.max(1);
    let id = all.plan.nodes.keys().find(wanted)?;
    let run = all.state.node(id).and_then(|node| node.run.as_ref());
    let live = run.and_then(|run| all.performer.live(run.number));
    let spec = match live {
        Some(live) => &live.spec,
        None => all.performer.spec(id, &all.plan.nodes.get(id)?.hash)?,
    };
    let context = live.and_then(|live| match &live.context {
        Some(Place::Host(process)) => Some(process),
        Some(Place::Container(..)) | None => None,
    });
    let (command, directory) = match (&spec.what, context) {
        (What::Process(plan), _) => (plan.command.clone(), plan.dir.display().to_string()),
        (_, Some(context)) => (Vec::new(), context.dir.display().to_string()),
        _ => (Vec::new(), String::new()),
    };
    let environment = match (&spec.what, context) {
        (_, Some(context)) => context.env.clone(),
        (What::Process(plan), None) => plan.env.clone(),
        _ => with_addresses(spec),
    };
    let pair = |(key, value): (String, String)| v1::KeyValue { key, value };
    Some(v1::InsideReply {
        runtime: spec.what.word().to_owned(),
        running: live.is_some(),
        environment: environment.into_iter().map(pair).collect(),
        command,
        directory,
        pid: run.and_then(|run| run.pid).unwrap_or_default(),
        container: match live.map(|live| &live.handle) {
            Some(Handle::Container(container)) => container.id.clone(),
            _ => String::new(),
        },
        ports: ports(spec, live),
        stdin: match (&spec.what, run) {
            (What::Process(plan), Some(run)) if plan.reads && live.is_some() => {
                all.performer.means.stdin(id, run.number).display().to_string()
            }
            _ => String::new(),
        },
        postgres: live.and_then(postgres),
        secrets: spec.secrets.clone(),
    })
}

/// How a service's first replica is run, by the plan of now.
pub(crate) fn spec(all: &Loop, service: &str) -> Option<Arc<NodeSpec>> {
    let node = all
        .plan
        .nodes
        .iter()
        .find(|(id, _)| id.service() == service && id.index() == 1);
    let (id, plan) = node?;
    all.performer.spec(id, &plan.hash).cloned()
}

/// The file's environment, with what is told in place of names.
fn with_addresses(spec: &NodeSpec) -> IndexMap<String, String> {
    let mut environment = spec.environment.clone();
    for rewrite in &spec.rewrites {
        if let Some(value) = environment.get_mut(&rewrite.place) {
            value.clone_from(&rewrite.told);
        }
    }
    environment
}

fn ports(spec: &NodeSpec, live: Option<&Live>) -> Vec<v1::PortVariable> {
    let told = |port: u16, variable: &str| {
        let external = match &spec.what {
            What::External { ports, .. } => ports.get(&port).copied(),
            _ => None,
        };
        let address = live.and_then(|live| live.ports.get(&port).copied()).or(external);
        v1::PortVariable {
            port: port.into(),
            variable: variable.to_owned(),
            address: address.map(|address| address.to_string()).unwrap_or_default(),
        }
    };
    match &spec.what {
        What::Process(plan) => plan
            .port_variables
            .iter()
            .map(|(port, variable)| told(*port, variable))
            .collect(),
        What::External { ports, variables } => {
            let variable = |port: &u16| variables.get(port).map_or("", String::as_str);
            ports.keys().map(|port| told(*port, variable(port))).collect()
        }
        _ => spec.ports.iter().map(|port| told(*port, "")).collect(),
    }
}

/// How to log in to a PostgreSQL of this machine.
fn postgres(live: &Live) -> Option<v1::PostgresLogin> {
    let What::Postgres(plan) = &live.spec.what else {
        return None;
    };
    let settings = Settings::from_env(&plan.env, true).ok()?;
    let at = live.ports.get(&start::POSTGRES_PORT)?;
    Some(v1::PostgresLogin {
        host: at.ip().to_string(),
        port: at.port().into(),
        user: settings.user,
        password: settings.password.unwrap_or_default(),
        database: settings.database,
    })
}
