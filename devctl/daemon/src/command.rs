//! What the API asks of the loop.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use devctl_core::NodeId;
use devctl_core::engine::{Up, Verb};
use devctl_drivers::docker::Engine;
use devctl_edge::EdgeId;
use devctl_wire::v1;
use tokio::sync::{mpsc, oneshot};

use crate::live::Live;
use crate::prepare::{Opening, Promised, Reread};
use crate::spec::NodeSpec;
use crate::stubs::StandIn;
use crate::verify::beside::Subject;
use crate::watch::rules::Batch;

/// One request, with the way back.
pub(crate) enum Command {
    /// Make the project what its files say.
    Up(Box<UpCommand>),
    /// The same, because the files have changed.
    Replan(Box<UpCommand>),
    /// Stop and remove.
    Down { request: v1::DownRequest, reply: Reply },
    /// start, stop, restart, kill.
    Act {
        verb: Verb,
        request: v1::ActRequest,
        reply: Reply,
    },
    /// A snapshot.
    Status {
        request: v1::StatusRequest,
        reply: oneshot::Sender<v1::StatusReply>,
    },
    /// How a service's first replica is run.
    Spec {
        service: String,
        reply: oneshot::Sender<Option<Arc<NodeSpec>>>,
    },
    /// What it takes to stand where a service stands; None where the project has no such node.
    Inside {
        request: v1::InsideRequest,
        reply: oneshot::Sender<Option<v1::InsideReply>>,
    },
    /// Answer services from contracts, or let the real ones answer again. The reply is everything that is answered so then.
    Stub {
        services: Vec<String>,
        off: bool,
        stubs: Vec<StandIn>,
        reply: oneshot::Sender<Vec<String>>,
    },
    /// Files of a container have changed.
    Sync { node: NodeId, batch: Batch, what: String },
    /// Files of pacts, or of provider states, have changed.
    Contracts { paths: Vec<PathBuf> },
    /// Pacts have been read again, because of a change of that number.
    StandIns { change: u64, read: Reread },
    /// Something worth a notice.
    Remark(Remark),
    /// An attached client lets go.
    Release { kill: bool, reply: oneshot::Sender<bool> },
    /// An attached client is there.
    Attached,
    /// An attached client is gone, whether it has let go or not.
    Detached,
    /// A node's run, if there is one.
    Look {
        node: NodeId,
        reply: oneshot::Sender<Option<Live>>,
    },
    /// What `Hello` tells.
    Hello { reply: oneshot::Sender<u32> },
}

/// Where updates go that are for one client alone: the plan, the outcome.
pub(crate) type Reply = mpsc::UnboundedSender<v1::Update>;

/// `up`, with everything that had to be read, leased and opened for it.
pub(crate) struct UpCommand {
    pub(crate) up: Up,
    pub(crate) specs: Vec<Arc<NodeSpec>>,
    pub(crate) project: ProjectFacts,
    /// Containers of services that run otherwise now.
    pub(crate) superseded: Vec<(NodeId, Engine, String)>,
    /// Containers that run: whose, and which.
    pub(crate) containers: HashMap<NodeId, String>,
    pub(crate) edges: Vec<(EdgeId, Opening)>,
    /// Every edge that the files ask for, open already or not.
    pub(crate) wanted_edges: HashSet<EdgeId>,
    pub(crate) stubs: Vec<StandIn>,
    /// When the pacts were read for these, or a moment before.
    pub(crate) pacts_read: Instant,
    /// Reads them again.
    pub(crate) promised: Promised,
    /// To be told once the plan is known.
    pub(crate) warnings: Vec<v1::Diagnostic>,
    /// Worth a notice: a port that was taken, a name that could not be followed.
    pub(crate) remarks: Vec<Remark>,
    /// What is verified of it.
    pub(crate) subject: Subject,
    /// Files and folders of pacts and provider states: watched.
    pub(crate) contracts: Vec<PathBuf>,
    /// Files that were read for it: watched.
    pub(crate) files: Vec<PathBuf>,
    /// What was asked for: asked again when a file changes.
    pub(crate) request: v1::UpRequest,
    pub(crate) wait: Wait,
    pub(crate) timeout: Option<Duration>,
    pub(crate) dry_run: bool,
    pub(crate) attach: bool,
    /// Nobody asked: a file was changed.
    pub(crate) again: bool,
    pub(crate) reply: Reply,
}

/// A warning that is part of the numbered sequence.
#[derive(Debug)]
pub(crate) struct Remark {
    pub(crate) node: Option<NodeId>,
    pub(crate) text: String,
    pub(crate) help: Option<String>,
}

/// What `status` tells of the project.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProjectFacts {
    pub(crate) name: String,
    pub(crate) directory: String,
    pub(crate) compose_files: Vec<String>,
}

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Each is started (or done, or failed).
    Started,
    /// Each is ready (or done, or failed).
    Ready,
    /// Each has ended.
    Ended,
    /// Each that was sent a signal has ended, or goes on in spite of it.
    Signalled,
    /// Each is held still (or none is any more), or could not be.
    Held { still: bool },
    /// Each is made, or could not be.
    Created,
}
