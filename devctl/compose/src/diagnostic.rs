//! Problems as a caller gets them: with file, line and column, and a rendering for people.

use std::fmt;
use std::path::PathBuf;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The files cannot be used.
    Error,
    /// The files can be used, but something is probably not as meant.
    Warning,
}

/// One problem.
///
/// Displayed, it is whole: message, place, the line itself with a caret, notes and help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, without a full stop.
    pub message: String,
    /// The file; `None` where the problem is in no file, such as a flag.
    pub path: Option<PathBuf>,
    /// Line, counted from 1; 0 without a file.
    pub line: u32,
    /// Column in characters, counted from 1; 0 without a file.
    pub column: u32,
    /// The line itself.
    pub source_line: String,
    /// How many characters are meant, from `column` on.
    pub width: u32,
    /// More about it: the chain that led here.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Option<String>,
}

/// All errors of a load.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnostics {
    all: Vec<Diagnostic>,
    /// Warnings that were found on the way.
    pub warnings: Vec<Diagnostic>,
}

impl Diagnostics {
    pub(crate) fn new(all: Vec<Diagnostic>) -> Self {
        Self {
            all,
            warnings: Vec::new(),
        }
    }

    pub(crate) fn with_warnings(self, warnings: Vec<Diagnostic>) -> Self {
        Self { warnings, ..self }
    }

    /// The errors, in the order of the files.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.all.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.severity, self.message)?;
        if let Some(path) = &self.path {
            let number = self.line.to_string();
            let gutter = " ".repeat(number.len());
            let (line, column) = window(&self.source_line, self.column.saturating_sub(1) as usize);
            let before = " ".repeat(column);
            let caret =
                "^".repeat((self.width.max(1) as usize).min(line.chars().count().saturating_sub(column).max(1)));
            write!(out, "\n{gutter}--> {}:{}:{}", path.display(), self.line, self.column)?;
            write!(out, "\n{gutter} |\n{number} | {line}\n{gutter} | {before}{caret}")?;
        }
        for note in &self.notes {
            write!(out, "\nnote: {note}")?;
        }
        if let Some(help) = &self.help {
            write!(out, "\nhelp: {help}")?;
        }
        Ok(())
    }
}

/// The part of a long line around a column, and the column within it. A tab is as wide as a space here, so that the
/// caret stands under what it means.
fn window(line: &str, column: usize) -> (String, usize) {
    const BEFORE: usize = 80;
    const WIDTH: usize = 160;
    let line = line.replace('\t', " ");
    let length = line.chars().count();
    if length <= WIDTH {
        return (line, column);
    }
    let skip = column.saturating_sub(BEFORE);
    let (head, tail) = (
        if skip > 0 { "…" } else { "" },
        if skip + WIDTH < length { "…" } else { "" },
    );
    let part: String = line.chars().skip(skip).take(WIDTH).collect();
    (format!("{head}{part}{tail}"), column - skip + head.chars().count())
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.all.iter().enumerate() {
            if index > 0 {
                out.write_str("\n\n")?;
            }
            diagnostic.fmt(out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}
impl std::error::Error for Diagnostics {}
