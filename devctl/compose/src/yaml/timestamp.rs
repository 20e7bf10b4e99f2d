//! The timestamps that go-yaml knows: a date, or a date with a time.

use crate::tree::Timestamp;

/// Reads a timestamp; `None` for any other text.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let mut rest = text;
    let year = digits(&mut rest, 4, 4)?;
    let month = after(&mut rest, '-').and_then(|()| digits(&mut rest, 1, 2))?;
    let day = after(&mut rest, '-').and_then(|()| digits(&mut rest, 1, 2))?;
    if !(1..=12).contains(&month) || day == 0 || day > days(year, month) {
        return None;
    }
    if rest.is_empty() {
        return Some(print(year, month, day, 0, 0, 0, "", 0));
    }
    let separator = rest.chars().next()?;
    rest = &rest[separator.len_utf8()..];
    let zoned = match separator {
        'T' | 't' => true,
        ' ' => false,
        _ => return None,
    };
    let hour = digits(&mut rest, 1, 2)?;
    let minute = after(&mut rest, ':').and_then(|()| digits(&mut rest, 1, 2))?;
    let second = after(&mut rest, ':').and_then(|()| digits(&mut rest, 1, 2))?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut fraction = "";
    if let Some(tail) = rest.strip_prefix(['.', ',']) {
        let length = tail.bytes().take_while(u8::is_ascii_digit).count();
        if length > 0 {
            fraction = tail[..length.min(9)].trim_end_matches('0');
            rest = &tail[length..];
        }
    }
    let zone = if zoned { zone(&mut rest)? } else { 0 };
    rest.is_empty()
        .then(|| print(year, month, day, hour, minute, second, fraction, zone))
}

/// `Z`, or an offset in minutes.
fn zone(rest: &mut &str) -> Option<i32> {
    if after(rest, 'Z').is_some() {
        return Some(0);
    }
    let sign = if after(rest, '+').is_some() {
        1
    } else {
        after(rest, '-').map(|()| -1)?
    };
    let hours = digits(rest, 2, 2)?;
    let minutes = after(rest, ':').and_then(|()| digits(rest, 2, 2))?;
    (hours <= 24 && minutes <= 60).then_some(sign * (hours * 60 + minutes))
}

fn digits(rest: &mut &str, least: usize, most: usize) -> Option<i32> {
    let length = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if length < least {
        return None;
    }
    let (number, tail) = rest.split_at(length);
    *rest = tail;
    number.parse().ok()
}

fn after(rest: &mut &str, character: char) -> Option<()> {
    *rest = rest.strip_prefix(character)?;
    Some(())
}

fn days(year: i32, month: i32) -> i32 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of a timestamp are what they are")]
fn print(year: i32, month: i32, day: i32, hour: i32, minute: i32, second: i32, fraction: &str, zone: i32) -> Timestamp {
    let point = if fraction.is_empty() { "" } else { "." };
    let date = format!("{year:04}-{month:02}-{day:02}");
    let time = format!("{hour:02}:{minute:02}:{second:02}{point}{fraction}");
    let sign = if zone < 0 { '-' } else { '+' };
    let (hours, minutes) = (zone.abs() / 60, zone.abs() % 60);
    let (written, name) = match zone {
        0 => ("Z".to_owned(), "UTC".to_owned()),
        _ => (
            format!("{sign}{hours:02}:{minutes:02}"),
            format!("{sign}{hours:02}{minutes:02}"),
        ),
    };
    Timestamp {
        rfc3339: format!("{date}T{time}{written}"),
        plain: format!("{date} {time} {sign}{hours:02}{minutes:02} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read() {
        let plain = |text| parse(text).map(|time| time.plain);
        assert_eq!(plain("2001-1-2").as_deref(), Some("2001-01-02 00:00:00 +0000 UTC"));
        assert_eq!(
            plain("2001-01-02T03:04:05.60+02:00").as_deref(),
            Some("2001-01-02 03:04:05.6 +0200 +0200")
        );
        assert_eq!(
            plain("2001-01-02 03:04:05").as_deref(),
            Some("2001-01-02 03:04:05 +0000 UTC")
        );
        assert_eq!(plain("2001-02-29"), None);
        assert_eq!(plain("2001-01-02x"), None);
    }
}
