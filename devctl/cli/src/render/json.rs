//! Updates as JSON: one object per line on stdout and nothing else there, each with `type` and the names that the API gives its fields.
//!
//! Scripts may rely on: `type` (`notice`, `node`, `plan`, `outcome`, `log`, `remark`), names once given, states and results in lower case,
//! times as RFC 3339 in UTC. Fields may be added.

use std::io::{self, Write};
use std::time::Duration;

use devctl_wire::v1::{
    Change, ContractsStatus, Failure, Hold, LogLine, LogStream, NodeStatus, Notice, Outcome, PathStep, Plan,
    PortStatus, Update, Verdicts, update::What,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Render;

/// One object per line.
pub(crate) struct Json {
    out: Box<dyn Write>,
}

impl Json {
    /// Objects to `out`.
    pub(crate) fn new(out: Box<dyn Write>) -> Self {
        Self { out }
    }

    fn print(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.out, "{value}")?;
        self.out.flush()
    }
}

impl Render for Json {
    fn update(&mut self, update: &Update, _now: i64) -> io::Result<()> {
        self::update(update).map_or(Ok(()), |value| self.print(&value))
    }

    fn know(&mut self, _node: &NodeStatus, _now: i64) {}

    fn remark(&mut self, text: &str, now: i64) -> io::Result<()> {
        self.print(&json!({"type": "remark", "time": time_ms(now), "text": text}))
    }

    fn pace(&self) -> Option<Duration> {
        None
    }

    fn tick(&mut self, _now: i64) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _now: i64) -> io::Result<()> {
        self.out.flush()
    }
}

/// An update; `None` for one that this version does not know.
pub(crate) fn update(update: &Update) -> Option<Value> {
    Some(match update.what.as_ref()? {
        What::Notice(heard) => notice(heard),
        What::Node(status) => tagged("node", node(status)),
        What::Outcome(heard) => outcome(heard),
        What::Plan(heard) => plan(heard),
        What::Log(line) => log(line),
    })
}

/// A notice.
pub(crate) fn notice(notice: &Notice) -> Value {
    let reload = notice.reload.as_ref().map(|reload| {
        json!({
            "what": reload.what,
            "seconds": reload.seconds,
            "build_seconds": reload.build_seconds,
            "swap_seconds": reload.swap_seconds,
            "held": reload.held,
            "longest_seconds": reload.longest_seconds,
            "refused": reload.refused,
        })
    });
    let mut told = json!({
        "type": "notice",
        "number": notice.number,
        "time": time_ms(notice.time_unix_ms),
        "level": name(notice.level().as_str_name(), "LEVEL_"),
        "node": notice.node,
        "kind": notice.kind,
        "text": notice.text,
        "help": notice.help,
        "lines": notice.lines,
    });
    if let Some(reload) = reload {
        told["reload"] = reload;
    }
    if let Some(told_verdicts) = &notice.verdicts {
        told["contracts"] = verdicts(told_verdicts);
    }
    told
}

/// A line that a node printed.
pub(crate) fn log(line: &LogLine) -> Value {
    let stream = match line.stream() {
        LogStream::Stdout => "stdout",
        LogStream::Stderr => "stderr",
        LogStream::Devctl => "devctl",
    };
    json!({
        "type": "log",
        "time": Timestamp::from_nanosecond(i128::from(line.time_unix_ns)).map(|time| format!("{time:.9}")).unwrap_or_default(),
        "node": line.node,
        "run": line.run,
        "stream": stream,
        "line": String::from_utf8_lossy(&line.line),
        "continues": line.continues,
    })
}

/// A node's state.
pub(crate) fn node(status: &NodeStatus) -> Value {
    json!({
        "id": status.id,
        "service": status.service,
        "index": status.index,
        "kind": status.kind,
        "runtime": status.runtime,
        "version": status.version,
        "image": status.image,
        "command": status.command,
        "state": state(status),
        "summary": status.summary,
        "next": status.next,
        "holds": status.holds.iter().map(hold).collect::<Vec<_>>(),
        "run": status.run,
        "pid": (status.pid != 0).then_some(status.pid),
        "exit_code": status.exit_code,
        "signal": status.signal,
        "restarts": status.restarts,
        "started": status.started_unix_ms.map(time_ms),
        "ready": status.ready_unix_ms.map(time_ms),
        "ports": status.ports.iter().map(port).collect::<Vec<_>>(),
        "hash": status.hash,
        "probe_output": status.probe_output,
        "restart_in_ms": status.restart_in_ms,
        "wanted": status.wanted,
        "contracts": status.contracts.as_ref().map(contracts),
    })
}

