//! The engine: told what happened and what time it is, it returns what to do.
//!
//! [`State::step`] is the only way to change it. Whatever it knows can be asked for: [`State::hold`] says why a node
//! does not run, and the scheduler, `ps`, `why` and the dashboard all ask that same question.

mod adopt;
mod away;
mod build;
mod contracts;
mod create;
mod critical;
mod effect;
mod event;
mod health;
mod hold;
mod node;
mod notice;
mod pause;
mod request;
mod restart;
mod run;
mod schedule;
mod state;
mod verdict;

#[cfg(test)]
mod tests;

pub use away::Away;
pub use build::NO_PRODUCT;
pub use contracts::{Breach, Cause, Contracts, Tested, Verdicts, Verification};
pub use critical::{CriticalPath, Phase, Step};
pub use effect::Effect;
pub use event::{Act, Built, Down, Event, Exit, Failure, Found, Started, Up, Verb};
pub use health::pace;
pub use hold::Hold;
pub use node::{Completion, Create, Ended, Health, HealthState, Making, Memory, Node, Run, RunPhase, Wanted};
pub use notice::{Level, Notice, NoticeKind};
pub use request::ends_a_process;
pub use state::{Serving, State, Status};
pub use verdict::Verdict;
