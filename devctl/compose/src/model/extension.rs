//! What a file says to devctl: `x-devctl` of a service and at the top.
//!
//! The JSON Schema that is published comes from these types; the reader beside them ([`crate::extension`]) knows where each key stands.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::written::{Scalar, Texts, WrittenEdge, WrittenReady};

/// `services.NAME.x-devctl`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceExtension {
    /// How the service runs as a process of this machine.
    pub native: Option<Native>,
    /// Its part in contracts.
    pub contracts: Option<ServiceContracts>,
    /// Whether it never runs here and is answered from contracts.
    #[schemars(with = "Option<bool>")]
    pub stub: bool,
    /// How a reload replaces it; chosen by what it is where nothing is written.
    pub swap: Option<Swap>,
    /// Conditions beyond Compose's own, by service.
    #[schemars(with = "Option<IndexMap<String, ExtraDependency>>")]
    pub depends_on: IndexMap<String, ExtraDependency>,
    /// Ports at which it runs elsewhere, as container port and address.
    #[schemars(with = "Option<IndexMap<u16, Scalar>>")]
    pub external: IndexMap<u16, String>,
    /// How its calls to others are carried.
    #[schemars(with = "Option<Edges>")]
    pub edges: Edges,
    /// Headers, JSON paths and variables that are never captured, logged or shown.
    #[schemars(with = "Option<Texts>")]
    pub redact: Vec<String>,
}

/// `x-devctl` at the top of the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectExtension {
    /// Where contracts are.
    pub contracts: Option<ProjectContracts>,
    /// How calls are carried, for every service.
    #[schemars(with = "Option<Edges>")]
    pub edges: Edges,
    /// Headers, JSON paths and variables that are never captured, logged or shown.
    #[schemars(with = "Option<Texts>")]
    pub redact: Vec<String>,
    /// On which addresses ports are published.
    #[schemars(with = "Option<Publish>")]
    pub publish: Publish,
}

/// `native`: how a service runs as a process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Native {
    /// The command that builds it; a text is split as a shell would.
    #[schemars(with = "Option<Texts>")]
    pub build: Option<Vec<String>>,
    /// The command that runs it; a text is split as a shell would.
    #[schemars(with = "Option<Texts>")]
    pub command: Option<Vec<String>>,
    /// The directory of both, relative to the project's.
    pub dir: Option<String>,
    /// The variable that tells the process its port, by container port.
    #[schemars(with = "Option<IndexMap<u16, Scalar>>")]
    pub ports: IndexMap<u16, String>,
    /// Variables that it has only as a process.
    #[schemars(with = "Option<IndexMap<String, Scalar>>")]
    pub env: IndexMap<String, String>,
    /// How it is known to be ready.
    #[schemars(with = "Option<WrittenReady>")]
    pub ready: Option<Ready>,
    /// Which versions of the machine's own server may stand in for the image's, such as `>=14`.
    pub version: Option<String>,
}

/// `ready`: how a process is known to be ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    /// An HTTP path that answers with success.
    Http {
        /// The path.
        path: String,
        /// The container port; the first of `ports` where there is none.
        port: Option<u16>,
    },
    /// gRPC's health service says that a service is serving.
    Grpc {
        /// The service; empty for the whole server.
        service: String,
        /// The container port; the first of `ports` where there is none.
        port: Option<u16>,
    },
    /// A command that ends with success.
    Command(Vec<String>),
}

/// `swap`: how a reload replaces a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Swap {
    /// The new run starts beside the old one and takes over when it is ready.
    Overlap,
    /// The old run is stopped first; requests are held meanwhile.
    Restart,
}

/// `contracts` of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceContracts {
    /// Its name as a provider, where that is not the service's.
    pub provider: Option<String>,
    /// Its name as a consumer, where that is not the service's.
    pub consumer: Option<String>,
    /// The file with its provider states.
    pub states: Option<String>,
    /// The command that writes its consumer contracts to `$PACT_OUTPUT_DIR`; run in the project's directory.
    #[schemars(with = "Option<Texts>")]
    pub tests: Option<Vec<String>>,
    /// When its contracts are verified while `up` runs; as the project's say where nothing is written.
    pub verify: Option<VerifyWhen>,
}

/// `contracts` of the project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectContracts {
    /// Directories and files with pacts.
    #[schemars(with = "Option<Texts>")]
    pub pacts: Vec<String>,
    /// Directories and files with API specifications.
    #[schemars(with = "Option<Texts>")]
    pub specs: Vec<String>,
    /// The command that writes the contracts of consumers that are no services here.
    #[schemars(with = "Option<Texts>")]
    pub tests: Option<Vec<String>>,
    /// When contracts are verified while `up` runs; `always` where nothing is written.
    pub verify: Option<VerifyWhen>,
}

/// `verify`: when contracts are verified while `up` runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VerifyWhen {
    /// Once when everything is ready, and after each reload.
    Always,
    /// After each reload.
    Save,
    /// Never.
    Never,
}

/// `depends_on.NAME`: a condition beyond Compose's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtraDependency {
    /// What must have happened.
    pub condition: ExtraCondition,
}

/// A condition beyond Compose's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExtraCondition {
    /// The provider keeps every contract that it has with anybody.
    ContractVerified,
}

/// `edges`: how calls are carried.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Edges {
    /// What applies where a provider has no entry of its own.
    pub default: Option<EdgeMode>,
    /// By provider.
    #[serde(flatten)]
    #[schemars(with = "IndexMap<String, WrittenEdge>")]
    pub providers: IndexMap<String, Edge>,
}

/// Whether calls go over an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EdgeMode {
    /// Over an edge.
    On,
    /// Directly.
    Direct,
}

/// How calls to one provider are carried.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Edge {
    /// Whether they go over an edge.
    pub mode: Option<EdgeMode>,
    /// What is spoken; found out where nothing is written.
    pub protocol: Option<EdgeProtocol>,
    /// What is held while the provider is away.
    pub hold: Option<Hold>,
}

/// What is spoken over an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EdgeProtocol {
    /// HTTP/1 and HTTP/2.
    Http,
    /// HTTP/2 by prior knowledge.
    Http2,
    /// gRPC.
    Grpc,
    /// Bytes.
    Tcp,
    /// AMQP 0-9-1.
    Amqp,
    /// PostgreSQL.
    Postgres,
    /// TLS, passed through.
    Tls,
}

/// How much is held while a provider is away.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hold {
    /// Requests at a time.
    #[schemars(with = "Option<Scalar>")]
    pub requests: Option<u32>,
    /// Bytes, as a size such as `1m`.
    #[schemars(with = "Option<Scalar>")]
    pub bytes: Option<u64>,
    /// How long, as a duration such as `30s`.
    #[schemars(with = "Option<String>")]
    pub time: Option<std::time::Duration>,
}

/// `publish`: on which addresses ports are published that name none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Publish {
    /// On loopback.
    #[default]
    Loopback,
    /// On every interface, as Docker does.
    AsWritten,
}
