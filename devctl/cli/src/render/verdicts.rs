//! What `verify` says: progress on stderr while it goes on, the verdicts on stdout in the end.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use devctl_daemon::verify::{self, Outcome, Report, Serving, Told, Verdict, Verified, Why};
use serde_json::json;

use super::style::Style;
use crate::args::Format;
use crate::context::Context;
use crate::terminal::{Size, Terminal};

/// A line is drawn again no sooner than after this time.
const FRAME: Duration = Duration::from_millis(80);

/// Shows what goes on: one line that is drawn anew on a terminal, a line for each step elsewhere.
pub(crate) struct Progress {
    began: Instant,
    live: bool,
    quiet: bool,
    style: Style,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    total: usize,
    done: usize,
    broken: usize,
    /// What each provider is at.
    providers: BTreeMap<String, String>,
    drawn: Option<Instant>,
    /// There is a line to be wiped.
    shown: bool,
}

impl Progress {
    pub(crate) fn new(terminal: Terminal, quiet: bool) -> Self {
        Self {
            began: Instant::now(),
            live: terminal.format == Format::Tty && io::stderr().is_terminal(),
            quiet: quiet || terminal.format == Format::Json,
            style: terminal.err,
            state: Mutex::default(),
        }
    }

    pub(crate) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// Takes notice of something.
    pub(crate) fn hear(&self, told: Told) {
        if self.quiet {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let line = state.hear(told);
        if self.live {
            let due = state.drawn.is_none_or(|drawn| drawn.elapsed() >= FRAME);
            if due || line.is_some() {
                self.draw(&mut state);
            }
        } else if let Some(line) = line {
            // Whoever closed stderr wants to hear nothing.
            let _closed = writeln!(io::stderr(), "{}", self.style.dim(&line));
        }
    }

    /// Wipes the line.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.shown) {
            let _closed = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn draw(&self, state: &mut State) {
        state.drawn = Some(Instant::now());
        state.shown = true;
        let width = Size::now().width.saturating_sub(1);
        let line: String = state.line(self.began.elapsed()).chars().take(width).collect();
        let _closed = write!(io::stderr(), "\r\x1b[K{}", self.style.dim(&line));
    }
}

impl State {
    /// What is new in words, where it is worth a line.
    fn hear(&mut self, told: Told) -> Option<String> {
        match told {
            Told::Found { providers, promises } => {
                self.total = promises;
                let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
                let (promises, providers) = (counted(promises, "promise"), counted(providers, "provider"));
                Some(format!("{promises} of {providers}"))
            }
            Told::Building { provider } => Some(self.at(provider, "building")),
            Told::Broker => Some(self.at("broker".to_owned(), "booting")),
            Told::Starting { provider } => {
                self.providers.remove("broker");
                Some(self.at(provider, "starting"))
            }
            Told::Ready {
                provider,
                took,
                promises,
            } => {
                let what = format!("ready in {:.1} s, replaying {promises}", took.as_secs_f64());
                Some(self.at(provider, &what))
            }
            Told::Replayed(outcome) => {
                self.done += 1;
                self.broken += usize::from(matches!(outcome.verdict, Verdict::Broken { .. }));
                None
            }
            // Told on stdout, by whoever asked for it.
            Told::Serving(_) => None,
            Told::Warning(text) => Some(format!("warning: {text}")),
        }
    }

    fn at(&mut self, provider: String, what: &str) -> String {
        let line = format!("{provider}: {what}");
        self.providers.insert(provider, what.to_owned());
        line
    }

    fn line(&self, since: Duration) -> String {
        let broken = match self.broken {
            0 => String::new(),
            count => format!(", {count} broken"),
        };
        let at: Vec<String> = self
            .providers
            .iter()
            .map(|(name, what)| format!("{name} {what}"))
            .collect();
        format!(
            "{}/{}{broken} · {:.0} s · {}",
            self.done,
            self.total,
            since.as_secs_f64(),
            at.join(" · ")
        )
    }
}

/// Where a provider waits for the verifiers of others, and how Pact's own is told.
pub(crate) fn serving(serving: &Serving, terminal: Terminal) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if terminal.format == Format::Json {
        let (url, grpc) = (&serving.url, &serving.grpc);
        let (provider, states, pacts) = (&serving.provider, &serving.states, &serving.pacts);
        let told = json!({"provider": provider, "url": url, "grpc": grpc, "states": states, "pacts": pacts});
        writeln!(out, "{told}")?;
        return out.flush();
    }
    let known = [
        ("provider", serving.url.as_deref()),
        ("grpc", serving.grpc.as_deref()),
        ("states", Some(&serving.states)),
    ];
    for (name, at) in known {
        if let Some(at) = at {
            writeln!(out, "{name}  {at}")?;
        }
    }
    out.flush()?;
    let Some((host, port)) = serving
        .url
        .as_deref()
        .and_then(|url| url.strip_prefix("http://")?.rsplit_once(':'))
    else {
        return Ok(());
    };
    let mut words = vec![
        "pact",
        "verifier",
        "--provider-name",
        &serving.provider,
        "--hostname",
        host,
        "--port",
        port,
    ];
    words.extend(["--state-change-url", &serving.states, "--state-change-teardown"]);
    let files = serving.pacts.iter().flat_map(|pact| ["--file", pact.as_str()]);
    let line = shell_words::join(words.into_iter().chain(files));
    writeln!(
        io::stderr(),
        "{}\n  {line}",
        terminal.err.dim("for Pact's own tools, until Ctrl-C:")
    )
}

