//! The verbs, one file each, named as they are typed.

pub(crate) mod act;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod daemon;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod edges;
pub(crate) mod events;
pub(crate) mod fault;
pub(crate) mod graph;
pub(crate) mod guardian;
pub(crate) mod kill;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod port;
pub(crate) mod ps;
pub(crate) mod resolved;
pub(crate) mod restart;
pub(crate) mod schema;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod stub;
pub(crate) mod traffic;
pub(crate) mod up;
pub(crate) mod version;
pub(crate) mod why;
