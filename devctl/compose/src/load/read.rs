//! Reading files once, and keeping everything that is said about them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use indexmap::{IndexMap, IndexSet};

use super::Stage;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::dotenv::{self, Variables};
use crate::files::Files;
use crate::interpolate::template::Lookup;
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
    /// Compose files as read, so that one that is needed again is not parsed again.
    parsed: HashMap<String, Rc<Vec<Document>>>,
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
    pub(super) fn text(&mut self, path: &str, at: Option<Span>) -> Stage<String> {
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
        match decode(bytes) {
            Some(text) => Ok(text),
            None => Err(refuse(
                &mut self.problems,
                format!("`{path}` is no text: it is not UTF-8"),
            )),
        }
    }

    /// A Compose file's documents.
    pub(super) fn documents(&mut self, path: &str, at: Option<Span>) -> Stage<Rc<Vec<Document>>> {
        if let Some(known) = self.parsed.get(path) {
            return Ok(Rc::clone(known));
        }
        let text = self.text(path, at)?;
        let source = self.sources.add(&self.shown(path), text);
        let documents = yaml::read(self.sources.text(source), source, &mut self.problems)?;
        let documents = Rc::new(documents);
        self.parsed.insert(path.to_owned(), Rc::clone(&documents));
        Ok(documents)
    }

    /// Adds the variables of an environment file.
    pub(super) fn variables(
        &mut self,
        path: &str,
        at: Option<Span>,
        out: &mut Variables,
        lookup: &dyn Lookup,
    ) -> Stage<()> {
        let text = self.text(path, at)?;
        let result = dotenv::parse(&text, out, lookup);
        let shown = self.shown(path);
        result.map_err(|error| {
            let source = self.sources.add(&shown, text);
            let start = crate::source::offset(error.at);
            self.problems.fail(Problem::error(error.message).at(Span {
                source,
                start,
                end: start.saturating_add(1),
            }))
        })
    }

    /// As `variables`, each value as it stands: `format: raw`.
    pub(super) fn raw_variables(
        &mut self,
        path: &str,
        at: Option<Span>,
        out: &mut Variables,
        lookup: &dyn Lookup,
    ) -> Stage<()> {
        let text = self.text(path, at)?;
        let result = dotenv::parse_raw(&text, out, lookup);
        let shown = self.shown(path);
        result.map_err(|error| {
            let source = self.sources.add(&shown, text);
            let start = crate::source::offset(error.at);
            self.problems.fail(Problem::error(error.message).at(Span {
                source,
                start,
                end: start.saturating_add(1),
            }))
        })
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
    pub(super) fn finish(self) -> (Diagnostics, Vec<Diagnostic>, Vec<PathBuf>) {
        let (errors, warnings) = self.problems.render(&self.sources);
        (errors, warnings, self.read.into_iter().collect())
    }
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
