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
    if value.contains('\n') && !key && is_printable(value) {
        return literal(out, value, depth);
    }
    if !is_printable(value) || value.contains('\n') {
        return double_quoted(out, value);
    }
    if looks_otherwise(value) {
        // What YAML would read as another kind of value.
        return double_quoted(out, value);
    }
    if needs_quotes(value) {
        out.push('\'');
        out.push_str(&value.replace('\'', "''"));
        out.push('\'');
    } else {
        out.push_str(value);
    }
}

fn is_printable(value: &str) -> bool {
    value.chars().all(|c| matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..))
}

/// Whether the text, without quotes, would be a number, a boolean, nothing or a time, now or in YAML 1.1.
fn looks_otherwise(value: &str) -> bool {
    if crate::yaml::is_other_than_text(value) {
        return true;
    }
    let old = [
        "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF",
    ];
    old.contains(&value) || is_base_60(value)
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
        || value == "="
        || value == "<<"
}

fn literal(out: &mut String, value: &str, depth: usize) {
    let chomp = match (value.ends_with('\n'), value.ends_with("\n\n") || value == "\n") {
        (false, _) => "-",
        (true, false) => "",
        (true, true) => "+",
    };
    let lead = value.starts_with([' ', '\n']);
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

fn double_quoted(out: &mut String, value: &str) {
    use std::fmt::Write;
    out.push('"');
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            '\u{feff}' => out.push_str("\\uFEFF"),
            other if (other as u32) < 0x20 || ('\u{7f}'..'\u{a0}').contains(&other) => {
                let _ = write!(out, "\\x{:02X}", other as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
