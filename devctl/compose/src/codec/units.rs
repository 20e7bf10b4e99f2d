//! Numbers, sizes and durations in Go's notation, and command lines.

use std::time::Duration;

/// `true`, `yes`, `on`, `y` and their opposites, in any case.
pub(crate) fn go_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "y" | "yes" | "on" => Some(true),
        "false" | "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A decimal integer with an optional sign.
pub(crate) fn go_int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if decimal { text.parse().ok() } else { None }
}

/// A number as Go's `ParseFloat` takes it: decimal, hexadecimal, infinite or not a number, with `_` between its digits.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    if text.contains('_') {
        return between_digits(text).and_then(|()| parse_float(&text.replace('_', "")));
    }
    let (sign, body) = match text.strip_prefix('-') {
        Some(body) => (-1.0, body),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = body.to_ascii_lowercase();
    match lower.as_str() {
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        "nan" if body.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    if let Some(hex) = lower.strip_prefix("0x") {
        return hexadecimal(hex).map(|value| sign * value);
    }
    let known = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'+' | b'-');
    if !lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !lower.bytes().all(known) {
        return None;
    }
    lower
        .parse::<f64>()
        .ok()
        .filter(|value| value.is_finite())
        .map(|value| sign * value)
}

/// Whether every `_` of a number stands between two digits; the prefix of a hexadecimal one counts as a digit.
fn between_digits(text: &str) -> Option<()> {
    let lower = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let (body, hex) = match lower.strip_prefix("0x") {
        Some(body) => (body, true),
        None => (lower.as_str(), false),
    };
    let digit = |c: char| c.is_ascii_digit() || hex && c.is_ascii_hexdigit();
    let mut digit_before = hex;
    let mut characters = body.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '_' && !(digit_before && characters.peek().copied().is_some_and(digit)) {
            return None;
        }
        digit_before = digit(character);
    }
    Some(())
}

/// `1.8p3`, without its prefix. The exponent must be there.
fn hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let fraction = i32::try_from(fraction.len()).ok()?;
    let shift = exponent.parse::<i32>().ok()?.saturating_sub(fraction.saturating_mul(4));
    Some(value * 2_f64.powi(shift)).filter(|value| value.is_finite())
}

/// A number of bytes: an integer, or a number with a unit of 1024 such as `1.5gb`.
///
/// # Errors
/// A text that continues "`services.web.mem_limit` ".
pub(crate) fn parse_byte_size(text: &str) -> Result<i64, String> {
    if let Some(value) = go_int(text) {
        return Ok(value);
    }
    let wrong = || format!("must be a size such as `512m`, but is `{text}`");
    let last = text
        .rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')
        .ok_or_else(wrong)?;
    let (number, unit) = match text.as_bytes()[last] {
        b' ' => (&text[..last], &text[last + 1..]),
        _ => text.split_at(last + 1),
    };
    let number = parse_float(number)
        .filter(|number| *number >= 0.0 || number.is_nan())
        .ok_or_else(wrong)?;
    let unit = unit.to_ascii_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        _ => {
            let power = match unit.as_bytes()[0] {
                b'k' => 1,
                b'm' => 2,
                b'g' => 3,
                b't' => 4,
                b'p' => 5,
                _ => return Err(wrong()),
            };
            if !matches!(&unit[1..], "" | "b" | "ib") {
                return Err(wrong());
            }
            power
        }
    };
    let value = number * 1024_f64.powi(power);
    // What Go's conversion gives for a number that is too large.
    if value.is_nan() || value >= i64::MAX as f64 {
        Ok(i64::MIN)
    } else {
        Ok(value as i64)
    }
}

/// A duration such as `1m30s`, with days and weeks.
///
/// # Errors
/// A text that continues "`services.web.healthcheck.interval` ".
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("must be a duration such as `1m30s`, but is `{text}`");
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = 0_i64;
    while !rest.is_empty() {
        let whole = rest.bytes().take_while(u8::is_ascii_digit).count();
        let value: i64 = if whole == 0 {
            0
        } else {
            rest[..whole].parse().map_err(|_| wrong())?
        };
        rest = &rest[whole..];
        let mut fraction = "";
        if let Some(tail) = rest.strip_prefix('.') {
            let length = tail.bytes().take_while(u8::is_ascii_digit).count();
            fraction = &tail[..length];
            rest = &tail[length..];
        }
        if whole == 0 && fraction.is_empty() {
            return Err(wrong());
        }
        let end = rest
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(rest.len());
        let unit: i64 = match &rest[..end] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "w" => 604_800_000_000_000,
            "" => return Err(format!("{}; it has no unit", wrong())),
            unit => return Err(format!("{}; `{unit}` is no unit", wrong())),
        };
        rest = &rest[end..];
        let mut part = value.checked_mul(unit).ok_or_else(wrong)?;
        if !fraction.is_empty() {
            let digits = &fraction[..fraction.len().min(18)];
            let scale = 10_f64.powi(i32::try_from(digits.len()).unwrap_or(18));
            let amount = digits.parse::<i64>().unwrap_or_default() as f64;
            part = part
                .checked_add((amount * (unit as f64 / scale)) as i64)
                .ok_or_else(wrong)?;
        }
        total = total.checked_add(part).ok_or_else(wrong)?;
    }
    if negative && total != 0 {
        return Err(format!("must not be negative, but is `{text}`"));
    }
    Ok(Duration::from_nanos(total.unsigned_abs()))
}

