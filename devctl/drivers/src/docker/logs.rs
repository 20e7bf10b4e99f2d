//! What a container prints, out of the engine's log into a run's, with no gap and nothing twice.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use futures::StreamExt as _;
use jiff::Timestamp;

use super::client::Engine;
use crate::log::{RunLog, Sink, Stream};

/// Follows a container's log from `since` on (that moment itself left out) until the container ends. An engine that goes away is
/// waited for, and read on where it stopped.
pub async fn follow(engine: &Engine, id: &str, since: Timestamp, log: &RunLog) {
    let mut follower = Follower {
        last: since,
        out: log.sink(Stream::Stdout),
        err: log.sink(Stream::Stderr),
    };
    // A stream of the engine's is open as long as the container runs.
    let docker = engine.patient(Duration::from_secs(u64::from(u32::MAX)));
    loop {
        let options = LogsOptions {
            follow: true,
            stdout: true,
            stderr: true,
            timestamps: true,
            since: i32::try_from(follower.last.as_second()).unwrap_or_default(),
            ..LogsOptions::default()
        };
        let mut stream = docker.logs(id, Some(options));
        while let Some(Ok(piece)) = stream.next().await {
            follower.take(&piece);
        }
        follower.out.finish();
        follower.err.finish();
        // The end of the stream is the container's end, or the engine's.
        loop {
            match engine.look(id).await {
                Ok(Some(seen)) if seen.running => break,
                Ok(_) => return,
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
        // A log that cannot be read at all (`logging: none`) must not be asked for again and again.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

struct Follower {
    /// Of the last piece that was taken.
    last: Timestamp,
    out: Sink,
    err: Sink,
}

impl Follower {
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
        if time <= self.last {
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
    fn what_was_read_before_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let store = crate::log::LogStore::new(dir.path(), crate::log::Retention::default());
        let log = store.run("web", 1, crate::log::Redaction::default());
        let mut follower = Follower {
            last: "2026-11-23T13:00:33.5Z".parse().unwrap(),
            out: log.sink(Stream::Stdout),
            err: log.sink(Stream::Stderr),
        };
        for line in [
            "2026-11-23T13:00:33.4Z before\n",
            "2026-11-23T13:00:33.5Z the last one\n",
            "2026-11-23T13:00:33.500000001Z new\n",
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
