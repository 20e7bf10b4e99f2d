//! Reading files once, and keeping everything that is said about them.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use indexmap::{IndexMap, IndexSet};

use super::Stage;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::dotenv::{self, DotenvError, Variables};
use crate::files::Files;
use crate::interpolate::template::{self, Lookup, Variable};
use crate::options::LoadOptions;
use crate::paths;
use crate::problem::{Problem, Problems, Reported};
use crate::source::Sources;
use crate::tree::Span;
use crate::yaml::{self, Document};

/// Files above this size are refused.
const MAX_BYTES: usize = 64 << 20;

/// Everything that a load holds while it goes on.
pub(super) struct Session<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) options: &'a LoadOptions,
    pub(super) problems: Problems,
    pub(super) sources: Sources,
    read: IndexSet<PathBuf>,
    /// Compose files as parsed, until they are worked on; those that cannot be are kept as such.
    parsed: HashMap<String, Stage<Rc<Vec<Document>>>>,
    /// The Compose files that were read, by their numbers as sources.
    numbers: HashMap<String, u32>,
    /// Environment files that are none.
    broken: HashSet<String>,
    /// Environments that were put together from files, for what is said of a variable's value.
    pub(super) environments: Vec<(IndexMap<String, String>, Vec<String>)>,
}

/// A further source of variables.
type Further<'f> = dyn Fn(&str) -> Option<String> + 'f;

/// Where variables are looked up during a load, and which were not set.
pub(super) struct Env<'e> {
    values: &'e IndexMap<String, String>,
    unset: RefCell<IndexSet<String>>,
    /// A further source, after `values`.
    further: Option<&'e Further<'e>>,
    quiet: Cell<bool>,
}

impl<'e> Env<'e> {
    pub(super) fn new(values: &'e IndexMap<String, String>) -> Self {
        Self {
            values,
            unset: RefCell::default(),
            further: None,
            quiet: Cell::new(false),
        }
    }

    pub(super) fn with(values: &'e IndexMap<String, String>, further: &'e Further<'e>) -> Self {
        Self {
            further: Some(further),
            ..Self::new(values)
        }
    }

    /// Tells of what was not set.
    pub(super) fn warn(&self, problems: &mut Problems) {
        for name in self.unset.take() {
            problems.push(Problem::warning(format!(
                "the variable `{name}` is not set: an empty string takes its place"
            )));
        }
    }
}

