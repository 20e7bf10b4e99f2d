//! A document as YAML, the way Compose writes it.

use super::document::Document;

impl Document {
    /// In block style, two spaces for each step.
    pub(crate) fn to_yaml(&self) -> String {
        let mut out = String::new();
        match self {
            Document::Map(entries) if !entries.is_empty() => mapping(&mut out, entries, 0, false),
            Document::List(list) if !list.is_empty() => sequence(&mut out, list, 0),
            other => {
                scalar(&mut out, other, 0);
                out.push('\n');
            }
        }
        out
    }
}

type Entry = (std::borrow::Cow<'static, str>, Document);

/// `inline`: the first key stands on a line that has begun already.
fn mapping(out: &mut String, entries: &[Entry], depth: usize, inline: bool) {
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 || !inline {
            indent(out, depth);
        }
        text(out, key, depth, true);
        out.push(':');
        value_after(out, value, depth);
    }
}

fn sequence(out: &mut String, list: &[Document], depth: usize) {
    for item in list {
        indent(out, depth);
        out.push('-');
        match item {
            Document::Map(entries) if !entries.is_empty() => {
                out.push(' ');
                mapping(out, entries, depth + 1, true);
            }
            Document::List(inner) if !inner.is_empty() => {
                out.push(' ');
                let mut nested = String::new();
                sequence(&mut nested, inner, depth + 1);
                out.push_str(nested.trim_start_matches(' '));
            }
            other => {
                out.push(' ');
                scalar(out, other, depth);
                out.push('\n');
            }
        }
    }
}

