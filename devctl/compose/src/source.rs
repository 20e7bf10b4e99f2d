//! The texts that were read, and where in them an offset is.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use crate::tree::Span;

/// Every file that was read, in order.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    files: Vec<Source>,
}

/// A file's text.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    text: String,
    /// Where each line begins: found when a place is shown, which is seldom, as most files are sound.
    lines: OnceCell<Vec<usize>>,
    /// Where it is asked for.
    asked: Option<Span>,
}

/// A place as a person finds it: line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// The line itself, without its end.
    pub(crate) text: String,
    /// How many characters of the line the caret marks, at least 1.
    pub(crate) width: u32,
}

impl Sources {
    /// Adds a file and returns its number, which spans carry.
    pub(crate) fn add(&mut self, path: &Path, text: String, asked: Option<Span>) -> u32 {
        self.files.push(Source {
            path: path.to_owned(),
            text,
            lines: OnceCell::new(),
            asked,
        });
        offset(self.files.len() - 1)
    }

    pub(crate) fn text(&self, source: u32) -> &str {
        self.files.get(source as usize).map_or("", |file| &file.text)
    }

    /// The text of a span.
    pub(crate) fn slice(&self, span: Span) -> &str {
        let text = self.text(span.source);
        text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// How a file came to be read: where it is named, and where that file is, up to one that was asked for.
    pub(crate) fn way(&self, source: u32) -> Vec<String> {
        const LONGEST: usize = 8;
        let mut way = Vec::new();
        let mut source = source;
        while let Some(file) = self.files.get(source as usize).filter(|_| way.len() < LONGEST) {
            let Some(place) = file.asked.and_then(|at| self.place(at)) else {
                break;
            };
            let (name, from) = (file.path.display(), place.path.display());
            way.push(format!("`{name}` is named in {from}:{}:{}", place.line, place.column));
            source = file.asked.map_or(u32::MAX, |at| at.source);
        }
        way
    }

    /// Where a span stands; `None` for the span of something that no file says.
    pub(crate) fn place(&self, span: Span) -> Option<Place> {
        let file = self.files.get(span.source as usize)?;
        let length = file.text.len();
        let start = floor(&file.text, (span.start as usize).min(length));
        let lines = file.lines.get_or_init(|| {
            let ends = file.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect()
        });
        let index = lines.partition_point(|begin| *begin <= start).saturating_sub(1);
        let begin = lines.get(index).copied().unwrap_or_default();
        let rest = &file.text[begin..];
        let line = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let end = floor(
            &file.text,
            (span.end as usize).clamp(start, begin.max(start).max(begin + line.len())),
        );
        let column = file.text[begin..start].chars().count();
        let width = file.text[start..end].chars().count().max(1);
        Some(Place {
            path: file.path.clone(),
            line: offset(index + 1),
            column: offset(column + 1),
            text: line.to_owned(),
            width: offset(width),
        })
    }
}

/// Offsets are kept in 32 bits: files are bounded far below that.
pub(crate) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The character boundary at or before `at`.
fn floor(text: &str, mut at: usize) -> usize {
    while at > 0 && !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_found_with_its_line() {
        let mut sources = Sources::default();
        let source = sources.add(Path::new("compose.yaml"), "a: 1\nbé: [x]\r\n".to_owned(), None);
        let place = sources
            .place(Span {
                source,
                start: 10,
                end: 11,
            })
            .unwrap();
        assert_eq!((place.line, place.column, place.width), (2, 5, 1));
        assert_eq!(place.text, "bé: [x]");
    }

    #[test]
    fn a_span_over_several_lines_marks_the_first() {
        let mut sources = Sources::default();
        let source = sources.add(Path::new("f"), "ab\ncd\n".to_owned(), None);
        let place = sources
            .place(Span {
                source,
                start: 1,
                end: 5,
            })
            .unwrap();
        assert_eq!((place.line, place.column, place.width), (1, 2, 1));
    }
}
