//! `schema`: the JSON Schema of `x-devctl`, for editors.

use std::io::{self, Write};

use clap::Args;

use crate::error::Error;
use crate::exit::Exit;

/// Print the JSON Schema of `x-devctl`
#[derive(Args, Debug)]
pub(crate) struct Schema {}

impl Schema {
    /// Runs it.
    #[expect(clippy::unused_self, reason = "every verb is run in the same way")]
    pub(crate) fn run(&self) -> Result<Exit, Error> {
        let schema = devctl_compose::extension_schema();
        let text = serde_json::to_string_pretty(&schema).map_err(io::Error::other)?;
        writeln!(io::stdout(), "{text}")?;
        Ok(Exit::Ok)
    }
}
