//! `prune`: what devctl left behind of projects that are gone: data, sockets, leases' directories, containers, networks, volumes.

use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use devctl_drivers::dirs::{Dirs, Places};
use devctl_drivers::docker::{Engine, labels};

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::standing;

/// Remove what devctl left behind of projects whose directories are gone
#[derive(Args, Debug)]
pub(crate) struct Prune {
    /// Do not ask
    #[arg(short, long)]
    force: bool,

    /// Only tell what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// Something that nobody owns any more.
enum Leftover {
    Directory(PathBuf),
    Container(String, String),
}

impl Leftover {
    fn words(&self) -> String {
        match self {
            Self::Directory(path) => format!("directory {}", path.display()),
            Self::Container(_, name) => format!("container {name}"),
        }
    }
}

impl Prune {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        context.block_on(async {
            let mut found: Vec<Leftover> = directories(&Places::from_env())
                .into_iter()
                .map(Leftover::Directory)
                .collect();
            // Without an engine there are no containers to be found.
            let engine = Engine::connect(&standing::environment()).await.ok();
            if let Some(engine) = &engine {
                found.extend(containers(engine).await?);
            }
            if found.is_empty() {
                writeln!(io::stderr(), "nothing was left behind")?;
                return Ok(Exit::Ok);
            }
            let mut out = io::stdout().lock();
            for one in &found {
                writeln!(out, "{}", one.words())?;
            }
            drop(out);
            if self.dry_run || !self.agreed()? {
                return Ok(Exit::Ok);
            }
            for one in &found {
                match one {
                    Leftover::Directory(path) => std::fs::remove_dir_all(path).map_err(|source| Error::Io {
                        doing: format!("remove `{}`", path.display()),
                        source,
                        help: None,
                    })?,
                    Leftover::Container(id, _) => {
                        if let Some(engine) = &engine {
                            engine
                                .remove(id, true)
                                .await
                                .map_err(|error| standing::refused(&error))?;
                        }
                    }
                }
            }
            writeln!(io::stderr(), "removed {}", found.len())?;
            Ok(Exit::Ok)
        })
    }

    fn agreed(&self) -> Result<bool, Error> {
        if self.force {
            return Ok(true);
        }
        if !io::stdin().is_terminal() {
            return Err(Error::usage(
                "nobody is there to be asked",
                "`--force` removes without asking, `--dry-run` only tells",
            ));
        }
        write!(io::stderr(), "remove all of these? [y/N] ")?;
        io::stderr().flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map_err(|source| Error::Io {
            doing: "read the answer".into(),
            source,
            help: None,
        })?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

/// Data and runtime directories of projects that are gone. A project's own are known by the mark that its daemon leaves in them.
fn directories(places: &Places) -> Vec<PathBuf> {
    // Any project tells where all of them are.
    let one = Dirs::of_project(Path::new("/"), "x", places);
    let parents = [one.data.parent(), one.runtime.parent()];
    let mut found = Vec::new();
    for parent in parents.into_iter().flatten() {
        let Ok(entries) = std::fs::read_dir(parent) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() && is_orphan(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The file in a project's directories that says where the project is.
fn is_orphan(path: &Path) -> bool {
    let Ok(owner) = std::fs::read_to_string(path.join(devctl_drivers::dirs::OWNER)) else {
        return false;
    };
    !Path::new(owner.trim_end()).is_dir()
}

/// Containers that devctl made for projects whose directories are gone.
async fn containers(engine: &Engine) -> Result<Vec<Leftover>, Error> {
    if engine.facts().remote {
        // Another machine's directories cannot be looked at from here.
        return Ok(Vec::new());
    }
    let found = engine
        .containers(&[labels::DEVCTL.to_owned()])
        .await
        .map_err(|error| standing::refused(&error))?;
    let gone = |label: &str| !Path::new(label).is_dir();
    Ok(found
        .into_iter()
        .filter(|one| one.label(labels::WORKING_DIR).is_some_and(gone))
        .map(|one| Leftover::Container(one.id, one.name))
        .collect())
}
