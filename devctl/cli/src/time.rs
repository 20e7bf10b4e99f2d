//! Times as Docker Compose's flags take them: RFC 3339, a date, seconds since 1970, or how long ago (`42m`, `1h30m`).

use std::str::FromStr;
use std::time::Duration;

use jiff::{Timestamp, civil, tz::TimeZone};

/// A moment, possibly told relative to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A fixed one.
    At(Timestamp),
    /// So long ago.
    Ago(Duration),
}

impl Moment {
    /// The moment, where it is `now`.
    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Moment::At(at) => at,
            Moment::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Moment::At(at));
        }
        let local = text
            .parse::<civil::DateTime>()
            .or_else(|_| text.parse::<civil::Date>().map(Into::into));
        if let Ok(zoned) = local.and_then(|local| local.to_zoned(TimeZone::system())) {
            return Ok(Moment::At(zoned.timestamp()));
        }
        if let Some(at) = unix(text) {
            return Ok(Moment::At(at));
        }
        duration(text)
            .map(Moment::Ago)
            .ok_or("write a time (2026-11-23T10:00:00Z), seconds since 1970, or how long ago (42m)")
    }
}

/// `1764000000`, `1764000000.25`.
fn unix(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds: i32 = format!("{fraction:0<9}").parse().ok()?;
    Timestamp::new(whole.parse().ok()?, nanoseconds).ok()
}

/// Go's way of writing a duration: `1h30m`, `1.5s`, `300ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let number_end = rest.find(|ch: char| !(ch.is_ascii_digit() || ch == '.'))?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after
            .find(|ch: char| ch.is_ascii_digit() || ch == '.')
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_writing_is_read() {
        let at: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        assert_eq!("2026-11-23T10:00:00Z".parse(), Ok(Moment::At(at)));
        assert_eq!(at.as_second().to_string().parse(), Ok(Moment::At(at)));
        assert_eq!("1h30m".parse(), Ok(Moment::Ago(Duration::from_secs(5400))));
        assert_eq!("1.5s".parse(), Ok(Moment::Ago(Duration::from_millis(1500))));
        assert!(matches!("2026-11-23".parse(), Ok(Moment::At(_))));
        for text in ["", "soon", "10", "5x", "."] {
            let read = text.parse::<Moment>();
            assert_eq!(read.is_err(), text != "10", "{text:?}: {read:?}");
        }
    }
}
