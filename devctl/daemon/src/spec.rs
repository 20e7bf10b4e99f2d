//! What the daemon needs in order to run a node: the files' words, resolved, with a runtime chosen.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use devctl_compose::model::WatchAction;
use devctl_core::NodeId;
use devctl_core::plan::ContentHash;
use devctl_drivers::docker::build::Build;
use devctl_drivers::docker::pull::PullPolicy;
use devctl_drivers::docker::{ContainerSpec, Engine, NetworkSpec, VolumeSpec};
use devctl_drivers::server::{Requirement, Server};
use indexmap::IndexMap;
use nix::sys::signal::Signal;

/// One node, ready to be run as often as needed. Immutable: another configuration is another spec.
#[derive(Debug, Clone)]
pub(crate) struct NodeSpec {
    pub(crate) id: NodeId,
    pub(crate) hash: ContentHash,
    /// How it runs.
    pub(crate) what: What,
    /// The ports that others may call it at, as the Compose file numbers them.
    pub(crate) ports: Vec<u16>,
    /// What `ports` publishes.
    pub(crate) published: Vec<Published>,
    /// The image that the file names.
    pub(crate) image: Option<String>,
    /// Its `container_name`.
    pub(crate) container_name: Option<String>,
    /// Its environment as the file says it, before addresses are put in.
    pub(crate) environment: IndexMap<String, String>,
    /// What its environment and command were told in place of names.
    pub(crate) rewrites: Vec<Rewrite>,
    pub(crate) stop_signal: Signal,
    pub(crate) post_start: Vec<HookSpec>,
    pub(crate) pre_stop: Vec<HookSpec>,
    /// How it is built.
    pub(crate) build: Option<BuildSpec>,
    /// What it runs as it stands, where nothing is built: a change of it is a new run.
    pub(crate) reads: Option<BuildSpec>,
    /// What a change of its files does to its container.
    pub(crate) watch: Vec<WatchRule>,
    /// Never shown, never stored.
    pub(crate) secrets: Vec<String>,
    /// Names whose values are never shown, from `x-devctl.redact`.
    pub(crate) redact: Vec<String>,
    /// What is done otherwise than the file says, to be told once.
    pub(crate) notes: Vec<String>,
}

impl NodeSpec {
    /// How its container's image is built, where the file says so.
    pub(crate) fn image_build(&self) -> Option<&Build> {
        match &self.what {
            What::Container(plan) => plan.image.build.as_deref(),
            _ => None,
        }
    }
}

/// How a node runs.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A process on this host.
    Process(Box<ProcessPlan>),
    /// The machine's own PostgreSQL.
    Postgres(Box<PostgresPlan>),
    /// The machine's own RabbitMQ.
    RabbitMq(Box<RabbitPlan>),
    /// A container.
    Container(Box<ContainerPlan>),
    /// Answers from contracts; there is no process.
    Stub,
    /// Runs elsewhere: container port -> address.
    External {
        ports: IndexMap<u16, std::net::SocketAddr>,
        /// The variable that tells it each port, where it is started as a process there.
        variables: IndexMap<u16, String>,
    },
    /// Cannot run here.
    Impossible {
        /// Why.
        why: String,
        /// What to do about it.
        help: String,
    },
}

impl What {
    /// The word for `ps`.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            What::Process(_) => "native",
            What::Postgres(_) => "postgres",
            What::RabbitMq(_) => "rabbitmq",
            What::Stub => "stub",
            What::External { .. } => "external",
            What::Container(_) | What::Impossible { .. } => "docker",
        }
    }
}

/// A process.
#[derive(Debug, Clone)]
pub(crate) struct ProcessPlan {
    /// Program and arguments, addresses put in.
    pub(crate) command: Vec<String>,
    pub(crate) dir: PathBuf,
    /// All of it, addresses put in; what the ports' variables say comes with the run.
    pub(crate) env: IndexMap<String, String>,
    /// Container port -> the variable that tells the process its own.
    pub(crate) port_variables: IndexMap<u16, String>,
    pub(crate) ready: Ready,
    /// It reads what is typed to it by `attach`.
    pub(crate) reads: bool,
}

/// A container.
#[derive(Debug, Clone)]
pub(crate) struct ContainerPlan {
    pub(crate) engine: Engine,
    /// The project's name in the engine.
    pub(crate) project: String,
    /// The container, but for what only a start can know.
    pub(crate) spec: ContainerSpec,
    pub(crate) networks: Vec<NetworkSpec>,
    pub(crate) volumes: Vec<VolumeSpec>,
    pub(crate) image: ImageSpec,
    /// A digest of what it is told in place of names.
    pub(crate) told: String,
    /// The ports that the file names.
    pub(crate) ports: Vec<u16>,
    pub(crate) test: Test,
    /// It is a server whose readiness can be seen by its protocol.
    pub(crate) server: Option<Server>,
    /// Paths of this host that must be there before it is made.
    pub(crate) missing_binds: Vec<PathBuf>,
    /// It gets none of the anonymous volumes of the one before it.
    pub(crate) renew_volumes: bool,
}

