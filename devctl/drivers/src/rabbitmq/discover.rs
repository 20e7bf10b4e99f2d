//! Which RabbitMQ this machine has: the places where packages put it, and what `rabbitmq-server` in the PATH leads to.

use std::fs;
use std::path::{Path, PathBuf};

use super::Installation;
use crate::process::find_program;
use crate::server::Version;

/// Directories that hold installations, and how those are named there.
const PLACES: [(&str, &str); 5] = [
    ("/usr/lib/rabbitmq/lib", "rabbitmq_server-"),
    ("/usr/local/lib/rabbitmq/lib", "rabbitmq_server-"),
    ("/opt", "rabbitmq"),
    ("/opt/homebrew/opt", "rabbitmq"),
    ("/usr/local/opt", "rabbitmq"),
];

/// Every RabbitMQ that this machine has, newest first. `path`: the PATH to look in besides the usual places.
pub fn discover(path: &str) -> Vec<Installation> {
    let path = format!("{path}:/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin");
    let (Some(erl), Some(epmd)) = (find_program("erl", &path), find_program("epmd", &path)) else {
        return Vec::new();
    };
    let mut homes: Vec<PathBuf> = Vec::new();
    for (place, prefix) in PLACES {
        let Ok(entries) = fs::read_dir(place) else { continue };
        let named = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        homes.extend(named.map(|entry| entry.path()));
    }
    // A tarball's `sbin` in the PATH.
    let server = find_program("rabbitmq-server", &path).and_then(|file| fs::canonicalize(file).ok());
    homes.extend(
        server
            .as_deref()
            .and_then(Path::parent)
            .and_then(Path::parent)
            .map(Path::to_owned),
    );
    let mut found: Vec<Installation> = Vec::new();
    for home in homes.iter().filter_map(|home| fs::canonicalize(home).ok()) {
        if found.iter().all(|one| one.home != home)
            && let Some(version) = version_of(&home)
        {
            found.push(Installation {
                version,
                home,
                erl: erl.clone(),
                epmd: epmd.clone(),
            });
        }
    }
    found.sort_by(|a, b| b.version.cmp(&a.version));
    found
}

/// The version of the core plugin, `plugins/rabbit-3.10.8`.
fn version_of(home: &Path) -> Option<Version> {
    let entries = fs::read_dir(home.join("plugins")).ok()?;
    entries.flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Version::parse(name.strip_prefix("rabbit-")?.trim_end_matches(".ez"))
    })
}