impl Lookup for Env<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.values
            .get(name)
            .cloned()
            .or_else(|| self.further.and_then(|further| further(name)))
    }

    fn unset(&self, name: &str) {
        if !self.quiet.get() {
            self.unset.borrow_mut().insert(name.to_owned());
        }
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(files: &'a dyn Files, options: &'a LoadOptions) -> Self {
        Self {
            files,
            options,
            problems: Problems::default(),
            sources: Sources::default(),
            read: IndexSet::new(),
            parsed: HashMap::new(),
            numbers: HashMap::new(),
            broken: HashSet::new(),
            environments: Vec::new(),
        }
    }

    /// The caller's directory.
    pub(super) fn here(&self) -> String {
        paths::text(&self.options.working_dir)
    }

    /// The caller's home.
    pub(super) fn home(&self) -> Option<&'a str> {
        self.options
            .environment
            .get("HOME")
            .map(String::as_str)
            .filter(|home| !home.is_empty())
    }

    /// A path as seen from the caller's directory.
    pub(super) fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') {
            paths::clean(path)
        } else {
            paths::join(&self.here(), path)
        }
    }

    /// A file's text; `at` is where it is asked for.
    fn text(&mut self, path: &str, at: Option<Span>) -> Stage<String> {
        let bytes = self.bytes(path, at)?;
        decode(bytes).ok_or_else(|| self.no_text(path, at))
    }

    fn no_text(&mut self, path: &str, at: Option<Span>) -> Reported {
        let problem = Problem::error(format!("`{path}` is no text: it is not UTF-8"));
        self.problems.fail(match at {
            Some(at) => problem.at(at),
            None => problem,
        })
    }

    fn bytes(&mut self, path: &str, at: Option<Span>) -> Stage<Vec<u8>> {
        let file = PathBuf::from(path);
        let refuse = |problems: &mut Problems, what: String| {
            let problem = Problem::error(what);
            problems.fail(match at {
                Some(at) => problem.at(at),
                None => problem,
            })
        };
        if path != "-" && self.files.is_dir(&file) {
            return Err(refuse(&mut self.problems, format!("`{path}` is a directory")));
        }
        let bytes = match self.files.read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(refuse(&mut self.problems, format!("there is no file `{path}`")));
            }
            Err(error) => return Err(refuse(&mut self.problems, format!("`{path}` cannot be read: {error}"))),
        };
        self.read.insert(file);
        if bytes.len() > MAX_BYTES {
            let what = format!(
                "`{path}` has {} bytes, more than the {MAX_BYTES} that are read",
                bytes.len()
            );
            return Err(refuse(&mut self.problems, what));
        }
        Ok(bytes)
    }

    /// A Compose file's documents.
    pub(super) fn documents(&mut self, path: &str, at: Option<Span>) -> Stage<Rc<Vec<Document>>> {
        if let Some(known) = self.parsed.get(path) {
            return known.clone();
        }
        self.problems.begin();
        let source = match self.numbers.get(path) {
            Some(number) => Ok(*number),
            None => self.text(path, at).map(|text| {
                let number = self.sources.add(&self.shown(path), text, at);
                self.numbers.insert(path.to_owned(), number);
                number
            }),
        };
        let documents =
            source.and_then(|source| yaml::read(self.sources.text(source), source, &mut self.problems).map(Rc::new));
        self.parsed.insert(path.to_owned(), documents.clone());
        documents
    }

    /// As `documents`, to be worked on. A file is seldom needed again, and is then parsed again: that is less than a copy of each.
    pub(super) fn take_documents(&mut self, path: &str, at: Option<Span>) -> Stage<Vec<Document>> {
        let documents = self.documents(path, at)?;
        self.parsed.remove(path);
        Ok(Rc::unwrap_or_clone(documents))
    }

    /// Adds the variables of an environment file.
    pub(super) fn variables(
        &mut self,
        path: &str,
        at: Option<Span>,
        out: &mut Variables,
        lookup: &dyn Lookup,
    ) -> Stage<()> {
        if self.broken.contains(path) {
            return Err(Reported);
        }
        let bytes = self.bytes(path, at)?;
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(self.no_text(path, at));
        }
        let text = lossy(&bytes);
        let result = dotenv::parse(&text, out, lookup);
        result.map_err(|error| self.broken_variables(path, at, text, error))
    }

    /// As `variables`, each value as it stands: `format: raw`.
    pub(super) fn raw_variables(
        &mut self,
        path: &str,
        at: Option<Span>,
        out: &mut Variables,
        lookup: &dyn Lookup,
    ) -> Stage<()> {
        let bytes = self.bytes(path, at)?;
        let text = String::from_utf8(bytes).map_err(|_| self.no_text(path, at))?;
        let result = dotenv::parse_raw(&text, out, lookup);
        result.map_err(|error| self.broken_variables(path, at, text, error))
    }

    fn broken_variables(&mut self, path: &str, at: Option<Span>, text: String, error: DotenvError) -> Reported {
        self.broken.insert(path.to_owned());
        let source = self.sources.add(&self.shown(path), text, at);
        let start = crate::source::offset(error.at);
        let end = start.saturating_add(1);
        self.problems
            .fail(Problem::error(error.message).at(Span { source, start, end }))
    }

    /// What the variables of a text are, and where that is said.
    fn values(&self, text: &str) -> Vec<String> {
        const MOST: usize = 4;
        let mut used = Vec::new();
        if text.contains('$') {
            template::variables(text, &mut used);
        }
        let mut notes: Vec<String> = Vec::new();
        for Variable { name, .. } in used {
            let known = |(values, _): &&(IndexMap<String, String>, Vec<String>)| values.contains_key(&name);
            let Some((values, files)) = self.environments.iter().find(known) else {
                continue;
            };
            let place = if self.options.environment.contains_key(&name) {
                Some("the environment".to_owned())
            } else {
                files.iter().rev().find_map(|file| self.assigned(file, &name))
            };
            let value = match values[&name].as_str() {
                "" => "empty".to_owned(),
                _ if is_secret(&name) => "set".to_owned(),
                value => format!("`{value}`"),
            };
            let note = match place {
                Some(place) => format!("`{name}` is {value}, from {place}"),
                None => format!("`{name}` is {value}"),
            };
            if notes.len() < MOST && !notes.contains(&note) {
                notes.push(note);
            }
        }
        notes
    }

    /// The line of an environment file that gives a variable its value.
    fn assigned(&self, file: &str, name: &str) -> Option<String> {
        let text = lossy(&self.files.read(file.as_ref()).ok()?);
        let gives = |line: &str| {
            let line = line.trim_start_matches('\u{feff}').trim_start();
            let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
            let rest = line.strip_prefix(name).map(str::trim_start);
            rest.is_some_and(|rest| rest.starts_with(['=', ':']))
        };
        let number = text.lines().collect::<Vec<_>>().into_iter().rposition(gives)? + 1;
        Some(format!("{}:{number}", self.shown(file).display()))
    }

    pub(super) fn problem(&mut self, problem: Problem) -> Reported {
        self.problems.fail(problem)
    }

    /// A path as a person reads it: from the caller's directory, where it is below.
    fn shown(&self, path: &str) -> PathBuf {
        let here = &self.options.working_dir;
        Path::new(path)
            .strip_prefix(here)
            .map_or_else(|_| PathBuf::from(path), Path::to_owned)
    }

    /// The errors, the warnings, the files.
    pub(super) fn finish(mut self) -> (Diagnostics, Vec<Diagnostic>, Vec<PathBuf>) {
        let problems = std::mem::take(&mut self.problems);
        let told = |text: &str| self.values(text);
        let (errors, warnings) = problems.render(&self.sources, &told);
        (errors, warnings, self.read.into_iter().collect())
    }
}

/// Whether a variable's value is nothing to be shown.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL"]
        .iter()
        .any(|word| name.contains(word))
}

/// UTF-8, with a replacement character for each byte that is none: comments and values of environment files may be in any code.
fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk
            .invalid()
            .iter()
            .for_each(|_| text.push(char::REPLACEMENT_CHARACTER));
    }
    text
}

/// UTF-8, or UTF-16 that says so at its beginning.
fn decode(bytes: Vec<u8>) -> Option<String> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16(&units).ok()
    };
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => String::from_utf8(bytes).ok(),
    }
}
