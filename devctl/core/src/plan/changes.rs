//! What `up` would do, with a reason per line: the plan as a diff against what is there.

use crate::NodeId;
use crate::engine::{State, Up, Wanted};

/// What happens to one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub node: NodeId,
    /// What.
    pub action: Action,
    /// Why; empty where the action says it all.
    pub reason: String,
}

/// What `up` does with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It was not there.
    Create,
    /// It is there, and does not run.
    Start,
    /// It runs, and is not as the files say.
    Recreate,
    /// It is looked at whether what is built from its sources is what runs.
    Build,
    /// A job: it is run unless its work is done already.
    RunAgain,
    /// As it should be.
    Keep,
    /// The files no longer name it; it is removed.
    Remove,
    /// The files no longer name it; it stays.
    Orphan,
}

impl Action {
    /// One word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Start => "start",
            Action::Recreate => "recreate",
            Action::Build => "build",
            Action::RunAgain => "run-again",
            Action::Keep => "keep",
            Action::Remove => "remove",
            Action::Orphan => "orphan",
        }
    }
}

/// A job of an earlier daemon whose work is done, as far as can be told before anything is looked at: all that it had worked on still runs.
fn was_done(up: &Up, state: &State, id: &NodeId) -> bool {
    let Some(plan) = up.plan.nodes.get(id).filter(|plan| plan.is_one_shot()) else {
        return false;
    };
    let runs = |name: &String| up.found.iter().any(|found| found.node.to_string() == *name);
    let done = state.memory(id).and_then(|memory| memory.completion.as_ref());
    !up.force_recreate
        && !up.again.contains(id)
        && done.is_some_and(|done| done.hash == plan.hash && done.inputs.keys().all(runs))
}

/// Compares what `up` wants with `state`. Nothing is done.
#[must_use]
pub fn changes(up: &Up, state: &State) -> Vec<Change> {
    let mut changes = Vec::new();
    for (id, plan) in up.plan.nodes.iter().filter(|(id, _)| up.scope.contains(id)) {
        let mut push = |action, reason: &str| {
            changes.push(Change {
                node: id.clone(),
                action,
                reason: reason.to_owned(),
            })
        };
        let Some(node) = state.node(id) else {
            match up.found.iter().find(|found| found.node == *id) {
                Some(_) if up.outdated.contains_key(id) && !up.no_recreate => push(Action::Recreate, &up.outdated[id]),
                Some(found) if found.hash == plan.hash && !up.force_recreate => push(Action::Keep, "it runs already"),
                Some(_) if up.no_recreate => push(Action::Keep, "it runs already"),
                Some(_) => push(Action::Recreate, "its configuration has changed"),
                None if was_done(up, state, id) => push(Action::Keep, "completed before"),
                None => push(Action::Create, ""),
            }
            continue;
        };
        let wanted_before = node.wanted == Wanted::Up;
        match &node.run {
            Some(run) if up.no_recreate && !run.is_stopping() => push(Action::Keep, ""),
            Some(run) if run.is_stopping() => push(Action::Start, "it is being stopped"),
            Some(_) if up.force_recreate => push(Action::Recreate, "asked to recreate everything"),
            Some(run) if run.hash != plan.hash => push(Action::Recreate, "its configuration has changed"),
            Some(_) if up.outdated.contains_key(id) => push(Action::Recreate, &up.outdated[id]),
            Some(_) if plan.builds && !up.no_build && up.build => push(Action::Build, "asked to build"),
            Some(_)
                if plan.builds
                    && !up.no_build
                    && up
                        .sources
                        .get(id)
                        .is_some_and(|source| node.build.stamp.as_ref() != Some(source)) =>
            {
                push(Action::Build, "its sources have changed");
            }
            Some(_) => push(Action::Keep, ""),
            None if node.completion.is_some() && up.again.contains(id) => push(Action::RunAgain, "asked for by name"),
            None if node.completion.is_some() && !up.force_recreate => match &node.completion {
                Some(done) if done.hash == plan.hash => push(Action::Keep, "completed before"),
                _ => push(Action::RunAgain, "its configuration has changed"),
            },
            None if node.completed.is_some() => push(Action::Start, "it has exited"),
            None if node.failure.is_some() => push(Action::Start, "it had failed"),
            None if wanted_before => push(Action::Keep, "on its way"),
            None if node.last.is_some() => push(Action::Start, ""),
            None => push(Action::Create, ""),
        }
    }
    for (id, node) in state.nodes() {
        if up.plan.nodes.contains_key(id) || up.disabled.contains(id.service()) {
            continue;
        }
        let (action, reason) = match (up.enabled.contains(id.service()), up.remove_orphans) {
            (true, _) => (Action::Remove, "fewer replicas are wanted"),
            (false, true) => (Action::Remove, "the files no longer name it"),
            (false, false) if node.quiet() && node.orphan => continue,
            (false, false) => (
                Action::Orphan,
                "the files no longer name it; `--remove-orphans` removes it",
            ),
        };
        changes.push(Change {
            node: id.clone(),
            action,
            reason: reason.to_owned(),
        });
    }
    changes
}
