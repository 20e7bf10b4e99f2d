//! Letting a request or connection in: at once where the edge leads somewhere, after a wait where it is held.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::buffer::Buffer;
use crate::edge::Inner;
use crate::hold::Waiting;
use crate::swap::{Generation, InFlight, Target};

/// The first pause before a refused connection is tried again; it doubles up to [`SLOWEST`].
const PAUSE: Duration = Duration::from_millis(2);
const SLOWEST: Duration = Duration::from_millis(100);

/// Somebody who may go on.
pub(crate) struct Admitted {
    pub(crate) inflight: InFlight,
    pub(crate) held: Duration,
}

/// Somebody who may not.
pub(crate) enum Denied {
    /// The waiting room is full, or the wait was too long.
    Refused(String),
    /// The caller has gone.
    Left,
    /// The caller's own deadline has passed.
    Deadline,
}

/// Enters the current generation if the edge leads anywhere.
pub(crate) fn enter(target: &watch::Receiver<Arc<Generation>>) -> Option<InFlight> {
    if matches!(target.borrow().target, Target::Hold { .. }) {
        return None;
    }
    let inflight = InFlight::enter(target);
    (!matches!(inflight.generation().target, Target::Hold { .. })).then_some(inflight)
}

/// Waits until the edge leads somewhere. `left` ends when the caller goes; `deadline` is the caller's own. `bytes` of
/// the caller are in memory already.
pub(crate) async fn admit(
    edge: &Inner,
    target: &mut watch::Receiver<Arc<Generation>>,
    bytes: usize,
    deadline: Option<Instant>,
    left: impl AsyncFnOnce(&Waiting<'_>),
) -> Result<Admitted, Denied> {
    if let Some(inflight) = enter(target) {
        return Ok(Admitted {
            inflight,
            held: Duration::ZERO,
        });
    }
    let refuse = |why: &dyn std::fmt::Display, target: &watch::Receiver<Arc<Generation>>| {
        let reason = match &target.borrow().target {
            Target::Hold { why } => why.clone(),
            _ => String::new(),
        };
        Denied::Refused(format!("{reason}: {why}"))
    };
    let waiting = match edge.gate.wait(bytes) {
        Ok(waiting) => waiting,
        Err(refusal) => return Err(refuse(&refusal, target)),
    };
    let left = left(&waiting);
    tokio::pin!(left);
    let until = waiting.until();
    loop {
        target.mark_unchanged();
        if let Some(inflight) = enter(target) {
            return Ok(Admitted {
                inflight,
                held: waiting.elapsed(),
            });
        }
        tokio::select! {
            biased;
            changed = target.changed() => {
                if changed.is_err() {
                    return Err(Denied::Left);
                }
            }
            () = &mut left => {
                waiting.left();
                return Err(Denied::Left);
            }
            () = at(deadline) => {
                waiting.left();
                return Err(Denied::Deadline);
            }
            () = tokio::time::sleep_until(until) => {
                let refusal = waiting.too_long();
                return Err(refuse(&refusal, target));
            }
        }
    }
}

/// Reads on while a connection waits, because only so can it be seen that its other end has gone. What is more than may
/// be kept stays with the sender.
pub(crate) async fn read_on(stream: &mut TcpStream, buffer: &mut Buffer, waiting: &Waiting<'_>) {
    let mut room = true;
    while room && !buffer.is_full() {
        match buffer.read(stream).await {
            Ok(0) | Err(_) => return,
            Ok(count) => room = waiting.keep(count),
        }
    }
    std::future::pending().await
}

/// Sleeps until then; for ever without a then.
pub(crate) async fn at(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// Why there is no connection to the provider.
pub(crate) enum Unreached {
    /// Another target has taken over meanwhile: ask again. Nothing was sent.
    Retired,
    /// It could not be reached.
    Failed(String),
}

/// Connects to the provider. A refused connection is tried again for a moment: a provider that has just died is noticed
/// here before anybody says so, and the edge may be held or led elsewhere any time now.
pub(crate) async fn connect(edge: &Inner, generation: &Generation) -> Result<(TcpStream, SocketAddr), Unreached> {
    match generation.address() {
        Some(address) => connect_to(edge, generation, address).await,
        None => Err(Unreached::Failed(format!("{} has no address", edge.id.provider))),
    }
}

/// The same, where one replica is asked first.
pub(crate) async fn connect_to(
    edge: &Inner,
    generation: &Generation,
    address: SocketAddr,
) -> Result<(TcpStream, SocketAddr), Unreached> {
    match try_connect(address).await {
        Ok(stream) => return Ok((stream, address)),
        Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => return Err(failed(edge, address, &error)),
        Err(_) => {}
    }
    let until = Instant::now() + edge.gate.limits.refused;
    let mut pause = PAUSE;
    loop {
        tokio::select! {
            () = generation.retired.cancelled() => return Err(Unreached::Retired),
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(SLOWEST);
        let Some(address) = generation.address() else {
            return Err(Unreached::Retired);
        };
        match try_connect(address).await {
            Ok(stream) => return Ok((stream, address)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && Instant::now() < until => {}
            Err(error) => return Err(failed(edge, address, &error)),
        }
    }
}

/// Connects once.
pub(crate) async fn try_connect(address: SocketAddr) -> io::Result<TcpStream> {
    let connected = tokio::time::timeout(Duration::from_secs(10), TcpStream::connect(address)).await;
    let stream = connected.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer within 10 s"))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn failed(edge: &Inner, address: SocketAddr, error: &io::Error) -> Unreached {
    Unreached::Failed(format!("{} cannot be reached at {address}: {error}", edge.id.provider))
}
