//! Problems while they are gathered: with spans, before they are rendered.

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
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    all: Vec<Problem>,
    errors: usize,
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

    fn render(self, sources: &Sources) -> Diagnostic {
        let place = self.at.and_then(|at| sources.place(at));
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
            notes: self.notes,
            help: self.help,
        }
    }
}

impl Problems {
    /// Adds a problem; the same one at the same place is kept once.
    pub(crate) fn push(&mut self, problem: Problem) {
        let known = |old: &&Problem| old.at == problem.at && old.message == problem.message;
        if self.all.iter().rev().take(64).any(|old| known(&old)) {
            return;
        }
        self.errors += usize::from(problem.severity == Severity::Error);
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

    /// Ends a stage that found errors since `before` of them were known.
    pub(crate) fn check(&self, before: usize) -> Result<(), Reported> {
        if self.errors > before { Err(Reported) } else { Ok(()) }
    }

    /// Everything found, errors first, in the order of the files.
    pub(crate) fn render(self, sources: &Sources) -> (Diagnostics, Vec<Diagnostic>) {
        let mut all = self.all;
        all.sort_by_key(|problem| problem.at.map_or((u32::MAX, u32::MAX), |at| (at.source, at.start)));
        let (errors, warnings): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|problem| problem.severity == Severity::Error);
        let render = |problems: Vec<Problem>| problems.into_iter().map(|problem| problem.render(sources)).collect();
        (Diagnostics::new(render(errors)), render(warnings))
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
