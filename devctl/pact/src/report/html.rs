//! One page with all of a run: no script, nothing from elsewhere, so that it can be kept and sent.

use std::fmt::Write as _;

use super::{Counts, Report, text};
use crate::difference::Difference;
use crate::verify::{Outcome, Verdict};

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#fff;--text:#1b1f24;--dim:#57606a;--box:#f6f8fa;--line:#d0d7de;\
--passed:#1a7f37;--broken:#cf222e;--pending:#9a6700;--could-not-run:#8250df;--not-here:#6e7781}\
@media(prefers-color-scheme:dark){:root{--ground:#0d1117;--text:#e6edf3;--dim:#8d96a0;--box:#161b22;--line:#30363d;\
--passed:#3fb950;--broken:#f85149;--pending:#d29922;--could-not-run:#a371f7;--not-here:#8d96a0}}\
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:var(--text);background:var(--ground)}\
h1{font-size:1.5rem;margin-bottom:.5rem}h2{font-size:1.2rem;margin:2.2rem 0 .4rem;padding-top:1rem;border-top:1px solid var(--line)}\
h3{font-size:1rem;margin:1rem 0 .4rem;color:var(--dim)}\
.one{margin:.3rem 0;padding:.2rem .7rem;border-left:.3rem solid var(--of)}summary{cursor:pointer}\
b.word{font-size:.8rem;color:var(--of);white-space:nowrap}small{color:var(--dim)}\
.count{display:inline-block;margin-right:.5rem;padding:0 .6rem;border:1px solid var(--of);border-radius:1rem;color:var(--of);font-size:.85rem}\
table{border-collapse:collapse;margin:.5rem 0;width:100%;font-size:.9rem}caption{text-align:left;font-weight:600}\
th{width:5.5rem;text-align:left;vertical-align:top;font-weight:400;color:var(--dim)}td{overflow-wrap:anywhere}\
td,pre{font-family:ui-monospace,monospace;font-size:13px}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--box);padding:.6rem;margin:.4rem 0}\
.passed{--of:var(--passed)}.broken{--of:var(--broken)}.pending{--of:var(--pending)}\
.could-not-run{--of:var(--could-not-run)}.not-here{--of:var(--not-here)}";

/// The report as a page.
pub fn render(report: &Report) -> String {
    let mut page = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width\"><title>Contracts: ");
    page.push_str(&escaped(&report.counts.sentence()));
    page.push_str("</title><style>");
    page.push_str(STYLE);
    page.push_str("</style></head><body>\n<h1>Contracts</h1>\n");
    counted(&mut page, &report.counts);
    for provider in &report.providers {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "<h2>{}</h2>", escaped(&provider.provider));
        counted(&mut page, &provider.counts);
        for consumer in &provider.consumers {
            let _ = writeln!(page, "<h3>for {}</h3>", escaped(&consumer.consumer));
            for outcome in &consumer.outcomes {
                one(&mut page, outcome);
            }
        }
    }
    page.push_str("</body></html>\n");
    page
}

fn counted(page: &mut String, counts: &Counts) {
    let all = [
        (counts.passed, "passed", "kept"),
        (counts.broken, "broken", "broken"),
        (counts.pending, "pending", "pending"),
        (counts.could_not_run, "could-not-run", "could not run"),
        (counts.not_here, "not-here", "not verifiable here"),
    ];
    for (count, class, word) in all.iter().filter(|(count, ..)| *count > 0) {
        let _ = write!(page, "<span class=\"count {class}\">{count} {word}</span>");
    }
    if counts.cached > 0 {
        let _ = write!(page, "<small>{} from the cache</small>", counts.cached);
    }
    page.push('\n');
}

fn one(page: &mut String, outcome: &Outcome) {
    let (class, word) = match &outcome.verdict {
        Verdict::Passed => ("passed", "kept"),
        Verdict::Broken { .. } => ("broken", "broken"),
        Verdict::Pending { .. } => ("pending", "pending"),
        verdict if verdict.is_not_here() => ("not-here", "not verifiable here"),
        Verdict::CouldNotRun { .. } => ("could-not-run", "could not run"),
    };
    let took = match outcome.cached {
        true => "known from before".to_owned(),
        false => format!("{} ms", outcome.took.as_millis()),
    };
    let head = format!(
        "<b class=\"word\">{word}</b> {} <small>{took}</small>",
        escaped(&outcome.title())
    );
    if outcome.verdict == Verdict::Passed {
        let _ = writeln!(page, "<div class=\"one {class}\">{head}</div>");
        return;
    }
    // What needs nobody's attention is there to be opened.
    let open = if matches!(class, "broken" | "could-not-run") {
        " open"
    } else {
        ""
    };
    let _ = write!(page, "<details class=\"one {class}\"{open}><summary>{head}</summary>");
    for difference in outcome.verdict.mismatches() {
        differs(page, difference);
    }
    let rest = text::beside(outcome).join("\n");
    let _ = writeln!(page, "<pre>{}</pre></details>", escaped(&rest));
}

fn differs(page: &mut String, difference: &Difference) {
    let _ = write!(page, "<table><caption>{}</caption>", escaped(&difference.sentence()));
    let rows = [
        ("expected", Some(&difference.expected)),
        ("actual", Some(&difference.actual)),
        ("rule", difference.rule.as_ref()),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            let _ = write!(
                page,
                "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>",
                escaped(value)
            );
        }
    }
    page.push_str("</table>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
