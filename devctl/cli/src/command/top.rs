//! `top`: the processes of each service.

use std::io::{self, Write};

use clap::Args;
use devctl_drivers::{proc, usage};

use crate::args::Services;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::table;
use crate::standing::{self, Place};

/// Show the processes of services
#[derive(Args, Debug)]
pub(crate) struct Top {
    #[command(flatten)]
    services: Services,
}

impl Top {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of(&self.services.services)?;
        let tables = context.block_on(async {
            let mut tables = Vec::new();
            for running in standing::everything(&project, &self.services.services).await? {
                let rows = match &running.place {
                    Place::Process(pid) => of_process(*pid),
                    Place::Container(container) => {
                        let found = container.engine.processes(&container.id).await;
                        let found = found.map_err(|error| Error::Refused {
                            what: format!("failed to {error}"),
                            help: None,
                        })?;
                        std::iter::once(found.titles).chain(found.rows).collect()
                    }
                };
                tables.push((running.name, rows));
            }
            Ok(tables)
        })?;
        let mut out = io::stdout().lock();
        for (name, rows) in &tables {
            writeln!(out, "{name}")?;
            for line in table::lines(rows) {
                writeln!(out, "{line}")?;
            }
            writeln!(out)?;
        }
        Ok(Exit::Ok)
    }
}

fn of_process(root: i32) -> Vec<Vec<String>> {
    let head = ["PID", "PPID", "CPU", "MEMORY", "CMD"].map(str::to_owned).to_vec();
    let rows = usage::processes(root).into_iter().map(|process| {
        let used = usage::of_one(process.id);
        vec![
            process.id.pid.to_string(),
            process.parent.to_string(),
            format!("{:.1} s", used.cpu_seconds),
            super::stats::bytes(used.memory),
            proc::command_line(process.id.pid).unwrap_or(format!("[{}]", process.name)),
        ]
    });
    std::iter::once(head).chain(rows).collect()
}
