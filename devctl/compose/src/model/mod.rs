//! The typed model: what a project is once every file has been read, merged and checked.
//!
//! All fields are public and plain: maps are [`IndexMap`]s, durations [`std::time::Duration`]s, sizes [`ByteSize`]s. An
//! absent text is `None` and never `Some("")`. `x-` attributes are kept as JSON values in `extensions`; what devctl reads
//! of them is typed in `x_devctl`.

mod build;
mod container;
mod deploy;
mod develop;
mod device;
mod extension;
mod health;
mod mount;
mod network;
mod project;
pub(crate) mod record;
mod resource;
mod scalar;
mod service;
mod written;

pub use build::Build;
pub use deploy::{
    Deploy, DeployRestartPolicy, DiscreteResource, GenericResource, Placement, PlacementPreference, Resource,
    Resources, UpdateConfig,
};
pub use develop::{Develop, Watch, WatchAction};
pub use device::{BlkioConfig, DeviceCount, DeviceMapping, DeviceRequest, ThrottleDevice, WeightDevice};
pub use extension::*;
pub use health::Healthcheck;
use indexmap::IndexMap;
pub use mount::{
    BindOptions, CredentialSpec, FileMode, FileReference, ImageOptions, Mount, MountKind, TmpfsOptions, VolumeOptions,
};
pub use network::{ExtraHosts, Ipam, IpamPool, Network, Port, ServiceNetwork};
pub use project::Project;
pub use resource::{FileObject, Model, Volume};
pub use scalar::{ByteSize, Condition, PullPolicy, RestartPolicy, SshKeys, Ulimit};
pub use service::{
    DependsOn, EnvFile, Extends, Hook, Job, Logging, PreStartHook, Provider, Schedule, Service, ServiceModel, Triggers,
};

/// `x-` attributes, as JSON values.
pub type Extensions = IndexMap<String, serde_json::Value>;
