//! One page with all of a run: no script, nothing from elsewhere, so that it can be kept and sent.

use std::fmt::Write as _;

use super::{Report, text};
use crate::verify::{Outcome, Verdict};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
    color:#1b1f24;background:#fff}h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}h3{font-size:1rem}\
    details,p.one{margin:.2rem 0;padding:.2rem .6rem;border-left:.3rem solid}.passed{border-color:#1a7f37}\
    .broken{border-color:#cf222e}.pending{border-color:#9a6700}.could-not-run{border-color:#6e7781}\
    pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f8fa;padding:.6rem;font-size:13px}\
    small{color:#57606a}@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}\
    pre{background:#161b22}small{color:#8d96a0}}";

/// The report as a page.
pub fn render(report: &Report) -> String {
    let mut page = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width\"><title>Contracts</title><style>");
    page.push_str(STYLE);
    page.push_str("</style></head><body>\n<h1>Contracts: ");
    page.push_str(&escaped(&report.counts.sentence()));
    page.push_str("</h1>\n");
    for provider in &report.providers {
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "<h2>{} <small>{}</small></h2>",
            escaped(&provider.provider),
            escaped(&provider.counts.sentence())
        );
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

fn one(page: &mut String, outcome: &Outcome) {
    let verdict = outcome.verdict.name();
    let head = format!(
        "{} <small>{verdict}, {} ms</small>",
        escaped(&outcome.title()),
        outcome.took.as_millis()
    );
    let _ = match outcome.verdict {
        Verdict::Passed => writeln!(page, "<p class=\"one {verdict}\">{head}</p>"),
        _ => writeln!(
            page,
            "<details class=\"{verdict}\" open><summary>{head}</summary><pre>{}</pre></details>",
            escaped(&text::details(outcome).join("\n"))
        ),
    };
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
