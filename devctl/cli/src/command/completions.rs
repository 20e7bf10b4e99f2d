//! `completions`: a script for the shell, which asks this program for what fits: verbs, flags and the project's own services.

use std::io::{self, Write};

use clap::Args;
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use crate::error::Error;
use crate::exit::Exit;

/// Print a completion script; for bash: `source <(devctl completions bash)`
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// Shell
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish", "elvish", "powershell"])]
    shell: String,
}

/// The variable by which the script asks.
pub(crate) const VARIABLE: &str = "DEVCTL_COMPLETE";

impl Completions {
    /// Runs it.
    pub(crate) fn run(&self) -> Result<Exit, Error> {
        let shell: &dyn EnvCompleter = match self.shell.as_str() {
            "zsh" => &Zsh,
            "fish" => &Fish,
            "elvish" => &Elvish,
            "powershell" => &Powershell,
            _ => &Bash,
        };
        let mut script = Vec::new();
        shell.write_registration(VARIABLE, "devctl", "devctl", "devctl", &mut script)?;
        io::stdout().write_all(&script)?;
        Ok(Exit::Ok)
    }
}
