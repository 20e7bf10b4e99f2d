//! The dialect of `.env` files that Compose reads.
//!
//! `KEY=value`, `KEY: value`, `export KEY=value`; `KEY` alone takes the value from outside. A value without quotes ends
//! with the line or before ` #`, and knows variables; one in double quotes may go over lines, and knows escapes and
//! variables; one in single quotes is taken as it stands.

use indexmap::IndexMap;

use crate::interpolate::template::{self, Lookup, TemplateError};

/// Where a line of an environment file went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DotenvError {
    /// Byte offset.
    pub(crate) at: usize,
    pub(crate) message: String,
}

/// Variables in the order in which they were first given.
pub(crate) type Variables = IndexMap<String, String>;

/// Adds the variables of a file to `out`. A variable within a value is taken from `lookup`, else from what came before.
pub(crate) fn parse(text: &str, out: &mut Variables, lookup: &dyn Lookup) -> Result<(), DotenvError> {
    let mut parser = Parser {
        text,
        at: if text.starts_with('\u{feff}') { 3 } else { 0 },
    };
    while parser.skip_to_statement() {
        let (key, begin, inherited) = parser.key()?;
        if key.contains(' ') {
            return Err(DotenvError {
                at: begin,
                message: format!("the name `{key}` has a space in it"),
            });
        }
        if inherited {
            if let Some(value) = lookup.get(&key) {
                out.insert(key, value);
            }
        } else {
            let value = parser.value(out, lookup)?;
            out.insert(key, value);
        }
    }
    Ok(())
}

/// The variables of a text in the dialect of `env_file`. One that it names without a value, or uses in another's, is `environment`'s.
///
/// # Errors
/// The line, and what is wrong in it.
pub fn parse_env_file(text: &str, environment: &IndexMap<String, String>) -> Result<IndexMap<String, String>, String> {
    struct Outside<'a>(&'a IndexMap<String, String>);
    impl Lookup for Outside<'_> {
        fn get(&self, name: &str) -> Option<String> {
            self.0.get(name).cloned()
        }
    }
    let mut found = Variables::new();
    parse(text, &mut found, &Outside(environment)).map_err(|error| {
        let line = text.get(..error.at).unwrap_or(text).matches('\n').count() + 1;
        format!("line {line}: {}", error.message)
    })?;
    Ok(found)
}

/// As [`parse`], with values as they stand: no quotes, escapes and variables.
pub(crate) fn parse_raw(text: &str, out: &mut Variables, lookup: &dyn Lookup) -> Result<(), DotenvError> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let begin = at;
        at += line.len();
        let line = line.trim_end_matches(['\n', '\r']);
        let line = if begin == 0 {
            line.strip_prefix('\u{feff}').unwrap_or(line)
        } else {
            line
        };
        let body = line.trim_start();
        if body.is_empty() || body.starts_with('#') {
            continue;
        }
        let (key, value) = match body.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (body, lookup.get(body)),
        };
        if key.is_empty() || key.contains([' ', '\t']) {
            return Err(DotenvError {
                at: begin,
                message: format!("`{key}` is no variable's name"),
            });
        }
        if let Some(value) = value {
            out.insert(key.to_owned(), value);
        }
    }
    Ok(())
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

/// First outside, then what the file itself said.
struct Expansion<'a> {
    outside: &'a dyn Lookup,
    known: &'a Variables,
}

