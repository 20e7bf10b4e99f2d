//! The engine's words in the API's: the one place where the two meet.

use devctl_core::engine::{Cause, Hold, Level, Notice, NoticeKind, Phase, Status, Step, Verdicts, Verification};
use devctl_core::plan::Change;
use devctl_wire::v1;

use crate::clock::Clock;

pub(crate) fn update(what: v1::update::What) -> v1::Update {
    v1::Update { what: Some(what) }
}

pub(crate) fn notice(notice: &Notice, clock: &Clock) -> v1::Notice {
    v1::Notice {
        number: notice.number,
        time_unix_ms: clock.unix_ms(notice.at),
        level: level(notice.kind.level()).into(),
        node: notice.node.as_ref().map(ToString::to_string).unwrap_or_default(),
        kind: notice.kind.word().to_owned(),
        text: notice.kind.to_string(),
        help: notice.kind.help().unwrap_or_default().to_owned(),
        lines: notice.kind.lines().to_vec(),
        reload: reload(&notice.kind),
        verdicts: told_verdicts(notice, clock),
    }
}

/// What waited meanwhile is the edges' to say, and is put in by whoever asks them.
fn reload(kind: &NoticeKind) -> Option<v1::Reload> {
    match kind {
        NoticeKind::Replaced {
            reason,
            took,
            build,
            swap,
        } => Some(v1::Reload {
            what: reason.clone(),
            seconds: took.as_secs_f64(),
            build_seconds: build.map(|build| build.as_secs_f64()),
            swap_seconds: swap.as_secs_f64(),
            ..v1::Reload::default()
        }),
        _ => None,
    }
}

fn told_verdicts(notice: &Notice, clock: &Clock) -> Option<v1::Verdicts> {
    let NoticeKind::Verified {
        outcome, cause, took, ..
    } = &notice.kind
    else {
        return None;
    };
    let cause = match cause {
        Cause::Ready => "ready",
        Cause::Saved => "saved",
        Cause::Expected(_) => "expected",
    };
    Some(v1::Verdicts {
        seconds: Some(took.as_secs_f64()),
        cause: cause.to_owned(),
        ..verdicts(outcome, clock.unix_ms(notice.at))
    })
}

/// What a verification came to.
pub(crate) fn verdicts(outcome: &Verification, time_unix_ms: i64) -> v1::Verdicts {
    let verdict = match outcome.verdicts() {
        Verdicts::None => "none",
        Verdicts::Kept => "kept",
        Verdicts::Broken => "broken",
        Verdicts::CouldNotRun => "could-not-run",
    };
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    v1::Verdicts {
        verdict: verdict.to_owned(),
        kept: count(outcome.kept),
        broken: count(outcome.broken),
        pending: count(outcome.pending),
        could_not_run: count(outcome.could_not_run),
        known: count(outcome.known),
        text: outcome.to_string(),
        help: outcome.help().unwrap_or_default().to_owned(),
        time_unix_ms,
        breach: outcome.breach.as_ref().map(|breach| v1::Breach {
            consumer: breach.consumer.clone(),
            interaction: breach.interaction.clone(),
            path: breach.path.clone(),
            expected: breach.expected.clone(),
            actual: breach.actual.clone(),
        }),
        ..v1::Verdicts::default()
    }
}

fn level(level: Level) -> v1::Level {
    match level {
        Level::Info => v1::Level::Info,
        Level::Warning => v1::Level::Warning,
        Level::Error => v1::Level::Error,
    }
}

pub(crate) fn change(change: &Change) -> v1::Change {
    v1::Change {
        node: change.node.to_string(),
        action: change.action.word().to_owned(),
        reason: change.reason.clone(),
    }
}

pub(crate) fn hold(hold: &Hold) -> v1::Hold {
    v1::Hold {
        kind: hold.word().to_owned(),
        on: hold.on().map(ToString::to_string).unwrap_or_default(),
        text: hold.to_string(),
        condition: hold
            .condition()
            .map(|condition| condition.word().to_owned())
            .unwrap_or_default(),
    }
}

pub(crate) fn step(step: &Step) -> v1::PathStep {
    let detail = match step.phase {
        Phase::Build => "from source",
        Phase::Prepare => "before its first process",
        Phase::Boot => "from process to ready",
        Phase::Stop => "the run before",
        Phase::Verify => "from ready to contracts kept",
    };
    v1::PathStep {
        node: step.node.to_string(),
        what: step.phase.word().to_owned(),
        seconds: step.took.as_secs_f64(),
        detail: detail.to_owned(),
    }
}

pub(crate) fn state(status: Status) -> v1::State {
    match status {
        Status::Down => v1::State::Down,
        Status::Waiting => v1::State::Waiting,
        Status::Building => v1::State::Building,
        Status::Starting => v1::State::Starting,
        Status::Ready => v1::State::Ready,
        Status::Unhealthy => v1::State::Unhealthy,
        Status::Completed => v1::State::Completed,
        Status::Failed => v1::State::Failed,
        Status::Stopping => v1::State::Stopping,
        Status::Paused => v1::State::Paused,
        Status::Backoff => v1::State::Backoff,
    }
}
