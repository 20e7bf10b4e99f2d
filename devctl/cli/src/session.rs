//! One conversation with the daemon, shown while it lasts: updates, logs, signals and the terminal's clock in one loop.

use std::future::pending;
use std::io;
use std::time::{Duration, Instant};

use devctl_wire::Client;
use devctl_wire::v1::{
    EventsRequest, LogQuery, NodeStatus, Outcome, ReleaseRequest, Result as Ended, StatusRequest, Update, update::What,
};
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tonic::Streaming;

use crate::error::Error;
use crate::exit::Exit;
use crate::render::{Render, now_ms};

/// How long the last line of an ended graph is waited for.
const LAST_LINES: Duration = Duration::from_millis(300);

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnSignal {
    /// This client leaves; what it asked for goes on. The text says so.
    Leave(&'static str),
    /// The graph comes down with this client, if it is the last one attached; a second signal kills.
    Release,
}

/// How a conversation ended.
#[derive(Debug)]
pub(crate) enum Close {
    /// With an outcome.
    Outcome(Outcome),
    /// The daemon had nothing more to say.
    End,
    /// With a signal.
    Signal(Signal),
}

/// Decides, at each update, whether a foreground `up` shall end; used by `--abort-on-container-exit`.
pub(crate) type Watcher<'a> = &'a mut dyn FnMut(&NodeStatus) -> bool;

/// A conversation that is to be shown.
pub(crate) struct Session<'a> {
    /// Shows it.
    pub(crate) render: &'a mut dyn Render,
    /// What a signal means.
    pub(crate) on_signal: OnSignal,
    /// Stay attached after the graph is ready, with these logs.
    pub(crate) attach: Option<LogQuery>,
    /// Ends an attached session.
    pub(crate) watcher: Option<Watcher<'a>>,
}

/// Which signal came, and how many before it.
#[derive(Clone, Copy, Debug, Default)]
struct Signals {
    first: Option<Signal>,
    count: u32,
    /// When going down began.
    since: Option<Instant>,
}

/// Shows what was asked for until it is done. A signal leaves it to itself, and `left` says so.
pub(crate) async fn shown(
    render: &mut dyn Render,
    client: &mut Client,
    updates: Streaming<Update>,
    left: &'static str,
) -> Result<Exit, Error> {
    let session = Session {
        render,
        on_signal: OnSignal::Leave(left),
        attach: None,
        watcher: None,
    };
    Ok(exit(&session.run(client, updates).await?))
}

