//! How drift is told: a line per contract, and below it what differs, with the place, what is committed and what was written.

use devctl_pact::drift::{Change, Difference, Pair, Verdict};
use serde_json::{Value, json};

use super::{shown, tests::count};
use crate::render::style::Style;
use crate::render::text::truncate;

/// Of an interaction that differs in more places than this, the first ones are shown.
const PLACES: usize = 8;
/// A longer value is cut.
const COLUMNS: usize = 160;

/// The lines about one of several pairs.
pub(super) fn lines(pair: &Pair, all: &[Pair], style: Style) -> Vec<String> {
    let name = |pair: &Pair| format!("{} -> {}", pair.consumer, pair.provider);
    let column = all.iter().map(|pair| name(pair).len()).max().unwrap_or_default();
    let files: Vec<String> = pair.files.iter().map(|file| shown(file)).collect();
    let (sign, what) = match pair.verdict {
        Verdict::Same => (style.good("✓"), count(pair.interactions, "interaction")),
        Verdict::Stale => (style.error("✗"), format!("stale: {}", files.join(", "))),
        Verdict::Missing => (style.error("✗"), "missing: no file of it is committed".to_owned()),
        Verdict::LeftOver => (
            style.error("✗"),
            format!("left over: no test writes {}", files.join(", ")),
        ),
    };
    let mut lines = vec![format!("{sign} {:column$}  {what}", name(pair))];
    if pair.verdict == Verdict::Stale {
        lines.extend(pair.changes.iter().flat_map(|change| told(change, style)));
    }
    lines
}

fn told(change: &Change, style: Style) -> Vec<String> {
    let name = change.interaction.as_deref().unwrap_or("the file as a whole");
    let mut lines = match change.verdict {
        Verdict::Missing => vec![format!("    {} {name}: not committed", style.good("+"))],
        Verdict::LeftOver => vec![format!("    {} {name}: no test writes it", style.error("-"))],
        Verdict::Same | Verdict::Stale => vec![format!("    {} {name}", style.warn("~"))],
    };
    for difference in change.differences.iter().take(PLACES) {
        lines.extend(place(difference, style));
    }
    if let Some(more) = change.differences.len().checked_sub(PLACES).filter(|more| *more > 0) {
        lines.push(format!("        and {} more", count(more, "place")));
    }
    lines
}

fn place(difference: &Difference, style: Style) -> [String; 3] {
    let value = |value: &Option<Value>| match value {
        Some(value) => truncate(&value.to_string(), COLUMNS),
        None => style.dim("nothing"),
    };
    [
        format!("        {}", style.bold(&difference.path)),
        format!("          committed  {}", value(&difference.committed)),
        format!("          written    {}", value(&difference.written)),
    ]
}

/// The same for a program.
pub(super) fn json(pair: &Pair) -> Value {
    let changes = pair.changes.iter().map(|change| {
        let differences = change.differences.iter().map(|difference| {
            json!({
                "path": difference.path,
                "committed": difference.committed,
                "written": difference.written,
            })
        });
        json!({
            "interaction": change.interaction,
            "verdict": change.verdict.name(),
            "differences": differences.collect::<Vec<_>>(),
        })
    });
    json!({
        "consumer": pair.consumer,
        "provider": pair.provider,
        "verdict": pair.verdict.name(),
        "files": pair.files,
        "interactions": pair.interactions,
        "changes": changes.collect::<Vec<_>>(),
    })
}
