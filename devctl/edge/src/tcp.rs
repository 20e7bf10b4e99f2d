//! Protocols that are passed through: bytes both ways, with half-close and back pressure, until both sides are done.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::admit::{Admitted, Denied, Unreached, admit, connect, read_on};
use crate::amqp::Tap;
use crate::buffer::Buffer;
use crate::capture::{Connection, Outcome, Raw, Timing};
use crate::connection::{Client, Early};
use crate::edge::Inner;
use crate::fault::End;
use crate::id::Protocol;
use crate::relay::{Ended, Relay};
use crate::swap::{Generation, Target};

/// Serves a connection that is passed through.
pub(crate) async fn serve(mut client: Client, protocol: Protocol, early: Option<Early>) {
    let started = Instant::now();
    let mut log = Log {
        protocol,
        started: client.accepted,
        address: None,
        held: Duration::ZERO,
        out: 0,
        back: 0,
    };
    let outcome = pass(&mut client, early, &mut log).await;
    let failed = matches!(outcome, Outcome::Failed { .. });
    log.capture(&client.edge, started.elapsed(), outcome);
    // Last, so that what is counted is also captured.
    client.edge.stats.done(None, failed);
}

async fn pass(client: &mut Client, mut early: Option<Early>, log: &mut Log) -> Outcome {
    loop {
        let Admitted { inflight, held } = match let_in(client).await {
            Ok(admitted) => admitted,
            Err(Denied::Refused(why)) => return refuse(client, why),
            Err(Denied::Left | Denied::Deadline) => return Outcome::Left,
        };
        log.held += held;
        let generation = Arc::clone(inflight.generation());
        match &generation.target {
            Target::Real(_) => {}
            Target::Stub(_) => return refuse(client, "a stub answers HTTP alone".into()),
            Target::Refused { why } => return refuse(client, why.clone()),
            Target::Hold { .. } => continue,
        }
        let (provider, address) = match early.take().filter(|early| early.generation == generation.number) {
            Some(early) => (early.stream, early.address),
            None => match connect(&client.edge, &generation).await {
                Ok(connected) => connected,
                Err(Unreached::Retired) => continue,
                Err(Unreached::Failed(why)) => return refuse(client, why),
            },
        };
        log.address = Some(address);
        return both_ways(client, provider, &generation, log).await;
    }
}

/// Waits for a provider.
async fn let_in(client: &mut Client) -> Result<Admitted, Denied> {
    let Client {
        stream,
        buffer,
        edge,
        target,
        ..
    } = client;
    let bytes = buffer.len();
    admit(edge, target, bytes, None, async |waiting| {
        read_on(stream, buffer, waiting).await
    })
    .await
}

/// Closes a connection that nobody will serve, in a way that its client notices as an error.
fn refuse(client: &Client, why: String) -> Outcome {
    reset_on_close(&client.stream);
    Outcome::Failed { why }
}

/// Makes the end of a connection a reset instead of an orderly close.
pub(crate) fn reset_on_close(stream: &TcpStream) {
    // Where it cannot be set, the peer sees an orderly close.
    let _ = stream.set_zero_linger();
}

async fn both_ways(client: &mut Client, mut provider: TcpStream, generation: &Generation, log: &mut Log) -> Outcome {
    let edge = Arc::clone(&client.edge);
    let mut relay = Relay::new(std::mem::take(&mut client.buffer), Buffer::default(), &edge);
    if log.protocol == Protocol::Amqp {
        relay = relay.tapped(Tap::new(&edge));
    }
    let ended = relay.run(&mut client.stream, &mut provider, &edge, generation).await;
    (log.out, log.back) = relay.bytes();
    match ended {
        Ended::Done => Outcome::Done,
        // Both see the end of a stream, as when the old run had stopped by itself.
        Ended::Retired | Ended::Fault(End::Close) => Outcome::Done,
        Ended::Fault(End::Reset) => {
            reset_on_close(&client.stream);
            reset_on_close(&provider);
            Outcome::Failed {
                why: "a fault of this edge ended the connection".into(),
            }
        }
        Ended::Failed(error) => {
            reset_on_close(&client.stream);
            reset_on_close(&provider);
            match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Outcome::Left,
                _ => Outcome::Failed { why: error.to_string() },
            }
        }
    }
}

/// What is remembered of a connection.
struct Log {
    protocol: Protocol,
    started: SystemTime,
    address: Option<SocketAddr>,
    held: Duration,
    out: u64,
    back: u64,
}

impl Log {
    fn capture(self, edge: &Inner, total: Duration, outcome: Outcome) {
        edge.traffic.push(Raw::Connection(Connection {
            number: 0,
            edge: (*edge.id).clone(),
            protocol: self.protocol,
            started: jiff::Timestamp::try_from(self.started).unwrap_or_default(),
            address: self.address,
            bytes_out: self.out,
            bytes_in: self.back,
            timing: Timing {
                held: self.held,
                first_byte: None,
                total,
            },
            outcome,
        }));
    }
}
