//! `man`: the manual pages, from the same words as `--help`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::args::Cli;
use crate::error::Error;
use crate::exit::Exit;

/// Print the manual page: `devctl man | man -l -`
#[derive(Args, Debug)]
pub(crate) struct Man {
    /// The page of this verb
    #[arg(value_name = "VERB", conflicts_with = "output")]
    verb: Option<String>,

    /// Write all pages into this directory instead: `devctl.1`, `devctl-up.1`, ...
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    output: Option<PathBuf>,
}

impl Man {
    /// Runs it.
    pub(crate) fn run(&self) -> Result<Exit, Error> {
        let mut command = Cli::command();
        command.build();
        if let Some(directory) = &self.output {
            std::fs::create_dir_all(directory)
                .and_then(|()| clap_mangen::generate_to(command, directory))
                .map_err(|source| Error::Io {
                    doing: format!("write manual pages into `{}`", directory.display()),
                    source,
                    help: None,
                })?;
            return Ok(Exit::Ok);
        }
        let page = match &self.verb {
            None => command,
            Some(verb) => match command.find_subcommand(verb) {
                Some(found) => found.clone().name(format!("devctl-{verb}")),
                None => {
                    let verbs = command.get_subcommands().map(clap::Command::get_name);
                    return Err(Error::Usage {
                        what: format!("there is no verb `{verb}`"),
                        help: crate::suggest::nearest(verb, verbs).map(|near| format!("did you mean `{near}`?")),
                    });
                }
            },
        };
        let mut text = Vec::new();
        clap_mangen::Man::new(page).render(&mut text)?;
        io::stdout().write_all(&text)?;
        Ok(Exit::Ok)
    }
}
