//! Verbs of Docker Compose that devctl does not have: said in words, with what does it.

use clap::Args;

use crate::error::Error;
use crate::exit::Exit;

/// Docker Compose's own
#[derive(Args, Debug)]
pub(crate) struct Elsewhere {
    /// Whatever it would take.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _rest: Vec<String>,
}

impl Elsewhere {
    /// Says that it is not here.
    pub(crate) fn refuse(self, verb: &str, help: &str) -> Result<Exit, Error> {
        Err(Error::usage(format!("devctl has no `{verb}`"), help))
    }
}