fn value_after(out: &mut String, value: &Document, depth: usize) {
    match value {
        Document::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            mapping(out, entries, depth + 1, false);
        }
        Document::List(list) if !list.is_empty() => {
            out.push('\n');
            sequence(out, list, depth + 1);
        }
        other => {
            out.push(' ');
            scalar(out, other, depth);
            out.push('\n');
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn scalar(out: &mut String, value: &Document, depth: usize) {
    match value {
        Document::Null => out.push_str("null"),
        Document::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Document::Int(value) => out.push_str(&value.to_string()),
        Document::Uint(value) => out.push_str(&value.to_string()),
        Document::Float(value) => out.push_str(&number(super::go_float(*value))),
        Document::Single(value) => out.push_str(&number(super::go_single(*value))),
        Document::Text(value) => text(out, value, depth, false),
        Document::Time(value) => out.push_str(value),
        Document::List(_) => out.push_str("[]"),
        Document::Map(_) => out.push_str("{}"),
    }
}

fn number(text: String) -> String {
    match text.as_str() {
        "+Inf" => ".inf".to_owned(),
        "-Inf" => "-.inf".to_owned(),
        "NaN" => ".nan".to_owned(),
        _ => text,
    }
}

/// A text: plain where that means the same, in quotes or as a block otherwise.
fn text(out: &mut String, value: &str, depth: usize, key: bool) {
    let breaks = value.contains(['\n', '\u{85}', '\u{2028}', '\u{2029}']);
    let odd_break = value.contains(" \n") || value.trim_matches('\n').is_empty();
    let style = if !is_printable(value) {
        Style::Double
    } else if breaks {
        match (value.contains('\n'), key || odd_break || value.ends_with(' ')) {
            (true, true) => Style::Double,
            (true, false) => return literal(out, value, depth),
            (false, _) => Style::Single,
        }
    } else if is_old_word(value) || is_base_60(value) {
        Style::Single
    } else if crate::yaml::is_other_than_text(value) {
        Style::Double
    } else if needs_quotes(value) {
        Style::Single
    } else {
        Style::Plain
    };
    folded(out, value, style, if key { None } else { Some(depth + 1) });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
}

/// The column after which a line is broken at the next space.
const WIDTH: usize = 80;

/// Writes a text in one style; with an indent, long lines are broken at spaces.
fn folded(out: &mut String, value: &str, style: Style, indentation: Option<usize>) {
    let quote = match style {
        Style::Plain => "",
        Style::Single => "'",
        Style::Double => "\"",
    };
    out.push_str(quote);
    let begin = out.rfind('\n').map_or(0, |at| at + 1);
    let mut column = out[begin..].chars().count();
    let mut after_space = false;
    let mut characters = value.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        if character == ' ' {
            let inside = style == Style::Plain || (at > 0 && next.is_some());
            let keeps = style != Style::Double && next == Some(' ');
            match indentation {
                Some(depth) if !after_space && column > WIDTH && inside && !keeps => {
                    out.push('\n');
                    indent(out, depth);
                    column = depth * 2;
                    if style == Style::Double && next == Some(' ') {
                        out.push('\\');
                        column += 1;
                    }
                }
                _ => {
                    out.push(' ');
                    column += 1;
                }
            }
            after_space = true;
            continue;
        }
        after_space = false;
        let length = out.len();
        match style {
            Style::Plain => out.push(character),
            Style::Single if character == '\'' => out.push_str("''"),
            Style::Single => out.push(character),
            Style::Double => escaped(out, character),
        }
        column += out[length..].chars().count();
    }
    out.push_str(quote);
}

fn is_printable(value: &str) -> bool {
    value.chars().all(|c| matches!(c, '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}'))
}

/// Whether the text was a boolean in YAML 1.1.
fn is_old_word(value: &str) -> bool {
    let old = [
        "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF",
    ];
    old.contains(&value)
}

fn is_base_60(value: &str) -> bool {
    let body = value.strip_prefix(['+', '-']).unwrap_or(value);
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    first.starts_with(|c: char| c.is_ascii_digit())
        && digits(first)
        && !rest.is_empty()
        && rest
            .iter()
            .all(|part| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']))
        && digits(fraction)
}

/// Whether a plain text would be read as something else than a text in one line.
fn needs_quotes(value: &str) -> bool {
    let bytes = value.as_bytes();
    let Some((first, last)) = bytes.first().zip(bytes.last()) else {
        return true;
    };
    let blank_next = bytes.get(1).is_none_or(|next| *next == b' ');
    matches!(
        first,
        b'#' | b','
            | b'['
            | b']'
            | b'{'
            | b'}'
            | b'&'
            | b'*'
            | b'!'
            | b'|'
            | b'>'
            | b'\''
            | b'"'
            | b'%'
            | b'@'
            | b'`'
            | b' '
    ) || (matches!(first, b'-' | b'?' | b':') && blank_next)
        || *last == b' '
        || *last == b':'
        || value.contains(": ")
        || value.contains(" #")
        || value.starts_with("---")
        || value.starts_with("...")
        || value == "<<"
}

fn literal(out: &mut String, value: &str, depth: usize) {
    let chomp = match (value.ends_with('\n'), value.ends_with("\n\n") || value == "\n") {
        (false, _) => "-",
        (true, false) => "",
        (true, true) => "+",
    };
    let lead = value.starts_with(' ');
    out.push('|');
    if lead {
        out.push('2');
    }
    out.push_str(chomp);
    let body = if chomp == "+" {
        value.strip_suffix('\n').unwrap_or(value)
    } else {
        value.trim_end_matches('\n')
    };
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(out, depth + 1);
            out.push_str(line);
        }
    }
}

/// A character within double quotes.
fn escaped(out: &mut String, character: char) {
    use std::fmt::Write;
    let short = match character {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\0' => "\\0",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{b}' => "\\v",
        '\u{c}' => "\\f",
        '\u{1b}' => "\\e",
        '\u{85}' => "\\N",
        '\u{2028}' => "\\L",
        '\u{2029}' => "\\P",
        _ => "",
    };
    let code = u32::from(character);
    let _ = match code {
        _ if !short.is_empty() => write!(out, "{short}"),
        0..0x20 | 0x7f..0xa0 => write!(out, "\\x{code:02X}"),
        0xfeff | 0xfffe | 0xffff => write!(out, "\\u{code:04X}"),
        0x1_0000.. => write!(out, "\\U{code:08X}"),
        _ => write!(out, "{character}"),
    };
}