impl Session<'_> {
    /// Shows `updates` until they end, or until a signal ends them.
    pub(crate) async fn run(mut self, client: &mut Client, updates: Streaming<Update>) -> Result<Close, Error> {
        let closed = self.converse(client, updates).await;
        let finished = self.render.finish(now_ms());
        let closed = closed?;
        // A terminal that is gone (SIGHUP) cannot show the end, and nobody is there to miss it.
        if !matches!(closed, Close::Signal(Signal::SIGHUP)) {
            finished?;
        }
        Ok(closed)
    }

    async fn converse(&mut self, client: &mut Client, updates: Streaming<Update>) -> Result<Close, Error> {
        let io_error = |source| Error::Io {
            doing: "listen for signals".into(),
            source,
            help: None,
        };
        let mut interrupt = signal(SignalKind::interrupt()).map_err(io_error)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(io_error)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(io_error)?;
        let mut resized = signal(SignalKind::window_change()).map_err(io_error)?;
        let mut updates = Some(updates);
        let mut logs = match self.attach.take() {
            Some(query) => Some(follow_logs(client, query).await?),
            None => None,
        };
        let is_attached = logs.is_some();
        let mut outcome = None;
        let mut failed = false;
        let mut signals = Signals::default();

        loop {
            let pace = self.render.pace();
            let clock = async {
                match pace {
                    Some(pace) => tokio::time::sleep(pace).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                // Signals first: a flood of logs must not hold up Ctrl-C.
                biased;
                _ = interrupt.recv() => if let Some(close) = self.signalled(client, Signal::SIGINT, &mut signals).await? { return Ok(close) },
                _ = terminate.recv() => if let Some(close) = self.signalled(client, Signal::SIGTERM, &mut signals).await? { return Ok(close) },
                _ = hangup.recv() => if let Some(close) = self.signalled(client, Signal::SIGHUP, &mut signals).await? { return Ok(close) },
                message = next(&mut updates) => match message? {
                    Some(mut update) => {
                        if let (Some(What::Outcome(heard)), Some(since)) = (&mut update.what, signals.since) {
                            // Of interest is how long going down took, not the whole session.
                            heard.seconds = since.elapsed().as_secs_f64();
                        }
                        if is_good_outcome(&update) {
                            // The summary names the addresses of all, not only of those that changed.
                            match client.status(StatusRequest::default()).await {
                                Ok(status) => status.get_ref().nodes.iter().for_each(|node| self.render.know(node, now_ms())),
                                // All of it may be over already, and the daemon with it.
                                Err(status) if is_end(&status) => {}
                                Err(status) => return Err(status.into()),
                            }
                        }
                        self.render.update(&update, now_ms())?;
                        match update.what {
                            Some(What::Outcome(heard)) => {
                                failed |= matches!(heard.result(), Ended::Failed | Ended::TimedOut);
                                outcome = Some(heard);
                            }
                            Some(What::Node(status)) => self.watch(client, &status, &mut signals).await?,
                            _ => {}
                        }
                    }
                    // Attached, and the graph is up: the logs go on.
                    None if is_attached && logs.is_some() && goes_on(outcome.as_ref(), signals) => updates = None,
                    None => {
                        self.last_lines(logs).await?;
                        return Ok(close(outcome, failed, signals));
                    }
                },
                message = next(&mut logs) => match message? {
                    // Its notices are those of the other stream, while there is one.
                    Some(update) if updates.is_none() || matches!(update.what, Some(What::Log(_))) => {
                        self.render.update(&update, now_ms())?;
                    }
                    Some(_) => {}
                    None if updates.is_none() => return Ok(close(outcome, failed, signals)),
                    None => logs = None,
                },
                _ = resized.recv() => self.render.tick(now_ms())?,
                () = clock => self.render.tick(now_ms())?,
            }
        }
    }

    /// What was printed before the end is shown before the end. The daemon may be gone already.
    async fn last_lines(&mut self, mut logs: Option<Streaming<Update>>) -> Result<(), Error> {
        let Some(logs) = &mut logs else { return Ok(()) };
        while let Ok(Ok(Some(update))) = timeout(LAST_LINES, logs.message()).await {
            if matches!(update.what, Some(What::Log(_))) {
                self.render.update(&update, now_ms())?;
            }
        }
        Ok(())
    }

    async fn watch(&mut self, client: &mut Client, status: &NodeStatus, signals: &mut Signals) -> Result<(), Error> {
        let ends = self.watcher.as_mut().is_some_and(|watcher| watcher(status));
        if ends && signals.count == 0 {
            self.render
                .remark(&format!("`{}` ended: stopping", status.id), now_ms())?;
            signals.count = 1;
            signals.since = Some(Instant::now());
            release(client, false).await?;
        }
        Ok(())
    }

    /// What a signal leads to; `Some` where the conversation is over.
    async fn signalled(
        &mut self,
        client: &mut Client,
        heard: Signal,
        signals: &mut Signals,
    ) -> Result<Option<Close>, Error> {
        signals.count += 1;
        signals.first.get_or_insert(heard);
        signals.since.get_or_insert_with(Instant::now);
        match self.on_signal {
            OnSignal::Leave(text) => {
                ignore_lost_terminal(self.render.remark(text, now_ms()), heard)?;
                Ok(Some(Close::Signal(heard)))
            }
            OnSignal::Release if signals.count == 1 => {
                ignore_lost_terminal(
                    self.render.remark("stopping; Ctrl-C again kills at once", now_ms()),
                    heard,
                )?;
                if release(client, false).await? {
                    return Ok(None);
                }
                ignore_lost_terminal(self.render.remark("left; others are still attached", now_ms()), heard)?;
                Ok(Some(Close::Signal(heard)))
            }
            OnSignal::Release if signals.count == 2 => {
                ignore_lost_terminal(self.render.remark("killing", now_ms()), heard)?;
                release(client, true).await?;
                Ok(None)
            }
            OnSignal::Release => Ok(Some(Close::Signal(heard))),
        }
    }
}

