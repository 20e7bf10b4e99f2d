//! The consumers' tests, run several at a time, and what began and ended of them said.

use std::io;
use std::path::Path;

use devctl_daemon::consumer_tests::{Run, TestError};
pub(super) use devctl_daemon::consumer_tests::{Tests, Wrote, declared};
use tokio::task::JoinSet;

use crate::error::Error;
use crate::render::text::{sanitize, seconds};

/// Runs them, `jobs` at a time, and says what begins and ends. All that failed is told, not the first alone.
pub(super) async fn run_all(
    all: &[Tests],
    folder: &Path,
    directory: &Path,
    jobs: usize,
    say: &mut dyn FnMut(String) -> io::Result<()>,
) -> Result<Vec<Wrote>, Vec<Error>> {
    let mut waiting = all.iter().cloned().enumerate();
    let mut running = JoinSet::new();
    let mut wrote: Vec<Option<Wrote>> = all.iter().map(|_| None).collect();
    let mut failed = Vec::new();
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    loop {
        while running.len() < jobs.max(1)
            && let Some((at, tests)) = waiting.next()
        {
            say(format!(
                "running the consumer tests of {}: {}",
                tests.whose(),
                tests.line()
            ))
            .map_err(|e| vec![e.into()])?;
            let run = Run {
                folder: folder.join(at.to_string()),
                directory: directory.to_owned(),
                environment: environment.clone(),
                gently: false,
            };
            running.spawn(async move { (at, tests.run(&run).await) });
        }
        match running.join_next().await {
            None => break,
            Some(Ok((at, Ok(done)))) => {
                let took = seconds(u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX));
                let count = count(done.contracts.len(), "pact");
                say(format!("{}: {count} in {took}", all[at].whose())).map_err(|e| vec![e.into()])?;
                wrote[at] = Some(done);
            }
            Some(Ok((_, Err(error)))) => failed.push(refused(error)),
            Some(Err(error)) => failed.push(io::Error::other(error).into()),
        }
    }
    if failed.is_empty() {
        Ok(wrote.into_iter().flatten().collect())
    } else {
        Err(failed)
    }
}

fn refused(error: TestError) -> Error {
    let TestError {
        what,
        help,
        lines,
        source,
    } = error;
    match source {
        Some(source) => Error::Io {
            doing: what,
            source,
            help,
        },
        None => Error::Refused {
            what,
            help: help.or_else(|| Some(last_lines(&lines))),
        },
    }
}

/// `1 pact`, `2 pacts`.
pub(super) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn last_lines(lines: &[String]) -> String {
    if lines.is_empty() {
        return "it printed nothing; run it by itself".to_owned();
    }
    let lines: Vec<String> = lines.iter().map(|line| sanitize(line, false)).collect();
    format!("its last lines:\n{}", lines.join("\n"))
}
