//! The texts that were read, and where in them an offset is.

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
    lines: Vec<u32>,
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
    pub(crate) fn add(&mut self, path: &Path, text: String) -> u32 {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(at, _)| offset(at + 1))).collect();
        self.files.push(Source {
            path: path.to_owned(),
            text,
            lines,
        });
        offset(self.files.len() - 1)
    }

    pub(crate) fn text(&self, source: u32) -> &str {
        self.files.get(source as usize).map_or("", |file| &file.text)
    }

    /// Where a span stands; `None` for the span of something that no file says.
    pub(crate) fn place(&self, span: Span) -> Option<Place> {
        let file = self.files.get(span.source as usize)?;
        let length = file.text.len();
        let start = floor(&file.text, (span.start as usize).min(length));
        let index = file
            .lines
            .partition_point(|begin| *begin as usize <= start)
            .saturating_sub(1);
        let begin = file.lines.get(index).copied().unwrap_or_default() as usize;
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
        let source = sources.add(Path::new("compose.yaml"), "a: 1\nbé: [x]\r\n".to_owned());
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
        let source = sources.add(Path::new("f"), "ab\ncd\n".to_owned());
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
