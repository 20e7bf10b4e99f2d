//! What stands at the end: ready in how long, where to go, and what took the time; or what failed.

use devctl_wire::v1::{NodeStatus, Outcome, PathStep, Result as Ended};

use super::notice;
use super::style::Style;
use super::text::{seconds, width};
use super::told::Told;

/// The lines of the outcome of a verb that names itself, such as `up`.
pub(crate) fn lines<'a>(
    outcome: &Outcome,
    told: &Told,
    nodes: impl Iterator<Item = &'a NodeStatus>,
    style: Style,
) -> Vec<String> {
    let mut lines: Vec<String> = outcome.diagnostics.iter().flat_map(notice::diagnostic).collect();
    lines.extend(
        outcome
            .failures
            .iter()
            .filter_map(|failure| told.rest(failure))
            .flat_map(|failure| notice::failure(&failure, style)),
    );
    let time = seconds(to_ms(outcome.seconds));
    match outcome.result() {
        Ended::Ready => {
            // Without --wait nobody has waited for tests.
            let what = if outcome.starting > 0 { "started" } else { "ready" };
            lines.push(format!(
                "{} · {}",
                style.good(&format!("{what} in {time}")),
                counts(outcome)
            ));
            lines.extend(addresses(nodes, style));
            lines.extend(critical_path(outcome, style));
        }
        Ended::Unchanged => {
            lines.push(format!("{} · {}", style.good("nothing to change"), counts(outcome)));
            lines.extend(addresses(nodes, style));
        }
        Ended::Failed => {
            let names: Vec<&str> = outcome.failures.iter().map(|failure| failure.node.as_str()).collect();
            let who = if names.is_empty() {
                String::new()
            } else {
                format!(": {}", names.join(", "))
            };
            lines.push(style.error(&format!("failed after {time}{who}")));
        }
        Ended::TimedOut => lines.push(style.error(&format!("not ready after {time}"))),
        Ended::Ended if outcome.failures.is_empty() => {
            lines.push(style.good(&format!("all has ended after {time}")));
        }
        Ended::Ended => {
            let names: Vec<&str> = outcome.failures.iter().map(|failure| failure.node.as_str()).collect();
            let who = names.join(", ");
            lines.push(style.error(&format!("all has ended after {time}, failed: {who}")));
        }
        Ended::Stopped => lines.push(format!("stopped in {time}")),
        Ended::Removed => {
            let names = told.removed().join(", ");
            lines.push(format!("{} in {time}", format!("removed {names}").trim_end()));
        }
        Ended::Done => lines.push(format!("done in {time}")),
        Ended::Planned => lines.push(style.dim("nothing was done (--dry-run)")),
        Ended::Invalid | Ended::Unspecified => {}
    }
    lines
}

fn counts(outcome: &Outcome) -> String {
    let mut parts = vec![format!("{} ready", outcome.ready)];
    if outcome.starting > 0 {
        parts.push(format!("{} starting", outcome.starting));
    }
    if outcome.completed > 0 {
        parts.push(format!("{} completed", outcome.completed));
    }
    if outcome.changed > 0 {
        parts.push(format!("{} changed", outcome.changed));
    }
    parts.join(", ")
}

/// Every published port, as an address that can be opened.
fn addresses<'a>(nodes: impl Iterator<Item = &'a NodeStatus>, style: Style) -> Vec<String> {
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for node in nodes {
        for port in &node.ports {
            let address = if port.url.is_empty() {
                port.published.as_str()
            } else {
                port.url.as_str()
            };
            if !address.is_empty() && !rows.contains(&(node.id.as_str(), address)) {
                rows.push((node.id.as_str(), address));
            }
        }
    }
    let column = rows.iter().map(|(node, _)| width(node)).max().unwrap_or(0);
    rows.iter()
        .map(|(node, address)| format!("  {node:column$}  {}", style.busy(address)))
        .collect()
}

/// The chain that decided how long it took, and which part of it was devctl's own doing.
fn critical_path(outcome: &Outcome, style: Style) -> Option<String> {
    if outcome.critical_path.is_empty() {
        return None;
    }
    let steps: Vec<String> = outcome.critical_path.iter().map(step).collect();
    let own = format!(" · devctl's own part {:.1} %", outcome.own_share * 100.0);
    Some(format!(
        "{} {}{}",
        style.dim("critical path:"),
        steps.join(" → "),
        style.dim(&own)
    ))
}

fn step(step: &PathStep) -> String {
    let what = if step.what.is_empty() {
        String::new()
    } else {
        format!(" {}", step.what)
    };
    let detail = if step.detail.is_empty() {
        String::new()
    } else {
        format!(" ({})", step.detail)
    };
    format!("{}{what} {}{detail}", step.node, hundredths(step.seconds))
}

/// Steps are short: two decimals.
fn hundredths(time: f64) -> String {
    format!("{time:.2} s")
}

/// Milliseconds of a number of seconds that came over the wire.
fn to_ms(time: f64) -> u64 {
    u64::try_from(
        std::time::Duration::try_from_secs_f64(time)
            .unwrap_or_default()
            .as_millis(),
    )
    .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use devctl_wire::v1::{Failure, PortStatus};

    #[test]
    fn ready_says_where_to_go_and_what_took_the_time() {
        let node = NodeStatus {
            id: "api-gateway".into(),
            ports: vec![PortStatus {
                target: 8080,
                published: "127.0.0.1:8080".into(),
                url: "http://127.0.0.1:8080".into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let path = |node: &str, what: &str, seconds: f64| PathStep {
            node: node.into(),
            what: what.into(),
            seconds,
            detail: String::new(),
        };
        let outcome = Outcome {
            result: Ended::Ready.into(),
            seconds: 4.21,
            ready: 9,
            completed: 1,
            changed: 10,
            critical_path: vec![path("rabbitmq", "start", 3.402), path("billing", "ready", 0.3)],
            own_share: 0.021,
            ..Default::default()
        };
        assert_eq!(
            lines(&outcome, &Told::default(), [&node].into_iter(), Style::new(false)),
            [
                "ready in 4.2 s · 9 ready, 1 completed, 10 changed",
                "  api-gateway  http://127.0.0.1:8080",
                "critical path: rabbitmq start 3.40 s → billing ready 0.30 s · devctl's own part 2.1 %",
            ]
        );
    }

    #[test]
    fn a_failure_shows_what_was_last_heard_of_it() {
        let outcome = Outcome {
            result: Ended::Failed.into(),
            seconds: 1.0,
            failures: vec![Failure {
                node: "billing".into(),
                what: "is not healthy after 60 s".into(),
                why: "its test fails".into(),
                probe_output: "connection refused\n".into(),
                log_tail: vec!["listening on 8080".into()],
                ..Default::default()
            }],
            ..Default::default()
        };
        assert_eq!(
            lines(&outcome, &Told::default(), std::iter::empty(), Style::new(false)),
            [
                "✗ billing is not healthy after 60 s",
                "   why: its test fails",
                "   its health test said:",
                "     connection refused",
                "   its last lines:",
                "     listening on 8080",
                "  help: `devctl logs billing` has all of it",
                "failed after 1.0 s: billing",
            ]
        );
    }
}
