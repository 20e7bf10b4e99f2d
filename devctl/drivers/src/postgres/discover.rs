//! Which PostgreSQL this machine has: the places where distributions put it, and the PATH.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Installation;
use crate::server::Version;

/// Directories with one directory per version, and what leads from there to the programs.
const PLACES: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/usr/local", "pgsql", "bin"),
];

/// Every PostgreSQL that this machine has, newest first. `path`: the PATH to look in besides the usual places.
pub fn discover(path: &str) -> Vec<Installation> {
    let mut bins: Vec<PathBuf> = std::env::split_paths(path).collect();
    for (place, prefix, below) in PLACES {
        let Ok(entries) = fs::read_dir(place) else { continue };
        let named = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        bins.extend(named.map(|entry| entry.path().join(below)));
    }
    let mut found: Vec<Installation> = Vec::new();
    for bin in bins {
        // A server alone, without its tools, is of no use; links to one installation count once.
        let complete = ["postgres", "initdb", "psql"]
            .iter()
            .all(|program| bin.join(program).is_file());
        let Ok(server) = fs::canonicalize(bin.join("postgres")) else {
            continue;
        };
        let bin = server.parent().map_or(bin, Path::to_owned);
        if !complete || found.iter().any(|one| one.bin == bin) {
            continue;
        }
        if let Some(version) = version_of(&bin) {
            found.push(Installation { version, bin });
        }
    }
    found.sort_by(|a, b| b.version.cmp(&a.version));
    found
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`
fn version_of(bin: &Path) -> Option<Version> {
    let told = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    Version::parse(text.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?)
}
