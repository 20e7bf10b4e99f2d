//! `prune`: what devctl made and nobody uses any more: of projects that are gone, their containers, networks, volumes, images, data and
//! sockets; of all projects, the images that a newer build has left without a name.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use devctl_drivers::dirs::{Dirs, Places};
use devctl_drivers::docker::Engine;

use crate::args::{Format, Runtime};
use crate::ask;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::standing;

mod engine;

/// Remove what devctl made and nobody uses any more: of projects whose directories are gone, and images without a name
#[derive(Args, Debug)]
pub(crate) struct Prune {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Something that nobody uses any more.
#[derive(Debug, PartialEq, Eq)]
enum Leftover {
    Directory(PathBuf),
    /// Id and name.
    Container(String, String),
    Network(String),
    Volume(String),
    /// Id, and its names.
    Image(String, Vec<String>),
}

impl Leftover {
    fn words(&self) -> String {
        match self {
            Self::Directory(path) => format!("directory {}", path.display()),
            Self::Container(_, name) => format!("container {name}"),
            Self::Network(name) => format!("network {name}"),
            Self::Volume(name) => format!("volume {name}"),
            Self::Image(id, names) if names.is_empty() => format!("image {} (no name)", super::pull::short(id)),
            Self::Image(_, names) => format!("image {}", names.join(", ")),
        }
    }

    fn json(&self) -> serde_json::Value {
        let (kind, name) = match self {
            Self::Directory(path) => ("directory", path.display().to_string()),
            Self::Container(_, name) => ("container", name.clone()),
            Self::Network(name) => ("network", name.clone()),
            Self::Volume(name) => ("volume", name.clone()),
            Self::Image(id, names) => ("image", names.first().unwrap_or(id).clone()),
        };
        serde_json::json!({ "Kind": kind, "Name": name })
    }
}

impl Prune {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        context.block_on(async {
            // Without an engine it has nothing.
            let engine = match context.global.runtime() {
                Runtime::Native => None,
                _ => Engine::connect(&standing::environment()).await.ok(),
            };
            let mut found = match &engine {
                Some(engine) => engine::leftovers(engine).await?,
                None => Vec::new(),
            };
            found.extend(directories(&Places::from_env()).into_iter().map(Leftover::Directory));
            if found.is_empty() {
                writeln!(io::stderr(), "nothing was left behind")?;
                return Ok(Exit::Ok);
            }
            let mut out = io::stdout().lock();
            for one in &found {
                match context.terminal.format {
                    Format::Json => writeln!(out, "{}", one.json())?,
                    _ => writeln!(out, "{}", one.words())?,
                }
            }
            drop(out);
            let help = "`--force` removes without asking, `--dry-run` only tells";
            if context.global.dry_run || !(self.force || ask::agreed("remove all of these?", help)?) {
                return Ok(Exit::Ok);
            }
            let (mut removed, mut failed) = (0, 0);
            for one in &found {
                match remove(one, engine.as_ref()).await {
                    Ok(true) => removed += 1,
                    Ok(false) => writeln!(io::stderr(), "{} is used by now, and stays", one.words())?,
                    Err(why) => {
                        failed += 1;
                        writeln!(io::stderr(), "failed to remove {}: {why}", one.words())?;
                    }
                }
            }
            writeln!(io::stderr(), "removed {removed} of {}", found.len())?;
            Ok(if failed == 0 { Exit::Ok } else { Exit::Failed })
        })
    }
}

/// False: somebody uses it by now.
async fn remove(one: &Leftover, engine: Option<&Engine>) -> Result<bool, String> {
    match (one, engine) {
        (Leftover::Directory(path), _) => match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(true),
        },
        (_, None) => Ok(false),
        (Leftover::Container(id, _), Some(engine)) => match engine.remove(id, true).await {
            Ok(()) => Ok(true),
            Err(error) => Err(error.to_string()),
        },
        (Leftover::Network(name), Some(engine)) => {
            let removed = engine.remove_network(name).await;
            removed.map_err(|error| error.to_string())
        }
        (Leftover::Volume(name), Some(engine)) => {
            let removed = engine.remove_volume(name).await;
            removed.map_err(|error| error.to_string())
        }
        (Leftover::Image(id, names), Some(engine)) => {
            // By each of its names: the last one takes the image along.
            for name in if names.is_empty() {
                std::slice::from_ref(id)
            } else {
                names.as_slice()
            } {
                let removed = engine.remove_image(name).await;
                removed.map_err(|error| error.to_string())?;
            }
            Ok(true)
        }
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
    is_gone(Path::new(owner.trim_end()))
}

/// What cannot be looked at (another user's home) may well be there.
fn is_gone(dir: &Path) -> bool {
    let seen = dir.metadata();
    seen.is_err_and(|error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}
