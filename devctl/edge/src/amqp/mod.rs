//! AMQP 0-9-1, read while it passes: which message went which way, through which exchange and queue, and who
//! acknowledged it. Not a byte is changed.

mod channel;
mod event;
mod fields;
mod frame;
mod tap;

pub use event::{AmqpEvent, AmqpWhat, MessageInfo, Settled, Side};

pub(crate) use tap::Tap;
