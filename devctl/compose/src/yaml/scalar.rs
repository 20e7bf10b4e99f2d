//! Scalars as go-yaml resolves them: YAML 1.2 booleans, YAML 1.1 octal numbers, timestamps.

use super::timestamp;
use crate::tree::Value;

/// What a scalar is, by its tag, its text and whether it stands there without quotes.
///
/// # Errors
/// Where the text is not what its tag says.
pub(super) fn resolve(tag: Option<&str>, text: &str, plain: bool) -> Result<Value, String> {
    let as_text = || Ok(Value::Text(text.to_owned()));
    let tag = match tag {
        None if !plain => return as_text(),
        None => return Ok(implicit(text, true)),
        Some("!!str") => return as_text(),
        Some("!!binary") => {
            return binary(text)
                .map(Value::Text)
                .ok_or_else(|| "`!!binary` is not base64".to_owned());
        }
        Some(tag @ ("!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp")) => tag,
        Some(_) => return as_text(),
    };
    let value = implicit(text, tag == "!!timestamp");
    match (tag, value) {
        ("!!float", Value::Int(value)) => Ok(Value::Float(value as f64)),
        ("!!bool", value @ Value::Bool(_))
        | ("!!int", value @ (Value::Int(_) | Value::Uint(_)))
        | ("!!float", value @ Value::Float(_))
        | ("!!null", value @ Value::Null)
        | ("!!timestamp", value @ Value::Time(_)) => Ok(value),
        _ => Err(format!("`{text}` is no {}", &tag[2..])),
    }
}

fn implicit(text: &str, timestamps: bool) -> Value {
    let as_text = || Value::Text(text.to_owned());
    let Some(first) = text.bytes().next() else {
        return Value::Null;
    };
    match text {
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        "~" | "null" | "Null" | "NULL" => return Value::Null,
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        "-0" | "-0.0" => return Value::Float(-0.0),
        _ => {}
    }
    match first {
        b'.' => float(text).map_or_else(as_text, Value::Float),
        b'+' | b'-' | b'0'..=b'9' => {
            if timestamps && let Some(time) = timestamp::parse(text) {
                return Value::Time(Box::new(time));
            }
            let digits = text.replace('_', "");
            integer(&digits)
                .or_else(|| float(&digits).map(Value::Float))
                .unwrap_or_else(as_text)
        }
        _ => as_text(),
    }
}

/// An integer in Go's notation: a prefix, or a leading zero, gives the base.
fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if !digits.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    if negative {
        return 0_i64.checked_sub_unsigned(magnitude).map(Value::Int);
    }
    match i64::try_from(magnitude) {
        Ok(value) => Some(Value::Int(value)),
        // Go's unsigned parser knows no sign.
        Err(_) if text.starts_with('+') => None,
        Err(_) => Some(Value::Uint(magnitude)),
    }
}

/// A decimal number with fraction or exponent; none that is too large to be one.
fn float(text: &str) -> Option<f64> {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let known = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    if !body.starts_with(|first: char| first.is_ascii_digit() || first == '.') || !body.bytes().all(known) {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// Decodes base64; a text that is not UTF-8 keeps its place with replacement characters.
fn binary(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let (mut bits, mut count, mut padding) = (0_u32, 0, 0);
    for byte in text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(value);
        count += 1;
        if count % 4 != 1 {
            let shift = [0, 0, 4, 2][count % 4];
            bytes.push((bits >> shift & 0xff) as u8);
        }
    }
    ((count + padding) % 4 == 0 && count % 4 != 1).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(written: &str) -> String {
        let node = crate::tree::Node::new(resolve(None, written, true).unwrap(), crate::tree::Span::default());
        node.scalar_text().unwrap()
    }

    #[test]
    fn plain_scalars_are_read_as_go_yaml_reads_them() {
        let table = [
            ("0755", "493"),
            ("0o755", "493"),
            ("1_000", "1000"),
            ("1.10", "1.1"),
            ("0x1F", "31"),
            ("08", "8"),
            ("1e3", "1000"),
            ("1e999", "1e999"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "1.8446744073709552e+19"),
            ("yes", "yes"),
            ("True", "true"),
            ("2001-01-01", "2001-01-01 00:00:00 +0000 UTC"),
            ("12:30", "12:30"),
            ("1.2.3", "1.2.3"),
            ("-", "-"),
            ("~", "<nil>"),
        ];
        for (written, want) in table {
            assert_eq!(text(written), want, "{written}");
        }
    }

    #[test]
    fn a_tag_decides() {
        assert!(matches!(resolve(Some("!!str"), "1", true), Ok(Value::Text(_))));
        assert!(matches!(resolve(Some("!!int"), "1", false), Ok(Value::Int(1))));
        assert!(resolve(Some("!!int"), "x", true).is_err());
        assert!(matches!(resolve(Some("!!binary"), "aGk=", true), Ok(Value::Text(text)) if text == "hi"));
        assert!(matches!(resolve(Some("!mine"), "1", true), Ok(Value::Text(_))));
    }
}
