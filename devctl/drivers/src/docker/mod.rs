//! Containers, through an engine's API.
//!
//! | file | what it does |
//! |---|---|
//! | [`image`], [`pull`], [`build`] | what an image says of itself, how it comes here, how it is made |
//! | [`copy`], [`top`], [`usage`] | a container's files, its processes, what it uses |
//! | [`auth`] | who the caller is to a registry |
//! | `endpoint`, `client` | which engine is meant, and the connection to it |
//! | `container`, `seen` | make, start, end, remove containers; what one is like |
//! | `network`, `volume`, `files` | what containers are given |
//! | `exec`, `end` | commands inside, and their end |
//! | `interactive` | a person's terminal at one of them |
//! | `upgrade` | a connection on which BuildKit is spoken with |
//! | `events`, `logs` | what the engine tells |
//! | `labels` | by which Docker Compose and devctl know a project's things |
//! | `error` | what went wrong, and the next step |

pub mod auth;
pub mod build;
mod client;
mod container;
pub mod copy;
mod end;
mod endpoint;
mod error;
mod events;
mod exec;
mod files;
pub mod image;
mod interactive;
mod inventory;
pub mod labels;
pub mod logs;
mod network;
mod pause;
mod pieces;
pub mod pull;
mod push;
mod refusal;
mod seen;
mod snapshot;
mod sync;
pub mod top;
mod upgrade;
pub mod usage;
mod volume;

/// The engine's own words for what it is to make: whoever fills them in need not name the client.
pub use bollard::models as api;

pub use client::{Engine, EngineFacts};
pub use container::{Attachment, ContainerSpec};
pub use endpoint::{Endpoint, NamedBy, config_dir, endpoints};
pub use error::{ConnectError, DockerError, Problem, Tried};
pub use events::{EngineEvent, Events};
pub use exec::{ExecOutcome, ExecSpec};
pub use files::FileIn;
pub use image::{Image, ImageHealth};
pub use interactive::Attached;
pub use inventory::{ImageFacts, ListedImage, ListedVolume};
pub use network::{Differs, NetworkSpec, SeenNetwork};
pub use push::PushError;
pub use seen::{Listed, Seen};
pub use snapshot::Commit;
pub use upgrade::UpgradeError;
pub use volume::VolumeSpec;
