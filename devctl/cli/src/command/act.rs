//! What `start`, `stop`, `restart`, `kill`, `pause` and `unpause` have in common: one request about services that the project has.

use devctl_wire::v1::{ActRequest, NodeStatus, State, StatusRequest, Verb};

use crate::client;
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::Show;
use crate::session;

/// Asks the daemon, which must be there, and shows what it does.
pub(crate) fn run(context: &Context, request: ActRequest) -> Result<Exit, Error> {
    shown(context, request, Show::default())
}

/// The same, shown otherwise.
pub(super) fn shown(context: &Context, request: ActRequest, show: Show) -> Result<Exit, Error> {
    let project = context.project_of(&request.services)?;
    context.block_on(async {
        let mut client = client::expect(&project).await?;
        let verb = request.verb();
        if context.global.dry_run || matches!(verb, Verb::Pause | Verb::Unpause) {
            let nodes = client.status(StatusRequest::default()).await?.into_inner().nodes;
            let meant = meant(&project, &request, &nodes);
            if context.global.dry_run {
                let action = action(&request);
                let steps: Vec<Step> = meant.iter().map(|node| Step::of_node(action, node)).collect();
                return dry::tell(context, &steps);
            }
            if meant.is_empty() {
                return Err(nothing(&request, &nodes));
            }
        }
        let updates = client.act(request).await?.into_inner();
        let mut render = context.renderer(show);
        session::shown(&mut *render, &mut client, updates, "left; what was asked for goes on").await
    })
}

/// What is done, as `--dry-run` says it.
fn action(request: &ActRequest) -> &'static str {
    match request.verb() {
        Verb::Start | Verb::Unspecified => "start",
        Verb::Stop => "stop",
        Verb::Restart => "restart",
        Verb::Kill => "signal",
        Verb::Pause => "pause",
        Verb::Unpause => "unpause",
    }
}

/// The nodes to which a request would do something.
fn meant<'a>(project: &Project, request: &ActRequest, nodes: &'a [NodeStatus]) -> Vec<&'a NodeStatus> {
    let verb = request.verb();
    let names = match verb {
        Verb::Start if !request.services.is_empty() => super::pull::reach(project, &request.services, true),
        _ => request.services.clone(),
    };
    let is_named = |node: &&NodeStatus| {
        let mut names = names.iter();
        request.services.is_empty() || names.any(|name| *name == node.service || *name == node.id)
    };
    let is_meant = |node: &&NodeStatus| match verb {
        Verb::Start | Verb::Unspecified => !runs(node) || node.state() == State::Paused,
        // A job that has done its work is not run again by a restart of everything.
        Verb::Restart => !request.services.is_empty() || node.state() != State::Completed,
        Verb::Stop | Verb::Kill => {
            runs(node) || matches!(node.state(), State::Waiting | State::Backoff | State::Building)
        }
        Verb::Pause => runs(node) && node.state() != State::Paused && node.kind != "stub",
        Verb::Unpause => node.state() == State::Paused,
    };
    nodes.iter().filter(is_named).filter(is_meant).collect()
}

fn runs(node: &NodeStatus) -> bool {
    matches!(
        node.state(),
        State::Starting | State::Ready | State::Unhealthy | State::Paused
    )
}

fn nothing(request: &ActRequest, nodes: &[NodeStatus]) -> Error {
    let (done, help) = match request.verb() {
        Verb::Unpause => ("is paused", "`devctl ps` shows what is"),
        _ => ("runs that is not paused already", "`devctl ps` shows what runs"),
    };
    let what = match request.services.as_slice() {
        [] => format!("nothing {done}"),
        [service] => {
            let node = nodes.iter().find(|node| node.service == *service);
            let how = node.map_or_else(
                || "is not up".to_owned(),
                |node| format!("is {}", super::ps::in_words(node)),
            );
            format!("`{service}` {how}: nothing to {}", action(request))
        }
        services => format!("nothing of {} {done}", services.join(", ")),
    };
    Error::Unmet {
        what,
        help: Some(help.to_owned()),
    }
}