/// The verdicts as one JSON document.
pub(crate) fn json(verified: &Verified) -> io::Result<()> {
    let mut document = verify::json::render(&verified.report);
    document["problems"] = json!(verified.problems);
    document["started"] = json!(verified.started);
    document["leftOut"] = json!(verified.left_out);
    document["planned"] = json!(verified.planned);
    writeln!(io::stdout(), "{document}")
}

/// The verdicts for people: by provider and consumer, what is broken in full.
pub(crate) fn text(verified: &Verified, context: &Context, took: Duration) -> io::Result<()> {
    let style = context.terminal.out;
    let mut out = io::stdout().lock();
    for line in &verified.planned {
        writeln!(out, "{line}")?;
    }
    for problem in &verified.problems {
        writeln!(io::stderr(), "{} {problem}", context.terminal.err.error("error:"))?;
    }
    if verified.planned.is_empty()
        && verified.problems.is_empty()
        && verified.report.providers.is_empty()
        && !verified.interrupted
    {
        // Such as with `--changed-since`, or in a shard that got none.
        writeln!(out, "nothing to verify")?;
    }
    if !verified.planned.is_empty() || verified.report.providers.is_empty() && !verified.interrupted {
        return Ok(());
    }
    write!(out, "{}", whole(&verified.report, style))?;
    writeln!(out, "{}", summary(verified, took, style))
}

fn whole(report: &Report, style: Style) -> String {
    let mut text = String::new();
    for provider in &report.providers {
        text.push_str(&format!("{}\n", style.bold(&provider.provider)));
        let mut told: Option<&Why> = None;
        for consumer in &provider.consumers {
            let one = Report::new(consumer.outcomes.clone());
            text.push_str(&format!("  for {}: {}\n", consumer.consumer, counted(&one, style)));
            for outcome in &consumer.outcomes {
                match &outcome.verdict {
                    Verdict::Passed => {}
                    // What keeps all of a provider's promises from being tried is told once.
                    Verdict::CouldNotRun {
                        why: why @ (Why::NotReady { .. } | Why::NotHere { .. }),
                    } => {
                        if told != Some(why) {
                            text.push_str(&provider_missing(why, outcome, style));
                        }
                        told = Some(why);
                    }
                    _ => text.push_str(&one_outcome(outcome, style)),
                }
            }
        }
    }
    text
}

fn counted(report: &Report, style: Style) -> String {
    let sentence = report.counts.sentence();
    match (report.counts.broken, report.counts.could_not_run) {
        (0, 0) if report.counts.passed > 0 => style.good(&sentence),
        (0, 0) => style.dim(&sentence),
        (0, _) => style.warn(&sentence),
        _ => style.error(&sentence),
    }
}

fn provider_missing(why: &Why, outcome: &Outcome, style: Style) -> String {
    let mut text = format!("    {} could not {why}\n", style.warn("!"));
    if let Some(help) = why.help() {
        text.push_str(&format!("      {} {help}\n", style.help("help:")));
    }
    for line in &outcome.logs {
        text.push_str(&format!("      {}\n", style.dim(line)));
    }
    text
}

fn one_outcome(outcome: &Outcome, style: Style) -> String {
    let mark = match outcome.verdict {
        Verdict::Broken { .. } => style.error("broken"),
        Verdict::Pending { .. } => style.warn("pending"),
        _ => style.warn("could not run"),
    };
    let mut text = format!("    {mark} {}\n", style.bold(&outcome.title()));
    for line in verify::text::details(outcome) {
        text.push_str(&format!("      {line}\n"));
    }
    text
}

fn summary(verified: &Verified, took: Duration, style: Style) -> String {
    let counts = verified.report.counts;
    let mut parts = vec![counted(&verified.report, style)];
    if counts.cached > 0 && counts.cached + counts.not_here == counts.total() {
        parts.push("nothing was replayed, nothing was started".to_owned());
    }
    if verified.left_out > 0 && !verified.interrupted {
        parts.push(format!("{} left out after the first broken one", verified.left_out));
    }
    if verified.interrupted {
        parts.push(format!("interrupted, {} not replayed", verified.left_out));
    }
    format!("{} in {:.1} s", parts.join("; "), took.as_secs_f64())
}
