//! What a container prints, out of the engine's log into a run's, with no gap and nothing twice.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use futures::StreamExt as _;
use jiff::Timestamp;

use super::client::Engine;
use crate::log::{RunLog, Sink, Stream};

/// Follows the log of a container's run, which began at `started`, from `since` on (that moment itself left out) until the run ends: what
/// it prints after another start is another run's. An engine that goes away is waited for, and read on where it stopped.
pub async fn follow(engine: &Engine, id: &str, started: Option<Timestamp>, since: Timestamp, log: &RunLog) {
    let mut follower = Follower {
        last: since,
        end: None,
        out: log.sink(Stream::Stdout),
        err: log.sink(Stream::Stderr),
    };
    loop {
        let whole = follower.read(engine, id, true).await;
        // The end of the stream is the container's end, or the engine's.
        let seen = loop {
            match engine.look(id).await {
                Ok(seen) => break seen,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        };
        match seen {
            Some(seen) if seen.running && seen.started == started => {}
            Some(seen) if !whole => {
                // What it printed while nobody could read it.
                follower.end = seen.started.filter(|_| seen.started != started);
                follower.read(engine, id, false).await;
                return;
            }
            _ => return,
        }
        // A log that cannot be read at all (`logging: none`) must not be asked for again and again.
        tokio::time::sleep(AGAIN).await;
    }
}

/// The wait before an engine is asked again.
const AGAIN: Duration = Duration::from_millis(200);

struct Follower {
    /// Of the last piece that was taken.
    last: Timestamp,
    /// What was printed from then on is another run's.
    end: Option<Timestamp>,
    out: Sink,
    err: Sink,
}

impl Follower {
    /// Reads on from where it was, to the end of what is there or (`follow`) until the container ends. Whether the end was reached.
    async fn read(&mut self, engine: &Engine, id: &str, follow: bool) -> bool {
        let options = LogsOptions {
            follow,
            stdout: true,
            stderr: true,
            timestamps: true,
            since: i32::try_from(self.last.as_second()).unwrap_or_default(),
            ..LogsOptions::default()
        };
        // A stream of the engine's is open as long as the container runs.
        let docker = engine.patient(Duration::from_secs(u64::from(u32::MAX)));
        let mut stream = docker.logs(id, Some(options));
        let whole = loop {
            match stream.next().await {
                Some(Ok(piece)) => self.take(&piece),
                Some(Err(_)) => break false,
                None => break true,
            }
        };
        self.out.finish();
        self.err.finish();
        whole
    }

    fn take(&mut self, piece: &LogOutput) {
        let (sink, message) = match piece {
            LogOutput::StdOut { message } | LogOutput::Console { message } => (&mut self.out, message),
            LogOutput::StdErr { message } => (&mut self.err, message),
            LogOutput::StdIn { .. } => return,
        };
        let Some((time, text)) = stamped(message) else {
            sink.push(message);
            return;
        };
        // The engine is asked for whole seconds: what was read before comes again.
        if time <= self.last || self.end.is_some_and(|end| time >= end) {
            return;
        }
        self.last = time;
        sink.push_at(time, text);
    }
}

/// `2026-11-23T13:00:33.932258146Z text`.
fn stamped(message: &[u8]) -> Option<(Timestamp, &[u8])> {
    let end = message.iter().take(40).position(|byte| *byte == b' ')?;
    let time = std::str::from_utf8(&message[..end]).ok()?.parse().ok()?;
    Some((time, &message[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_and_what_another_run_printed_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let store = crate::log::LogStore::new(dir.path(), crate::log::Retention::default());
        let log = store.run("web", 1, crate::log::Redaction::default());
        let mut follower = Follower {
            last: "2026-11-23T13:00:33.5Z".parse().unwrap(),
            end: Some("2026-11-23T13:00:34Z".parse().unwrap()),
            out: log.sink(Stream::Stdout),
            err: log.sink(Stream::Stderr),
        };
        for line in [
            "2026-11-23T13:00:33.4Z before\n",
            "2026-11-23T13:00:33.5Z the last one\n",
            "2026-11-23T13:00:33.500000001Z new\n",
            "2026-11-23T13:00:34Z of the next run\n",
        ] {
            follower.take(&LogOutput::StdOut {
                message: line.as_bytes().to_vec().into(),
            });
        }
        let mut read = store.read(&crate::log::Query::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let lines = runtime.block_on(async {
            let mut lines = Vec::new();
            while let Some(record) = read.next().await {
                lines.push((record.time.to_string(), String::from_utf8(record.bytes).unwrap()));
            }
            lines
        });
        assert_eq!(lines, [("2026-11-23T13:00:33.500000001Z".to_owned(), "new".to_owned())]);
    }
}
