//! `--dry-run` of the verbs that change something: what would be done is told, and nothing is done.

use std::io::{self, Write};

use devctl_wire::v1::NodeStatus;
use serde_json::json;

use crate::args::Format;
use crate::command::ps;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// One thing that would be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// `stop`.
    action: &'static str,
    /// `billing`, `image phoenix/billing:dev`.
    what: String,
    /// How that is now, or why it would be done.
    why: String,
}

impl Step {
    /// One without a word on how things are.
    pub(crate) fn new(action: &'static str, what: impl Into<String>) -> Self {
        Self {
            action,
            what: what.into(),
            why: String::new(),
        }
    }

    /// The same, with a word on how things are.
    pub(crate) fn because(self, why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            ..self
        }
    }

    /// Something done to a node, with how that is now.
    pub(crate) fn of_node(action: &'static str, node: &NodeStatus) -> Self {
        Self::new(action, node.id.clone()).because(ps::in_words(node))
    }
}

/// Tells all of it: a line each, or an object each.
pub(crate) fn tell(context: &Context, steps: &[Step]) -> Result<Exit, Error> {
    let mut out = io::stdout().lock();
    for step in steps {
        if context.terminal.format == Format::Json {
            let object = json!({ "DryRun": true, "Action": step.action, "What": step.what, "Why": step.why });
            writeln!(out, "{object}")?;
        } else if step.why.is_empty() {
            writeln!(out, "would {} {}", step.action, step.what)?;
        } else {
            writeln!(out, "would {} {} ({})", step.action, step.what, step.why)?;
        }
    }
    if steps.is_empty() {
        writeln!(io::stderr(), "nothing would be done")?;
    }
    Ok(Exit::Ok)
}
