//! `version`: which devctl this is.

use std::io::{self, Write};

use clap::{Args, ValueEnum};

use crate::error::Error;
use crate::exit::Exit;

/// Show the version
#[derive(Args, Debug)]
pub(crate) struct Version {
    /// Only the number
    #[arg(long)]
    short: bool,

    /// `pretty` or `json`
    #[arg(short, long, value_enum, default_value_t)]
    format: Shape,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Shape {
    #[default]
    Pretty,
    Json,
}

impl Version {
    /// Runs it.
    pub(crate) fn run(&self) -> Result<Exit, Error> {
        let version = devctl_wire::VERSION;
        let mut out = io::stdout();
        match self.format {
            _ if self.short => writeln!(out, "{version}")?,
            Shape::Pretty => writeln!(out, "devctl {version}")?,
            Shape::Json => writeln!(out, "{}", serde_json::json!({ "version": version }))?,
        }
        Ok(Exit::Ok)
    }
}