/// What is known of the contracts in which a node is the provider.
pub(crate) fn contracts(contracts: &ContractsStatus) -> Value {
    json!({
        "verifying": contracts.verifying,
        "stale": contracts.stale,
        "last": contracts.last.as_ref().map(verdicts),
    })
}

fn verdicts(verdicts: &Verdicts) -> Value {
    let breach = verdicts.breach.as_ref().map(|breach| {
        json!({
            "consumer": breach.consumer,
            "interaction": breach.interaction,
            "path": breach.path,
            "expected": breach.expected,
            "actual": breach.actual,
        })
    });
    json!({
        "verdict": verdicts.verdict,
        "kept": verdicts.kept,
        "broken": verdicts.broken,
        "pending": verdicts.pending,
        "could_not_run": verdicts.could_not_run,
        "known": verdicts.known,
        "text": verdicts.text,
        "help": verdicts.help,
        "time": time_ms(verdicts.time_unix_ms),
        "breach": breach,
        "seconds": verdicts.seconds,
        "cause": (!verdicts.cause.is_empty()).then_some(&verdicts.cause),
    })
}

/// A state in one lower-case word.
pub(crate) fn state(status: &NodeStatus) -> String {
    name(status.state().as_str_name(), "STATE_")
}

/// A reason to wait.
pub(crate) fn hold(hold: &Hold) -> Value {
    json!({"kind": hold.kind, "on": hold.on, "text": hold.text})
}

fn port(port: &PortStatus) -> Value {
    json!({
        "target": port.target,
        "protocol": port.protocol,
        "published": port.published,
        "address": port.address,
        "url": port.url,
    })
}

fn plan(plan: &Plan) -> Value {
    let change = |change: &Change| json!({"node": change.node, "action": change.action, "reason": change.reason});
    json!({
        "type": "plan",
        "changes": plan.changes.iter().map(change).collect::<Vec<_>>(),
        "warnings": plan.warnings.iter().map(|warning| &warning.text).collect::<Vec<_>>(),
    })
}

fn outcome(outcome: &Outcome) -> Value {
    let step =
        |step: &PathStep| json!({"node": step.node, "what": step.what, "seconds": step.seconds, "detail": step.detail});
    let failure = |failure: &Failure| {
        json!({
            "node": failure.node,
            "what": failure.what,
            "why": failure.why,
            "help": failure.help,
            "exit_code": failure.exit_code,
            "probe_output": failure.probe_output,
            "log_tail": failure.log_tail,
        })
    };
    json!({
        "type": "outcome",
        "result": name(outcome.result().as_str_name(), "RESULT_"),
        "seconds": outcome.seconds,
        "ready": outcome.ready,
        "completed": outcome.completed,
        "changed": outcome.changed,
        "failures": outcome.failures.iter().map(failure).collect::<Vec<_>>(),
        "critical_path": outcome.critical_path.iter().map(step).collect::<Vec<_>>(),
        "own_share": outcome.own_share,
        "diagnostics": outcome.diagnostics.iter().map(|diagnostic| &diagnostic.text).collect::<Vec<_>>(),
    })
}

/// `STATE_READY` as `ready`.
fn name(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase()
}

fn tagged(tag: &str, value: Value) -> Value {
    let mut object = serde_json::Map::from_iter([("type".to_owned(), tag.into())]);
    if let Value::Object(fields) = value {
        object.extend(fields);
    }
    Value::Object(object)
}

fn time_ms(time: i64) -> String {
    Timestamp::from_millisecond(time)
        .map(|time| format!("{time:.3}"))
        .unwrap_or_default()
}
