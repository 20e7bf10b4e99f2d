//! `db`: a service's PostgreSQL: a shell in it, its data put back, provider states and SQL files put in.
//!
//! `reset` is a copy of a template database, made at the first reset: it takes milliseconds, whatever the schema. No other
//! database of the server is touched, and nothing but the sessions of this one is ended.

mod psql;
mod template;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, Subcommand};
use devctl_pact::ProviderState;
use devctl_pact::states::postgres::Postgres;
use devctl_pact::states::steps::Doers;
use devctl_pact::states::{Executor, parse};
use devctl_pact::verify::ProviderStates as _;

use crate::complete;
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use psql::Psql;

/// Work with a service's PostgreSQL: a shell, its data reset or seeded
#[derive(Args, Debug)]
pub(crate) struct Db {
    /// The service that is the database
    #[arg(value_name = "SERVICE", add = complete::services())]
    service: String,

    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Open psql (the default); what follows goes to it
    Shell {
        /// Arguments for psql: `-c 'SELECT 1'`
        #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Put its data back: to what `save` kept, or to empty tables with migrations kept
    Reset,
    /// Keep its data as it is now, for `reset` to come back to
    Save,
    /// Put data in: provider states by name, SQL files by path; without either, list the states there are
    Seed {
        /// `there is an open invoice`, `seed.sql`
        #[arg(value_name = "STATE|FILE")]
        what: Vec<String>,
    },
}

impl Db {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of([&self.service])?;
        context.block_on(async {
            if let Some(Action::Seed { what }) = &self.action
                && what.is_empty()
            {
                return self.list(&project);
            }
            let psql = psql::find(&project, &self.service).await?;
            if context.global.dry_run {
                let database = psql.login.database.clone();
                let steps = match &self.action {
                    None | Some(Action::Shell { .. }) => vec![Step::new("open a shell in", database)],
                    Some(Action::Reset) => vec![Step::new("reset", database)],
                    Some(Action::Save) => vec![Step::new("save", database)],
                    Some(Action::Seed { what }) => {
                        let seed = |what: &String| Step::new("seed", database.clone()).because(format!("with {what}"));
                        what.iter().map(seed).collect()
                    }
                };
                return dry::tell(context, &steps);
            }
            match &self.action {
                None => psql.shell(&[]).await,
                Some(Action::Shell { arguments }) => psql.shell(arguments).await,
                Some(Action::Reset) => self.told(context, template::reset(&psql, &self.keeps(&project)).await?),
                Some(Action::Save) => self.told(context, template::save(&psql).await?),
                Some(Action::Seed { what }) => self.seed(context, &project, &psql, what).await,
            }
        })
    }

    fn told(&self, context: &Context, what: String) -> Result<Exit, Error> {
        if !context.global.quiet {
            writeln!(io::stderr(), "{}  {what}", self.service)?;
        }
        Ok(Exit::Ok)
    }

    async fn seed(&self, context: &Context, project: &Project, psql: &Psql, what: &[String]) -> Result<Exit, Error> {
        for wanted in what {
            let began = Instant::now();
            let is_file = wanted.ends_with(".sql") || Path::new(wanted).is_file();
            if is_file {
                let text = std::fs::read_to_string(wanted).map_err(|source| Error::Io {
                    doing: format!("read `{wanted}`"),
                    source,
                    help: None,
                })?;
                psql.script(&text).await?;
            } else {
                self.state(project, psql, wanted).await?;
            }
            let ms = began.elapsed().as_millis();
            self.told(
                context,
                format!("seeded `{}` with `{wanted}` in {ms} ms", psql.login.database),
            )?;
        }
        Ok(Exit::Ok)
    }

    /// A provider state: everything but `keep` is emptied first, as before an interaction.
    async fn state(&self, project: &Project, psql: &Psql, wanted: &str) -> Result<(), Error> {
        let files = states_of(project, &self.service);
        let declared = files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
        let Some(declared) = declared
            .into_iter()
            .find(|declared| declared.states.contains_key(wanted))
        else {
            return Err(Error::usage(
                format!("there is no provider state and no file `{wanted}`"),
                format!("`devctl db {} seed` lists the states", self.service),
            ));
        };
        let failed = |what: String, help: Option<String>| Error::Unmet { what, help };
        let database = Postgres::connect(&psql.login.config())
            .await
            .map_err(|error| failed(format!("failed to connect to `{}`: {error}", psql.login.database), None))?;
        let doers = Doers {
            sql: Some(Arc::new(database)),
            ..Doers::default()
        };
        let executor = Executor::new(declared, doers);
        executor
            .set_up(&[ProviderState::default(wanted)])
            .await
            .map_err(|failure| failed(format!("failed to {}", failure.what), failure.help))?;
        Ok(())
    }

    fn list(&self, project: &Project) -> Result<Exit, Error> {
        let files = states_of(project, &self.service);
        if files.is_empty() {
            return Err(Error::Unmet {
                what: format!("no service that depends on `{}` declares provider states", self.service),
                help: Some("name SQL files, or a states file: `x-devctl: {contracts: {states: ...}}`".to_owned()),
            });
        }
        let mut out = io::stdout().lock();
        for file in files {
            for name in read(&file)?.states.keys() {
                writeln!(out, "{name}")?;
            }
        }
        Ok(Exit::Ok)
    }

    /// Tables that the states files keep through a reset.
    fn keeps(&self, project: &Project) -> Vec<String> {
        let files = states_of(project, &self.service);
        files
            .iter()
            .filter_map(|file| read(file).ok())
            .flat_map(|declared| declared.keep)
            .collect()
    }
}

/// The states files of the services that depend on a database.
fn states_of(project: &Project, database: &str) -> Vec<PathBuf> {
    project
        .model
        .services
        .values()
        .filter(|service| service.depends_on.contains_key(database))
        .filter_map(|service| service.x_devctl.contracts.as_ref()?.states.clone())
        .map(|file| project.model.working_dir.join(file))
        .collect()
}

fn read(file: &Path) -> Result<devctl_pact::states::file::Declared, Error> {
    let text = std::fs::read_to_string(file).map_err(|source| Error::Io {
        doing: format!("read `{}`", file.display()),
        source,
        help: None,
    })?;
    parse(&file.display().to_string(), &text).map_err(|error| Error::Unmet {
        what: format!("failed to {error}"),
        help: None,
    })
}
