//! Text in columns: how wide it is, cut to fit, made safe to print.

use unicode_width::UnicodeWidthChar;

/// Columns that `text` takes. Escapes for colour take none.
pub(crate) fn width(text: &str) -> usize {
    pieces(text).map(|piece| piece.columns()).sum()
}

/// `text` in at most `columns`, with an ellipsis where it was cut. Colours are closed.
pub(crate) fn truncate(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 0;
    let mut colored = false;
    for piece in pieces(text) {
        match piece {
            Piece::Color(code) => {
                colored = true;
                cut.push_str(code);
            }
            Piece::Control => {}
            Piece::Char(ch) => {
                let columns_of = ch.width().unwrap_or(0);
                if used + columns_of + 1 > columns {
                    break;
                }
                used += columns_of;
                cut.push(ch);
            }
        }
    }
    if columns > 0 {
        cut.push('…');
    }
    if colored {
        cut.push_str("\x1b[0m");
    }
    cut
}

/// A line that a service printed, safe beside our own: of its escapes only colours are left (none with `colors` off), of a line
/// that was overwritten with carriage returns only the last state, and no other control character but the tab.
pub(crate) fn sanitize(line: &str, colors: bool) -> String {
    let line = line.trim_end_matches('\r');
    let last = line.rsplit('\r').find(|part| !part.is_empty()).unwrap_or_default();
    let mut clean = String::with_capacity(last.len());
    let mut colored = false;
    for piece in pieces(last) {
        match piece {
            Piece::Color(code) if colors => {
                colored = !matches!(code, "\x1b[0m" | "\x1b[m");
                clean.push_str(code);
            }
            Piece::Color(_) | Piece::Control => {}
            Piece::Char(ch) if ch == '\t' || !ch.is_control() => clean.push(ch),
            Piece::Char(_) => {}
        }
    }
    if colored {
        clean.push_str("\x1b[0m");
    }
    clean
}

/// Milliseconds as seconds with one decimal: `0.7 s`; as minutes beyond two: `2 min 5 s`.
pub(crate) fn seconds(ms: u64) -> String {
    if ms >= 120_000 {
        let whole = ms / 1000;
        return format!("{} min {} s", whole / 60, whole % 60);
    }
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

/// A part of a text.
enum Piece<'a> {
    /// `ESC [ ... m`.
    Color(&'a str),
    /// Any other escape sequence.
    Control,
    /// A character.
    Char(char),
}

impl Piece<'_> {
    fn columns(&self) -> usize {
        match self {
            Piece::Char(ch) => ch.width().unwrap_or(0),
            Piece::Color(_) | Piece::Control => 0,
        }
    }
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let ch = rest.chars().next()?;
        if ch != '\x1b' {
            rest = &rest[ch.len_utf8()..];
            return Some(Piece::Char(ch));
        }
        let end = escape_length(rest);
        let (escape, after) = rest.split_at(end);
        rest = after;
        Some(if escape.starts_with("\x1b[") && escape.ends_with('m') {
            Piece::Color(escape)
        } else {
            Piece::Control
        })
    })
}

/// Bytes of the escape sequence that `text` begins with: CSI, OSC (and the other strings), or an escape and one more character.
fn escape_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        None => text.len(),
        Some((_, '[')) => chars
            .find(|(_, ch)| ('@'..='~').contains(ch))
            .map_or(text.len(), |(at, ch)| at + ch.len_utf8()),
        Some((_, ']' | 'P' | 'X' | '^' | '_')) => {
            let body = &text[2..];
            let bell = body.find('\x07').map(|at| at + 3);
            let terminator = body.find("\x1b\\").map(|at| at + 4);
            [bell, terminator].into_iter().flatten().min().unwrap_or(text.len())
        }
        Some((at, ch)) => at + ch.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_take_no_columns_and_wide_characters_take_two() {
        assert_eq!(width("\x1b[1;31mred\x1b[0m"), 3);
        assert_eq!(width("日本"), 4);
    }

    #[test]
    fn cut_text_fits_and_closes_its_colours() {
        assert_eq!(truncate("billing", 7), "billing");
        assert_eq!(truncate("billing", 6), "billi…");
        assert_eq!(truncate("\x1b[32mbilling\x1b[0m", 4), "\x1b[32mbil…\x1b[0m");
        assert_eq!(truncate("日本語", 4), "日…");
        assert_eq!(truncate("x", 0), "");
    }

    #[test]
    fn a_services_escapes_cannot_move_our_cursor() {
        assert_eq!(
            sanitize("\x1b[2J\x1b[31mred\x1b[0m\x1b]0;title\x07 plain\x1b[3A", true),
            "\x1b[31mred\x1b[0m plain"
        );
        assert_eq!(sanitize("\x1b[31mred", true), "\x1b[31mred\x1b[0m");
        assert_eq!(sanitize("\x1b[31mred\x1b[0m", false), "red");
        assert_eq!(sanitize("10 %\r55 %\r100 %\r", false), "100 %");
        assert_eq!(sanitize("a\tb\x07\x00c", false), "a\tbc");
        assert_eq!(sanitize("\x1b]8;;http://x\x1b\\link", false), "link");
        assert_eq!(sanitize("cut \x1b[3", false), "cut ");
        assert_eq!(sanitize("cut \x1b", false), "cut ");
    }

    #[test]
    fn time_is_said_in_the_unit_that_fits() {
        assert_eq!(seconds(712), "0.7 s");
        assert_eq!(seconds(61_000), "61.0 s");
        assert_eq!(seconds(125_000), "2 min 5 s");
    }
}
