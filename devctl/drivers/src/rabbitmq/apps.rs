//! The Erlang applications that a broker needs, by their own word (`NAME.app`): which plugins to show it, and which modules it will load.
//!
//! Two things make a boot slow: a plugin directory whose every application is looked at (70, of which 25 are needed), and loading some
//! 900 modules one by one, each of which copies the table of exported functions. Told all their names at once, the emulator copies
//! it once: a quarter less, measured.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::{Installation, RabbitError};

/// Started by RabbitMQ's boot itself, whatever is enabled.
const CORE: [&str; 6] = ["kernel", "stdlib", "sasl", "mnesia", "rabbitmq_prelaunch", "rabbit"];

/// Where each application is.
pub(super) struct Apps {
    own: BTreeMap<String, PathBuf>,
    otp: BTreeMap<String, PathBuf>,
    plugins: PathBuf,
}

impl Apps {
    pub(super) fn of(installation: &Installation) -> Self {
        let plugins = installation.home.join("plugins");
        // `/usr/bin/erl` is a link to `ROOT/bin/erl`; the applications are in `ROOT/lib`.
        let erl = fs::canonicalize(&installation.erl).unwrap_or_else(|_| installation.erl.clone());
        let root = erl.parent().and_then(Path::parent).unwrap_or(&erl);
        Self {
            own: list(&plugins),
            otp: list(&root.join("lib")),
            plugins,
        }
    }

    /// Fills `dir` with links to the applications that these plugins need, and returns the directory to use: the installation's own
    /// where it cannot be told what is needed (plugins in archives).
    pub(super) fn link(&self, enabled: &[String], dir: &Path) -> Result<PathBuf, RabbitError> {
        for plugin in enabled {
            if !self.own.contains_key(plugin) {
                let available = self
                    .own
                    .keys()
                    .filter(|name| name.starts_with("rabbitmq_"))
                    .cloned()
                    .collect();
                return Err(RabbitError::NoSuchPlugin {
                    plugin: plugin.clone(),
                    available,
                });
            }
        }
        let needed = self.closure(enabled);
        if !needed.contains("rabbit") {
            return Ok(self.plugins.clone());
        }
        for path in needed.iter().filter_map(|app| self.own.get(app)) {
            let link = dir.join(path.file_name().unwrap_or_default());
            symlink(path, &link).map_err(RabbitError::io("make link", &link))?;
        }
        Ok(dir.to_owned())
    }

    /// The modules of all applications that will run.
    pub(super) fn modules(&self, enabled: &[String]) -> Vec<String> {
        let needed = self.closure(enabled);
        let dirs = needed
            .iter()
            .filter_map(|app| self.own.get(app).or_else(|| self.otp.get(app)));
        let files = dirs
            .filter_map(|dir| fs::read_dir(dir.join("ebin")).ok())
            .flat_map(|entries| entries.flatten());
        files
            .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".beam")?.to_owned()))
            .filter(|name| {
                name.chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '@' | '-'))
            })
            .collect()
    }

    /// These plugins and the core, with all that they need of what is here.
    pub(super) fn closure(&self, enabled: &[String]) -> BTreeSet<String> {
        let mut todo: Vec<String> = CORE
            .iter()
            .map(|app| (*app).to_owned())
            .chain(enabled.iter().cloned())
            .collect();
        let mut found = BTreeSet::new();
        while let Some(app) = todo.pop() {
            let Some(dir) = self.own.get(&app).or_else(|| self.otp.get(&app)) else {
                continue;
            };
            let Ok(text) = fs::read_to_string(dir.join(format!("ebin/{app}.app"))) else {
                continue;
            };
            if found.insert(app) {
                todo.extend(needs(&text));
            }
        }
        found
    }
}

/// `NAME-VERSION` directories by name; where there are several versions, the last.
fn list(dir: &Path) -> BTreeMap<String, PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return BTreeMap::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let named = |path: PathBuf| Some((path.file_name()?.to_str()?.rsplit_once('-')?.0.to_owned(), path.clone()));
    paths.into_iter().filter_map(named).collect()
}

/// The applications that an application resource file names as needed.
fn needs(text: &str) -> Vec<String> {
    let Ok(pattern) = Regex::new(r"\{\s*(?:included_)?applications\s*,\s*\[([^\]]*)\]") else {
        return Vec::new();
    };
    let lists = pattern.captures_iter(text).filter_map(|found| found.get(1));
    let names = lists.flat_map(|list| list.as_str().split(','));
    names
        .map(|name| name.trim().trim_matches('\'').to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_application_needs_is_read_from_its_resource_file() {
        let text = "{application, 'a',[\n {modules,['x','y']},\n {applications, [kernel,\n 'stdlib', ra]},{included_applications,[b]}]}.";
        assert_eq!(needs(text), ["kernel", "stdlib", "ra", "b"]);
        assert_eq!(needs("{application,a,[{applications,[]}]}."), Vec::<String>::new());
    }
}
