//! Plan, notices, diagnostics and failures as lines of text, the same on a terminal and elsewhere.

use devctl_wire::v1::{Diagnostic, Failure, Level, Notice, Plan};

use super::style::Style;
use super::text::{sanitize, width};

/// The lines of a notice: one, then what belongs to it, indented.
pub(crate) fn notice(notice: &Notice, style: Style) -> Vec<String> {
    let sign = match notice.level() {
        Level::Info => String::new(),
        Level::Warning => format!("{} ", style.warn("warning:")),
        Level::Error => format!("{} ", style.error("error:")),
    };
    let node = if notice.node.is_empty() {
        String::new()
    } else {
        format!("{}  ", style.bold(&notice.node))
    };
    let mut lines = vec![format!("{sign}{node}{}", notice.text)];
    lines.extend(
        notice
            .lines
            .iter()
            .map(|line| format!("    {}", sanitize(line, style.is_on()))),
    );
    if !notice.help.is_empty() {
        lines.push(format!("  {} {}", style.help("help:"), notice.help));
    }
    lines
}

/// What `up` is going to do: a line for each change. What is kept is left out unless all of the plan was asked for.
pub(crate) fn plan(plan: &Plan, whole: bool, style: Style) -> Vec<String> {
    let changes: Vec<_> = plan
        .changes
        .iter()
        .filter(|change| whole || change.action != "keep")
        .collect();
    let column = changes.iter().map(|change| width(&change.action)).max().unwrap_or(0);
    let nodes = changes.iter().map(|change| width(&change.node)).max().unwrap_or(0);
    let mut lines: Vec<String> = changes
        .iter()
        .map(|change| {
            let action = format!("{:column$}", change.action);
            let action = match change.action.as_str() {
                "create" | "start" | "run-again" | "build" => style.good(&action),
                "recreate" | "orphan" => style.warn(&action),
                "remove" => style.error(&action),
                _ => style.dim(&action),
            };
            format!("{action}  {:nodes$}  {}", change.node, style.dim(&change.reason))
                .trim_end()
                .to_owned()
        })
        .collect();
    lines.extend(plan.warnings.iter().flat_map(diagnostic));
    lines
}

/// A diagnostic comes rendered whole.
pub(crate) fn diagnostic(diagnostic: &Diagnostic) -> Vec<String> {
    diagnostic.text.trim_end().lines().map(str::to_owned).collect()
}

/// A failed node: what, why, the probe's last output, its last lines, and what to do.
pub(crate) fn failure(failure: &Failure, style: Style) -> Vec<String> {
    let mut lines = vec![format!(
        "{} {} {}",
        style.error("✗"),
        style.bold(&failure.node),
        failure.what
    )];
    if !failure.why.is_empty() {
        lines.push(format!("   {} {}", style.dim("why:"), failure.why));
    }
    if !failure.probe_output.trim().is_empty() {
        lines.push(format!("   {}", style.dim("its health test said:")));
        lines.extend(indented(failure.probe_output.trim_end().lines(), style));
    }
    if !failure.log_tail.is_empty() {
        lines.push(format!("   {}", style.dim("its last lines:")));
        lines.extend(indented(failure.log_tail.iter().map(String::as_str), style));
    }
    // What never ran has no logs to look at.
    let has_run = failure.exit_code.is_some() || !failure.log_tail.is_empty() || !failure.probe_output.is_empty();
    if !failure.help.is_empty() {
        lines.push(format!("  {} {}", style.help("help:"), failure.help));
    } else if has_run {
        lines.push(format!(
            "  {} `devctl logs {}` has all of it",
            style.help("help:"),
            failure.node
        ));
    }
    lines
}

fn indented<'a>(lines: impl Iterator<Item = &'a str> + 'a, style: Style) -> impl Iterator<Item = String> + 'a {
    lines.map(move |line| format!("     {}", sanitize(line, style.is_on())))
}