/// Where a container's image comes from.
#[derive(Debug, Clone)]
pub(crate) struct ImageSpec {
    pub(crate) name: String,
    pub(crate) policy: PullPolicy,
    pub(crate) platform: Option<String>,
    /// The caller's environment: logins, and the helpers that know them.
    pub(crate) env: Arc<IndexMap<String, String>>,
    /// How it is built, where the file says so.
    pub(crate) build: Option<Box<Build>>,
    /// The services whose images that build starts from, and what is to be built for each, in order.
    pub(crate) sources: Vec<(String, Vec<Build>)>,
}

/// How a container is known to be ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    /// As soon as it runs.
    None,
    /// As its image says.
    Image,
    /// A command inside ends with 0.
    Command(Vec<String>),
    /// A line for the container's shell ends with 0.
    Shell(String),
}

/// How a process is known to be ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ready {
    /// As soon as it runs.
    Running,
    /// This path answers with less than 400, at this container port.
    Http { path: String, port: u16 },
    /// gRPC health of this service, at this container port.
    Grpc { service: String, port: u16 },
    /// A command exits with 0. `localhost:PORT` of a container port means the process's own.
    Command(Vec<String>),
}

/// PostgreSQL.
#[derive(Debug, Clone)]
pub(crate) struct PostgresPlan {
    pub(crate) version: Requirement,
    pub(crate) env: IndexMap<String, String>,
    pub(crate) init: Vec<PathBuf>,
    pub(crate) command: Vec<String>,
    pub(crate) data: DataPlace,
}

/// RabbitMQ.
#[derive(Debug, Clone)]
pub(crate) struct RabbitPlan {
    pub(crate) version: Requirement,
    pub(crate) management: bool,
    pub(crate) env: IndexMap<String, String>,
    pub(crate) mounts: IndexMap<String, PathBuf>,
    pub(crate) data: DataPlace,
}

/// Where a server's data lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataPlace {
    /// The directory.
    pub(crate) dir: PathBuf,
    /// It goes with the node, as a container's own layer does: no named volume or bind mount holds it.
    pub(crate) ephemeral: bool,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) target: u16,
    pub(crate) host: IpAddr,
    /// The ports that will do, the first free one is taken. Empty: any.
    pub(crate) ports: Vec<u16>,
    pub(crate) protocol: String,
    pub(crate) app_protocol: Option<String>,
}

/// One change that was made to what the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rewrite {
    /// The variable, or `command`.
    pub(crate) place: String,
    pub(crate) written: String,
    pub(crate) told: String,
}

/// A `post_start` or `pre_stop` hook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HookSpec {
    pub(crate) command: Vec<String>,
    /// A directory of this host, for a process.
    pub(crate) dir: Option<PathBuf>,
    pub(crate) env: IndexMap<String, String>,
    /// As the file says it, for a container.
    pub(crate) inside: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) privileged: bool,
}

/// A build from source.
#[derive(Debug, Clone)]
pub(crate) struct BuildSpec {
    pub(crate) command: Vec<String>,
    pub(crate) dir: PathBuf,
    /// The caller's whole environment: a compiler needs more of it than anybody could list.
    pub(crate) env: Arc<IndexMap<String, String>>,
    /// What it makes, where the node's command is a file of the project.
    pub(crate) artefact: Option<PathBuf>,
    /// Where its sources are. Empty: not known.
    pub(crate) sources: Vec<SourceTree>,
}

/// One rule of `develop.watch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WatchRule {
    /// Whose changes it is about.
    pub(crate) tree: SourceTree,
    pub(crate) action: WatchAction,
    /// Where the files belong inside.
    pub(crate) target: Option<String>,
    /// What `sync+exec` runs.
    pub(crate) exec: Option<HookSpec>,
    /// All files are copied at the start as well.
    pub(crate) initial: bool,
}

/// A directory (or file) of sources.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SourceTree {
    pub(crate) path: PathBuf,
    /// Patterns as of `.dockerignore`, from `path` on: nothing else counts.
    pub(crate) include: Vec<String>,
    /// The same, of what does not count.
    pub(crate) ignore: Vec<String>,
    /// Whose `.dockerignore` counts.
    pub(crate) context: Option<Context>,
}

impl SourceTree {
    /// Everything below this path that git does not ignore.
    pub(crate) fn all(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            include: Vec::new(),
            ignore: Vec::new(),
            context: None,
        }
    }
}

/// The context that a container's image is built from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Context {
    pub(crate) root: PathBuf,
    /// From the context's root; None where the steps stand in the Compose file.
    pub(crate) dockerfile: Option<PathBuf>,
}

/// How long a hook may take. Compose has no limit; an hour is longer than any hook that somebody waits for.
pub(crate) const HOOK_LIMIT: Duration = Duration::from_secs(3600);