/// A duration as Go prints it: `1m30s`, `1.5s`, `500ms`, `0s`.
pub(crate) fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let fraction = |value: u128, digits: usize, unit: &str| {
        let scale = 10_u128.pow(u32::try_from(digits).unwrap_or_default());
        let rest = format!("{:0digits$}", value % scale);
        let rest = rest.trim_end_matches('0');
        let point = if rest.is_empty() { "" } else { "." };
        format!("{}{point}{rest}{unit}", value / scale)
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => fraction(nanos, 3, "µs"),
        1_000_000..1_000_000_000 => fraction(nanos, 6, "ms"),
        _ => {
            let minutes = nanos / 60_000_000_000;
            let seconds = fraction(nanos % 60_000_000_000, 9, "s");
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

/// Splits a command line into words, as Compose does: it ends at `;`, `&`, `|`, `<` and `>`, which only a shell knows.
///
/// # Errors
/// A text that continues "`services.web.command` ".
pub(crate) fn split_words(line: &str) -> Result<Vec<String>, String> {
    let wrong = |why: &str| Err(format!("cannot be split into words: {why}"));
    let mut words = Vec::new();
    let mut word = String::new();
    // Whether there is a word, and whether it is one even when empty.
    let (mut some, mut quoted) = (false, false);
    let (mut escaped, mut double, mut single, mut back, mut dollar) = (false, false, false, false, false);
    for character in line.chars() {
        if escaped {
            escaped = false;
            if back || dollar {
                word.push('\\');
                word.push(character);
            } else {
                word.push(match character {
                    't' => '\t',
                    'n' => '\n',
                    other => other,
                });
            }
            (some, quoted) = (true, false);
            continue;
        }
        match character {
            '\\' if single => {
                word.push('\\');
                continue;
            }
            '\\' => {
                escaped = true;
                continue;
            }
            ' ' | '\t' | '\r' | '\n' if single || double || back || dollar => {
                word.push(character);
                continue;
            }
            ' ' | '\t' | '\r' | '\n' => {
                flush(&mut words, &mut word, &mut some, &mut quoted);
                continue;
            }
            '`' if !single && !double && !dollar => back = !back,
            ')' if !single && !double && !back => {
                if !dollar {
                    return wrong("there is a `)` too many");
                }
                dollar = false;
            }
            '(' if !single && !double && !back => {
                if dollar || !word.ends_with('$') || word.ends_with("\\$") {
                    return wrong("a `(` must be in quotes");
                }
                dollar = true;
                word.push('(');
                continue;
            }
            '"' if !single && !dollar && !back => {
                if double {
                    (some, quoted) = (true, true);
                }
                double = !double;
                continue;
            }
            '\'' if !double && !dollar && !back => {
                if single {
                    (some, quoted) = (true, true);
                }
                single = !single;
                continue;
            }
            ';' | '&' | '|' | '<' | '>' if !(single || double || back || dollar) => {
                if character == '>' && !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) {
                    some = false;
                }
                break;
            }
            _ => {}
        }
        (some, quoted) = (true, false);
        word.push(character);
    }
    flush(&mut words, &mut word, &mut some, &mut quoted);
    match (escaped, single || double || back || dollar) {
        (true, _) => wrong("it ends with a backslash"),
        (_, true) => wrong("a quote is not closed"),
        _ => Ok(words),
    }
}

fn flush(words: &mut Vec<String>, word: &mut String, some: &mut bool, quoted: &mut bool) {
    if *quoted || (*some && !word.is_empty()) {
        words.push(std::mem::take(word));
    }
    word.clear();
    (*some, *quoted) = (false, false);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let table = [
            ("1", 1),
            ("-1", -1),
            ("1k", 1024),
            ("1.5GB", 1_610_612_736),
            ("2 MiB", 2_097_152),
            ("10b", 10),
        ];
        for (text, want) in table {
            assert_eq!(parse_byte_size(text), Ok(want), "{text}");
        }
        for text in ["", "x", "1x", "1kx", "-1k", "1bb"] {
            assert!(parse_byte_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_read_and_printed() {
        let table = [
            ("90s", "1m30s"),
            ("1.5s", "1.5s"),
            ("1d", "24h0m0s"),
            ("1h", "1h0m0s"),
            ("0", "0s"),
            ("250ms", "250ms"),
            ("1us", "1µs"),
        ];
        for (text, want) in table {
            assert_eq!(parse_duration(text).map(format_duration).as_deref(), Ok(want), "{text}");
        }
        for text in ["", "1", "s", "1x", "10 s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_are_split() {
        let table: [(&str, &[&str]); 7] = [
            ("a b  c", &["a", "b", "c"]),
            ("a 'b c' \"d e\"", &["a", "b c", "d e"]),
            ("a \"\" b", &["a", "", "b"]),
            ("a\\ b", &["a b"]),
            ("a && b", &["a"]),
            ("echo $(x y) z", &["echo", "$(x y)", "z"]),
            ("", &[]),
        ];
        for (line, want) in table {
            assert_eq!(split_words(line).unwrap(), want, "{line}");
        }
        for line in ["a 'b", "a \\", "a (b)", "a )"] {
            assert!(split_words(line).is_err(), "{line}");
        }
    }
}