/// Lets go of the graph; whether it comes down with that. A daemon that is gone already has nothing up.
async fn release(client: &mut Client, kill: bool) -> Result<bool, Error> {
    match client.release(ReleaseRequest { kill }).await {
        Ok(reply) => Ok(reply.into_inner().last),
        Err(status) if is_end(&status) => Ok(true),
        Err(status) => Err(status.into()),
    }
}

/// Follows the nodes' lines beside the updates.
pub(crate) async fn follow_logs(client: &mut Client, query: LogQuery) -> Result<Streaming<Update>, Error> {
    let request = EventsRequest {
        from: 0,
        follow: true,
        logs: Some(query),
    };
    Ok(client.events(request).await?.into_inner())
}

/// Whether a stream ended because the daemon did: for one that only listens, that is the end and no failure.
pub(crate) fn is_end(status: &tonic::Status) -> bool {
    matches!(
        status.code(),
        tonic::Code::Unavailable | tonic::Code::Cancelled | tonic::Code::Unknown
    )
}

/// The exit status that a shown conversation leads to.
pub(crate) fn exit(close: &Close) -> Exit {
    match close {
        Close::Signal(signal) => Exit::Signal(*signal as i32),
        Close::End => Exit::Ok,
        Close::Outcome(outcome) => match outcome.result() {
            Ended::Ready
            | Ended::Stopped
            | Ended::Removed
            | Ended::Unchanged
            | Ended::Planned
            | Ended::Done
            | Ended::Unspecified => Exit::Ok,
            Ended::Ended if outcome.failures.is_empty() => Exit::Ok,
            Ended::Failed | Ended::TimedOut | Ended::Ended => Exit::Failed,
            Ended::Invalid => Exit::CouldNotRun,
        },
    }
}

/// What a conversation comes to. All that was attached may end by itself after something of it failed: that is no success.
fn close(outcome: Option<Outcome>, failed: bool, signals: Signals) -> Close {
    match (signals.first, outcome) {
        (Some(signal), _) => Close::Signal(signal),
        (None, Some(outcome)) if failed && outcome.result() == Ended::Stopped => Close::Outcome(Outcome {
            result: Ended::Failed.into(),
            ..outcome
        }),
        (None, Some(outcome)) => Close::Outcome(outcome),
        (None, None) => Close::End,
    }
}

fn is_good_outcome(update: &Update) -> bool {
    match &update.what {
        Some(What::Outcome(outcome)) => matches!(outcome.result(), Ended::Ready | Ended::Unchanged),
        _ => false,
    }
}

fn goes_on(outcome: Option<&Outcome>, signals: Signals) -> bool {
    signals.count == 0 && outcome.is_some_and(|outcome| matches!(outcome.result(), Ended::Ready | Ended::Unchanged))
}

/// The next message of a stream that may be over already, which then never comes.
async fn next(stream: &mut Option<Streaming<Update>>) -> Result<Option<Update>, Error> {
    match stream {
        Some(stream) => Ok(stream.message().await?),
        None => pending().await,
    }
}

/// After SIGHUP there is no terminal, and taking the graph down matters more than saying so.
fn ignore_lost_terminal(written: io::Result<()>, heard: Signal) -> io::Result<()> {
    if heard == Signal::SIGHUP { Ok(()) } else { written }
}
