//! Problems while they are gathered: with spans, before they are rendered.

use std::collections::{BTreeMap, HashSet};

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::source::Sources;
use crate::tree::Span;

/// A problem and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    severity: Severity,
    message: String,
    at: Option<Span>,
    notes: Vec<String>,
    help: Option<String>,
    /// What may excuse it: another problem that it follows from.
    excuse: Option<Box<Excuse>>,
}

/// What a problem may follow from. Whether it does is known once everything is.
#[derive(Debug, Clone)]
enum Excuse {
    /// One of these keys is not in the mapping at this path: it may be there, misspelt.
    Lack(String, Vec<&'static str>),
    /// This name is not in this section: the section, or the name's place, may be what is wrong.
    Undefined(&'static str, String),
}

/// A key that is not known, and the known one that was probably meant.
#[derive(Debug)]
struct Misspelt {
    path: String,
    key: String,
    at: Span,
    meant: Option<String>,
}

/// The problems found so far, over all stages: a stage goes on where the one before it found errors, so that everything is
/// told at once. What only follows from another problem is left out.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    all: Vec<Problem>,
    errors: usize,
    stage: u32,
    /// What was said of a place, without the path that led there: what an anchor holds is reached on several.
    said: HashSet<(Option<Span>, String)>,
    /// The values that are wrong, and since which stage: what a later one finds within them follows from that.
    wrong: BTreeMap<(u32, u32), (u32, u32)>,
    misspelt: Vec<Misspelt>,
    /// The mappings of which a part could not be found.
    doubtful: HashSet<String>,
    /// A file, or a part of one, could not be read: whatever seems to be missing may be there.
    incomplete: bool,
    unincluded: bool,
    variables_incomplete: bool,
}

/// The problems that ended a stage were pushed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reported;

impl Problem {
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            at: None,
            notes: Vec::new(),
            help: None,
            excuse: None,
        }
    }

    pub(crate) fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    pub(crate) fn at(mut self, at: Span) -> Self {
        self.at = Some(at);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// It says that the mapping at `path` has none of `keys`.
    pub(crate) fn lacks(mut self, path: &str, keys: impl IntoIterator<Item = &'static str>) -> Self {
        self.excuse = Some(Box::new(Excuse::Lack(path.to_owned(), keys.into_iter().collect())));
        self
    }

    /// It says that `section` has no `name`.
    pub(crate) fn undefined(mut self, section: &'static str, name: &str) -> Self {
        self.excuse = Some(Box::new(Excuse::Undefined(section, name.to_owned())));
        self
    }

    fn render(self, sources: &Sources, variables: &dyn Fn(&str) -> Vec<String>) -> Diagnostic {
        let place = self.at.and_then(|at| sources.place(at));
        let mut notes = self.notes;
        if let Some(at) = self.at {
            notes.extend(variables(sources.slice(at)));
            notes.extend(sources.way(at.source));
        }
        let (path, line, column, source_line, width) = match place {
            Some(place) => (Some(place.path), place.line, place.column, place.text, place.width),
            None => (None, 0, 0, String::new(), 0),
        };
        Diagnostic {
            severity: self.severity,
            message: self.message,
            path,
            line,
            column,
            source_line,
            width,
            notes,
            help: self.help,
        }
    }
}

impl Problems {
    /// Begins another stage.
    pub(crate) fn begin(&mut self) {
        self.stage += 1;
    }

    /// Adds a problem, unless it was told already or stems from a value that an earlier stage found wrong.
    pub(crate) fn push(&mut self, problem: Problem) {
        let known = (problem.at, without_path(&problem.message).to_owned());
        if !self.said.insert(known) {
            return;
        }
        if problem.severity == Severity::Error {
            if problem.at.is_some_and(|at| self.is_wrong_before(at, self.stage)) {
                return;
            }
            self.errors += 1;
            if let (Some(at), None) = (problem.at, &problem.excuse) {
                self.wrong(at);
            }
        }
        self.all.push(problem);
    }

    /// Adds an error and gives what ends a stage.
    pub(crate) fn fail(&mut self, problem: Problem) -> Reported {
        self.push(problem);
        Reported
    }

    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    pub(crate) fn any(&self) -> bool {
        self.errors > 0
    }

    /// A value is wrong, for a reason that was told: nothing more is said of it.
    pub(crate) fn wrong(&mut self, at: Span) {
        let stage = self.stage;
        let known = self.wrong.entry((at.source, at.start)).or_insert((at.end, stage));
        known.0 = known.0.max(at.end);
    }

    /// A key is not known; `meant` is the one that it resembles.
    pub(crate) fn misspelt(&mut self, path: &str, key: &str, at: Span, meant: Option<&str>) {
        self.misspelt.push(Misspelt {
            path: path.to_owned(),
            key: key.to_owned(),
            at,
            meant: meant.map(str::to_owned),
        });
    }

