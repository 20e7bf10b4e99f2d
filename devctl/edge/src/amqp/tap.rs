//! Reads an AMQP connection along, and captures what happens in it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::amqp::channel::{Channel, message};
use crate::amqp::fields::Fields;
use crate::amqp::frame::{Frames, Kind};
use crate::amqp::{AmqpEvent, AmqpWhat, Side};
use crate::capture::{Raw, Saved};
use crate::edge::Inner;
use crate::fault::Stream;

/// Both directions of one connection.
pub(crate) struct Tap {
    client: Frames,
    broker: Frames,
    state: State,
}

struct State {
    edge: Arc<Inner>,
    connection: u64,
    channels: HashMap<u16, Channel>,
}

impl Tap {
    pub(crate) fn new(edge: &Arc<Inner>) -> Box<Self> {
        let body = edge.traffic.limits.body;
        let state = State {
            edge: Arc::clone(edge),
            connection: edge.connection_number(),
            channels: HashMap::new(),
        };
        // The client begins with `AMQP` and the version.
        Box::new(Self {
            client: Frames::new(8, body),
            broker: Frames::new(0, body),
            state,
        })
    }

    /// Reads bytes that pass.
    pub(crate) fn read(&mut self, way: Stream, bytes: &[u8]) {
        let (frames, side) = match way {
            Stream::Upstream => (&mut self.client, Side::Client),
            Stream::Downstream => (&mut self.broker, Side::Broker),
        };
        let state = &mut self.state;
        frames.read(bytes, |kind, channel, payload, size| {
            state.frame(side, kind, channel, payload, size)
        });
    }
}

impl State {
    fn frame(&mut self, side: Side, kind: Kind, number: u16, payload: &[u8], size: usize) {
        let limit = self.edge.traffic.limits.body;
        let channel = self.channels.entry(number).or_default();
        let mut args = Fields(payload);
        let (what, closed) = match kind {
            Kind::Heartbeat => return,
            Kind::Header => (channel.header(side, &mut args), false),
            Kind::Body => (channel.body(side, payload, size, limit), false),
            Kind::Method => {
                let (Some(class), Some(method)) = (args.short(), args.short()) else {
                    return;
                };
                // After `close-ok` the number may be used for another channel.
                (
                    channel.method(side, class, method, &mut args),
                    (class, method) == (20, 41),
                )
            }
        };
        if closed {
            self.channels.remove(&number);
        }
        if let Some(what) = what {
            self.capture(side, number, what);
        }
    }

    fn capture(&self, from: Side, channel: u16, mut what: AmqpWhat) {
        let traffic = &self.edge.traffic;
        if !traffic.is_on() {
            return;
        }
        if let Some(message) = message(&mut what) {
            let redaction = traffic.redaction();
            for (name, value) in &mut message.headers {
                if redaction.header(name.as_bytes()) {
                    *value = crate::capture::REDACTED.into();
                }
            }
            let mut saved = Saved {
                body: std::mem::take(&mut message.body.data),
                ..Saved::default()
            };
            redaction.body(&mut saved);
            message.body.data = saved.body;
        }
        let (edge, connection) = ((*self.edge.id).clone(), self.connection);
        let at = jiff::Timestamp::now();
        traffic.push(Raw::Amqp(AmqpEvent {
            number: 0,
            edge,
            connection,
            channel,
            at,
            from,
            what,
        }));
    }
}