impl Lookup for Expansion<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.outside.get(name).or_else(|| self.known.get(name).cloned())
    }

    fn unset(&self, name: &str) {
        self.outside.unset(name);
    }
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Skips white space and comments; `false` at the end.
    fn skip_to_statement(&mut self) -> bool {
        loop {
            let rest = self.rest().trim_start_matches(char::is_whitespace);
            self.at = self.text.len() - rest.len();
            if !rest.starts_with('#') {
                return !rest.is_empty();
            }
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
    }

    /// The name, where it begins, and whether it has no value of its own.
    fn key(&mut self) -> Result<(String, usize, bool), DotenvError> {
        if let Some(rest) = self
            .rest()
            .strip_prefix("export")
            .filter(|rest| rest.starts_with(['\t', '\n', '\u{c}', '\r', ' ']))
        {
            self.at = self.text.len() - rest.trim_start_matches(is_blank).len();
        }
        let source = self.rest();
        let begin = self.at;
        let mut end = (0, 0, false);
        for (index, character) in source.char_indices() {
            match character {
                _ if is_blank(character) => {}
                '=' | ':' | '\n' => {
                    end = (index, index + 1, character == '\n');
                    break;
                }
                '_' | '.' | '-' | '[' | ']' => {}
                _ if character.is_alphabetic() || character.is_numeric() => {}
                _ => {
                    let line = source.split('\n').next().unwrap_or_default();
                    let message = format!("`{character}` cannot be part of a variable's name, in `{line}`");
                    return Err(DotenvError {
                        at: begin + index,
                        message,
                    });
                }
            }
        }
        if source.is_empty() {
            return Err(DotenvError {
                at: begin,
                message: "there is no name after `export`".to_owned(),
            });
        }
        let (length, skip, inherited) = end;
        self.at = self.text.len() - source[skip..].trim_start_matches(is_blank).len();
        Ok((source[..length].trim_end().to_owned(), begin, inherited))
    }

    fn value(&mut self, known: &Variables, lookup: &dyn Lookup) -> Result<String, DotenvError> {
        let source = self.rest();
        let begin = self.at;
        let expand = |text: &str| template::substitute(text, &Expansion { outside: lookup, known });
        let wrong = |error: &TemplateError| DotenvError {
            at: begin,
            message: error.to_string(),
        };
        let quote = match source.chars().next() {
            Some(quote @ ('"' | '\'')) => quote,
            _ => {
                let line = source.split('\n').next().unwrap_or_default();
                self.at += (line.len() + 1).min(source.len());
                let value = line.split(" #").next().unwrap_or_default().trim_end();
                return expand(value).map_err(|error| wrong(&error));
            }
        };
        let mut value = String::new();
        let mut escaped = false;
        for (index, character) in source.char_indices().skip(1) {
            if character == quote {
                if escaped {
                    escaped = false;
                    value.push(character);
                    continue;
                }
                self.at += index + 1;
                if quote == '"' {
                    return expand(&escapes(&value)).map_err(|error| wrong(&error));
                }
                return Ok(value);
            }
            if !escaped && character == '\\' {
                escaped = true;
                continue;
            }
            if escaped {
                escaped = false;
                value.push('\\');
            }
            value.push(character);
        }
        let line = source.split('\n').next().unwrap_or_default();
        Err(DotenvError {
            at: begin,
            message: format!("the quotes of {line} are not closed"),
        })
    }
}

/// White space that does not end a line.
fn is_blank(character: char) -> bool {
    matches!(character, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

/// Replaces the escapes of a double-quoted value. `\$` becomes `$$`, which is a dollar sign once variables are replaced.
fn escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let Some(escape) = tail.chars().next() else {
            rest = &rest[at..];
            break;
        };
        let known = match escape {
            'a' => Some("\u{7}"),
            'b' => Some("\u{8}"),
            'f' => Some("\u{c}"),
            'n' => Some("\n"),
            'r' => Some("\r"),
            't' => Some("\t"),
            'v' => Some("\u{b}"),
            '"' => Some("\""),
            '\\' => Some("\\"),
            '$' => Some("$$"),
            'c' => Some("\\c"),
            _ => None,
        };
        let length = if let Some(known) = known {
            out.push_str(known);
            escape.len_utf8()
        } else if escape == '0' {
            let digits = tail[1..].bytes().take(3).take_while(u8::is_ascii_digit).count();
            let code = Some(&tail[1..=digits]).filter(|code| code.len() == 3);
            match code
                .and_then(|code| u32::from_str_radix(code, 8).ok())
                .filter(|code| *code < 256)
                .and_then(char::from_u32)
            {
                Some(character) => out.push(character),
                None => {
                    out.push('\\');
                    // Go drops the zero before it finds that the rest is no octal number.
                    out.push_str(&tail[1..=digits]);
                }
            }
            1 + digits
        } else {
            out.push('\\');
            out.push(escape);
            escape.len_utf8()
        };
        rest = &tail[length..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Outside;

    impl Lookup for Outside {
        fn get(&self, name: &str) -> Option<String> {
            (name == "OUT").then(|| "outside".to_owned())
        }
    }

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        let mut out = Variables::new();
        parse(text, &mut out, &Outside).map_err(|error| error.message)?;
        Ok(out.into_iter().collect())
    }

    fn value(text: &str) -> String {
        read(text).unwrap().pop().unwrap().1
    }

    #[test]
    fn values_are_read() {
        let table = [
            ("A=b", "b"),
            ("A = b  ", "b"),
            ("A: b", "b"),
            ("export A=b", "b"),
            ("A=b # c", "b"),
            ("A=b#c", "b#c"),
            ("A='b # c' # d", "b # c"),
            ("A=\"b\\n$OUT \\$OUT\"", "b\noutside $OUT"),
            ("A='$OUT\\n'", "$OUT\\n"),
            ("A=$OUT-${NO:-x}", "outside-x"),
            ("A=\"x\ny\"", "x\ny"),
            ("A=", ""),
            ("B=1\nA=$B", "1"),
            ("OUT\n", "outside"),
            ("A=it's", "it's"),
        ];
        for (text, want) in table {
            assert_eq!(value(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(read("A=\"b").unwrap_err(), "the quotes of \"b are not closed");
        assert!(read("A!=b").unwrap_err().starts_with("`!` cannot"));
        assert!(read("A B=c").unwrap_err().contains("space"));
    }

    #[test]
    fn what_is_neither_here_nor_outside_is_left_out() {
        assert_eq!(read("NOWHERE\nA=1").unwrap(), [("A".to_owned(), "1".to_owned())]);
    }
}
