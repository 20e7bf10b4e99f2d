//! What may be written where [`super::extension`] has one form: for the JSON Schema alone, nothing is read into these.

#![expect(dead_code, reason = "the schema is made from the types; there are no values of them")]

use schemars::JsonSchema;

use super::extension::{Edge, EdgeMode};

/// A text, or a list of texts. A command that is one text is split as a shell would.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Texts {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// A text, or what stands for one.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Scalar {
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
    /// A boolean.
    Flag(bool),
}

/// How a process is known to be ready.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum WrittenReady {
    /// An HTTP path that answers with success.
    Path(String),
    /// The same, at a port that is named.
    Http(HttpReady),
    /// gRPC's health service says that a service is serving.
    Grpc(GrpcReady),
    /// A command that ends with success.
    Command(CommandReady),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct HttpReady {
    /// The path.
    http: String,
    /// The container port; the first of `ports` where there is none.
    port: Option<u16>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct GrpcReady {
    /// The service; nothing for the whole server.
    grpc: Named,
    /// The container port; the first of `ports` where there is none.
    port: Option<u16>,
}

/// A name, or nothing: the key itself must stand there.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Named {
    /// A name.
    Name(String),
    /// Nothing.
    Nothing(()),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct CommandReady {
    /// The command.
    command: Texts,
}

/// How calls to one provider are carried: whether, or how.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum WrittenEdge {
    /// Whether they go over an edge.
    Mode(EdgeMode),
    /// How.
    Edge(Edge),
}