    /// A part of the mapping at `path` could not be found.
    pub(crate) fn doubt(&mut self, path: String) {
        self.doubtful.insert(path);
    }

    /// A file, or a part of one, could not be read.
    pub(crate) fn incomplete(&mut self) {
        self.incomplete = true;
    }

    /// A file that is included could not be read.
    pub(crate) fn unincluded(&mut self) {
        self.unincluded = true;
    }

    /// An environment file could not be read.
    pub(crate) fn variables_incomplete(&mut self) {
        self.variables_incomplete = true;
    }

    /// Whether a variable that is not set may have been in a file that could not be read.
    pub(crate) fn may_lack_variables(&self) -> bool {
        self.variables_incomplete
    }

    /// Whether something was found wrong within a value.
    pub(crate) fn any_within(&self, at: Span) -> bool {
        let range = (at.source, at.start)..(at.source, at.end.max(at.start + 1));
        self.wrong.range(range).next().is_some()
    }

    /// Whether a value, or what it stands in, was found wrong.
    pub(crate) fn is_wrong(&self, at: Span) -> bool {
        self.is_wrong_before(at, u32::MAX)
    }

    fn is_wrong_before(&self, at: Span, stage: u32) -> bool {
        // Values nest or stand apart: whatever holds this one begins shortly before it, or with it.
        const NEAR: usize = 256;
        let before = self.wrong.range((at.source, 0)..=(at.source, at.start)).rev();
        before
            .take(NEAR)
            .any(|(_, (end, since))| *end >= at.end && *since < stage)
    }

    fn follows(&self, problem: &Problem) -> bool {
        match problem.excuse.as_deref() {
            None => false,
            Some(Excuse::Lack(..)) if self.incomplete => true,
            // What resembles a name that is there was misspelt, whatever else there may be.
            Some(Excuse::Undefined(..)) if (self.incomplete || self.unincluded) && problem.help.is_none() => true,
            Some(Excuse::Lack(path, keys)) => {
                let inside = |misspelt: &Misspelt| {
                    misspelt.path == *path
                        || problem.at.is_some_and(|at| {
                            at.source == misspelt.at.source
                                && at.start <= misspelt.at.start
                                && misspelt.at.end <= at.end
                        })
                };
                let meant = |misspelt: &Misspelt| misspelt.meant.as_deref().is_some_and(|meant| keys.contains(&meant));
                self.doubtful.contains(path) || self.misspelt.iter().any(|key| meant(key) && inside(key))
            }
            Some(Excuse::Undefined(section, name)) => {
                let at_top = |key: &Misspelt| key.path.is_empty();
                let excuses = |key: &Misspelt| key.meant.as_deref() == Some(*section) || key.key == *name;
                self.doubtful.contains(*section) || self.misspelt.iter().any(|key| at_top(key) && excuses(key))
            }
        }
    }

    /// Everything found, in the order of the files: errors and warnings. `variables` tells about those that a text names.
    pub(crate) fn render(
        mut self,
        sources: &Sources,
        variables: &dyn Fn(&str) -> Vec<String>,
    ) -> (Diagnostics, Vec<Diagnostic>) {
        let all = std::mem::take(&mut self.all);
        let (follow, mut all): (Vec<_>, Vec<_>) = all.into_iter().partition(|problem| self.follows(problem));
        if !all.iter().any(|problem| problem.severity == Severity::Error) {
            all.extend(follow);
        }
        all.sort_by_key(|problem| problem.at.map_or((u32::MAX, u32::MAX), |at| (at.source, at.start)));
        let (errors, warnings): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|problem| problem.severity == Severity::Error);
        let render = |problems: Vec<Problem>| {
            let rendered = problems.into_iter();
            rendered.map(|problem| problem.render(sources, variables)).collect()
        };
        (Diagnostics::new(render(errors)), render(warnings))
    }
}

/// A message without the path that it begins with.
fn without_path(message: &str) -> &str {
    let path = message.strip_prefix('`').and_then(|rest| rest.split_once('`'));
    match path {
        Some((path, rest)) if path.contains('.') => rest,
        _ => message,
    }
}

/// The known word that was probably meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let close = |candidate: &&str| {
        strsim::jaro_winkler(word, candidate) > 0.8 || strsim::damerau_levenshtein(word, candidate) < 2
    };
    let score = |candidate: &str| (strsim::jaro_winkler(word, candidate) * 1000.0) as u32;
    known.into_iter().filter(close).max_by_key(|candidate| score(candidate))
}

/// The help that suggests the known word that was probably meant.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, known).map(|word| format!("did you mean `{word}`?"))
}
