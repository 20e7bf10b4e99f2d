//! Where pacts are looked for: files, folders with all that is in them, globs and URLs. Every problem is gathered, so
//! that one broken file hides no other.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use globset::GlobBuilder;
use url::Url;

use super::contract::Contract;
use super::load::{LoadError, Origin, parse};

/// One place to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A pact, or a folder of them to any depth.
    Path(PathBuf),
    /// A pattern in which `**` crosses folders.
    Glob(String),
    /// A pact at an address.
    Url(Url),
}

impl Source {
    /// What a person wrote: an address with a scheme, a pattern, or a path.
    pub fn from_text(text: &str) -> Self {
        if let Ok(url) = Url::parse(text)
            && matches!(url.scheme(), "http" | "https")
        {
            return Self::Url(url);
        }
        if text.contains(['*', '?', '[', '{']) && !Path::new(text).exists() {
            return Self::Glob(text.to_owned());
        }
        Self::Path(PathBuf::from(text))
    }
}

/// What was found, and what could not be read. Contracts are in the order of the sources, within a folder by name.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Readable contracts, each origin and each content once.
    pub contracts: Vec<Arc<Contract>>,
    /// Everything else.
    pub problems: Vec<LoadError>,
}

/// Loads every pact of `sources`; relative ones are below `base`.
pub async fn load(sources: &[Source], base: &Path) -> Loaded {
    let mut loaded = Loaded::default();
    for source in sources {
        match source {
            Source::Url(url) => match fetch(url).await {
                Ok((origin, text)) => loaded.take(&origin, &text),
                Err(problem) => loaded.problems.push(problem),
            },
            Source::Path(path) => loaded.take_path(&plain(&base.join(path))),
            Source::Glob(pattern) => loaded.take_glob(pattern, base),
        }
    }
    loaded
}

impl Loaded {
    fn take(&mut self, origin: &Origin, text: &str) {
        if self.contracts.iter().any(|contract| &contract.origin == origin) {
            return;
        }
        match parse(origin, text) {
            // A copy elsewhere (a broker's, another folder's) promises nothing more and would be replayed twice.
            Ok(contract) if self.contracts.iter().any(|known| known.digest == contract.digest) => {}
            Ok(contract) => self.contracts.push(Arc::new(contract)),
            Err(problem) => self.problems.push(problem),
        }
    }

    fn take_file(&mut self, path: PathBuf) {
        match fs::read_to_string(&path) {
            Ok(text) => self.take(&Origin::File(path), &text),
            Err(cause) => self.problems.push(LoadError::Read { path, cause }),
        }
    }

    fn take_path(&mut self, path: &Path) {
        if !path.is_dir() {
            return self.take_file(path.to_owned());
        }
        let files = self.walk(path);
        if files.is_empty() {
            self.problems.push(LoadError::Nothing {
                place: path.display().to_string(),
            });
        }
        for file in files {
            self.take_file(file);
        }
    }

    fn take_glob(&mut self, pattern: &str, base: &Path) {
        let full = plain(&base.join(pattern)).to_string_lossy().into_owned();
        let glob = match GlobBuilder::new(&full).literal_separator(true).build() {
            Ok(glob) => glob.compile_matcher(),
            Err(cause) => {
                return self.problems.push(LoadError::Pattern {
                    pattern: pattern.to_owned(),
                    cause,
                });
            }
        };
        let fixed: PathBuf = Path::new(&full)
            .components()
            .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']))
            .collect();
        let files: Vec<PathBuf> = self
            .walk(&fixed)
            .into_iter()
            .filter(|file| glob.is_match(file))
            .collect();
        if files.is_empty() {
            self.problems.push(LoadError::Nothing {
                place: pattern.to_owned(),
            });
        }
        for file in files {
            self.take_file(file);
        }
    }

    /// Every `.json` file below `folder`, sorted; hidden folders are not entered, nor is a link to a folder above.
    fn walk(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(cause) => {
                    self.problems.push(LoadError::Read { path: folder, cause });
                    continue;
                }
            };
            for entry in entries.flatten() {
                let path = entry.path();
                let hidden = entry.file_name().to_string_lossy().starts_with('.');
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && !hidden => folders.push(path),
                    Ok(kind) if !kind.is_dir() && path.extension().is_some_and(|is| is == "json") && path.is_file() => {
                        found.push(path);
                    }
                    _ => {}
                }
            }
        }
        found.sort();
        found
    }
}

/// The path without `.` and `..`, as it is shown: which folder of links it goes through does not matter to whoever reads it.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    // Through a link, `..` may lead elsewhere.
    match (plain.canonicalize(), path.canonicalize()) {
        (Ok(one), Ok(other)) if one == other => plain,
        (Err(_), Err(_)) => plain,
        _ => path.to_owned(),
    }
}

async fn fetch(url: &Url) -> Result<(Origin, String), LoadError> {
    let mut shown = url.clone();
    // A URL without a host has no user either; nothing is lost where this is refused.
    let _ = shown.set_password(None);
    let _ = shown.set_username("");
    let failed = |cause: reqwest::Error| LoadError::Fetch {
        url: shown.clone(),
        cause: cause.without_url(),
    };
    let mut request = client()
        .map_err(failed)?
        .get(shown.clone())
        .header("accept", "application/hal+json, application/json");
    if !url.username().is_empty() {
        request = request.basic_auth(url.username(), url.password());
    }
    let response = request
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(failed)?;
    let text = response.text().await.map_err(failed)?;
    Ok((Origin::Url(shown.clone()), text))
}

fn client() -> Result<reqwest::Client, reqwest::Error> {
    // Without a provider the client would panic. One that a `main` chose before stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(30))
        .build()
}
