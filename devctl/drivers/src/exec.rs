//! One-off commands: health tests, hooks, builds. Their output is kept within bounds, and one that takes too long is ended,
//! its whole tree with it. Dropping the future ends the command too.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::log::{RunLog, Stream};
use crate::process::pump::Pump;
use crate::process::{Exit, Process, ProcessSpec, SpawnError, Stdin, start};

/// How much of the output is kept: the first and the last bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Bytes of the beginning.
    pub head: usize,
    /// Bytes of the end.
    pub tail: usize,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            head: 4 * 1024,
            tail: 12 * 1024,
        }
    }
}

/// How a command went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended; `None`: it took too long and was ended.
    pub exit: Option<Exit>,
    /// stdout and stderr as they came, within bounds, with a line in the middle that says how much was left out.
    pub output: String,
    /// How long it took.
    pub took: Duration,
}

impl Outcome {
    /// Whether it ended by itself with status 0.
    pub fn success(&self) -> bool {
        self.exit.is_some_and(Exit::success)
    }
}

/// Runs a command to its end. stdout and stderr go into one pipe, so that their order is kept.
///
/// # Errors
/// Where it could not be started. A command that fails or takes too long is an [`Outcome`].
pub async fn run(spec: &ProcessSpec, timeout: Option<Duration>, keep: Keep) -> Result<Outcome, SpawnError> {
    let began = Instant::now();
    // A spec may be a server's own, lent for a command in its context: nobody would feed or end a pipe here.
    let spec = &ProcessSpec {
        stdin: Stdin::Null,
        ..spec.clone()
    };
    let (pipe, writer) = start::pipe(spec)?;
    let second = writer.try_clone().map_err(|source| SpawnError::Kernel {
        program: spec.program.clone(),
        source,
    })?;
    let started = start::start(spec, writer, second)?;
    let (send, pieces) = mpsc::unbounded_channel();
    let pump = Pump::begin(pipe, forward(send, Stream::Stdout));
    let command = EndOnDrop(started.into_process(vec![pump]));
    let mut kept = Kept::new(keep);
    let exit = collect(&command.0, timeout, pieces, |_, bytes| kept.push(bytes)).await;
    Ok(Outcome {
        exit,
        output: kept.text(),
        took: began.elapsed(),
    })
}

/// Runs a command to its end and hands on every line as it comes, into the log where one is given, and to `on_line`.
///
/// # Errors
/// Where it could not be started.
pub async fn stream(
    spec: &ProcessSpec,
    timeout: Option<Duration>,
    keep: Keep,
    log: Option<&RunLog>,
    mut on_line: impl FnMut(Stream, &str) + Send,
) -> Result<Outcome, SpawnError> {
    let began = Instant::now();
    let spec = &ProcessSpec {
        stdin: Stdin::Null,
        ..spec.clone()
    };
    let (stdout, stdout_writer) = start::pipe(spec)?;
    let (stderr, stderr_writer) = start::pipe(spec)?;
    let started = start::start(spec, stdout_writer, stderr_writer)?;
    let (send, pieces) = mpsc::unbounded_channel();
    let pumps = vec![
        Pump::begin(stdout, forward(send.clone(), Stream::Stdout)),
        Pump::begin(stderr, forward(send, Stream::Stderr)),
    ];
    let command = EndOnDrop(started.into_process(pumps));
    let mut kept = Kept::new(keep);
    let mut lines = [Lines::default(), Lines::default()];
    let mut sinks = log.map(|log| [log.sink(Stream::Stdout), log.sink(Stream::Stderr)]);
    let which = |stream| usize::from(stream == Stream::Stderr);
    let receive = |stream, bytes: &[u8]| {
        if let Some(sinks) = &mut sinks {
            sinks[which(stream)].push(bytes);
        }
        // Whole lines, so that two streams do not mix within one.
        lines[which(stream)].push(bytes, |line| {
            kept.push(line.as_bytes());
            kept.push(b"\n");
            on_line(stream, line);
        });
    };
    let exit = collect(&command.0, timeout, pieces, receive).await;
    for (rest, stream) in lines.iter_mut().zip([Stream::Stdout, Stream::Stderr]) {
        if let Some(line) = rest.take() {
            kept.push(line.as_bytes());
            kept.push(b"\n");
            on_line(stream, &line);
        }
    }
    for sink in sinks.iter_mut().flatten() {
        sink.finish();
    }
    Ok(Outcome {
        exit,
        output: kept.text(),
        took: began.elapsed(),
    })
}

/// Ends the command's whole tree when it is given up before its end.
struct EndOnDrop(Process);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if self.0.try_wait().is_none() {
            self.0.kill_tree();
        }
    }
}

fn forward(
    send: mpsc::UnboundedSender<(Stream, Vec<u8>)>,
    stream: Stream,
) -> impl FnMut(Option<&[u8]>) + Send + 'static {
    move |piece| {
        if let Some(bytes) = piece {
            // Nobody listens any more once the command has ended.
            let _ = send.send((stream, bytes.to_vec()));
        }
    }
}

/// Hands on pieces until the process has ended and all that it wrote is here. `None`: it took too long and was ended.
async fn collect(
    process: &Process,
    timeout: Option<Duration>,
    mut pieces: mpsc::UnboundedReceiver<(Stream, Vec<u8>)>,
    mut receive: impl FnMut(Stream, &[u8]),
) -> Option<Exit> {
    let limit = async {
        match timeout {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(limit);
    let exit = loop {
        tokio::select! {
            Some((stream, bytes)) = pieces.recv() => receive(stream, &bytes),
            exit = process.wait() => break Some(exit),
            () = &mut limit => {
                process.kill_tree();
                process.wait().await;
                break None;
            }
        }
    };
    while let Ok((stream, bytes)) = pieces.try_recv() {
        receive(stream, &bytes);
    }
    exit
}

/// The lines in a run of pieces.
#[derive(Default)]
struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8], mut on_line: impl FnMut(&str)) {
        self.pending.extend_from_slice(bytes);
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            on_line(&String::from_utf8_lossy(&line[..end]));
        }
    }

    fn take(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }
}

/// The beginning and the end of an output.
struct Kept {
    keep: Keep,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped: usize,
}

impl Kept {
    fn new(keep: Keep) -> Self {
        Self {
            keep,
            head: Vec::new(),
            tail: VecDeque::new(),
            dropped: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(self.keep.head - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(self.keep.tail);
        self.tail.drain(..over);
        self.dropped += over;
    }

    fn text(self) -> String {
        let mut bytes = self.head;
        if self.dropped > 0 {
            bytes.extend_from_slice(format!("\n[{} bytes left out]\n", self.dropped).as_bytes());
        }
        bytes.extend(self.tail);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests;
