//! How things really run: processes, PostgreSQL, RabbitMQ, probes, logs, leases.
//!
//! Every module answers one question of the daemon and knows nothing of the others' policy: which node may start is
//! decided elsewhere. Own plain types throughout, so that the daemon converts and nothing here leans on the plan.
//!
//! | module | question |
//! |---|---|
//! | [`process`], [`exec`] | start this, tell me how it ended, end all of it |
//! | [`log`] | keep what it printed, find it again, follow it |
//! | [`probe`] | is it ready |
//! | [`server`], [`postgres`], [`rabbitmq`] | the machine's own servers in place of an official image |
//! | [`docker`] | containers, through an engine's API |
//! | [`usage`] | what it uses of the machine |
//! | [`lease`] | which port, which loopback address, and who has it |
//! | [`dirs`], [`copy`] | where things live, and fast copies of them |
//! | [`guardian`] | nothing outlives the daemon |

pub mod copy;
pub mod dirs;
pub mod docker;
pub mod exec;
pub mod guardian;
pub mod lease;
pub mod log;
pub mod postgres;
pub mod probe;
pub mod proc;
pub mod process;
pub mod rabbitmq;
pub mod server;
pub mod usage;
pub mod user;
