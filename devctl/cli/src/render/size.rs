//! Sizes and ages as Docker's own lists write them.

use jiff::Timestamp;

/// `1.98MB`: decimal units, three digits.
pub(crate) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB", "PB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    let digits = match value {
        value if unit == "B" || value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    let number = format!("{value:.digits$}");
    let number = match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => &number,
    };
    format!("{number}{unit}")
}

/// `6 hours ago`.
pub(crate) fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    let text = match (seconds, seconds / 60, seconds / 3600) {
        (..1, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, minutes @ ..60, _) => format!("{minutes} minutes"),
        (.., 1) => "About an hour".to_owned(),
        (.., hours @ ..48) => format!("{hours} hours"),
        (.., hours) if hours < 24 * 14 => format!("{} days", hours / 24),
        (.., hours) if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        (.., hours) if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        (.., hours) => format!("{} years", hours / 24 / 365),
    };
    format!("{text} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        for (count, text) in [
            (0, "0B"),
            (999, "999B"),
            (1_982_358, "1.98MB"),
            (27_300_000, "27.3MB"),
            (273_000_000, "273MB"),
            (1_000_000_000, "1GB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn ages_are_told_as_docker_tells_them() {
        let told = |seconds: i64| age(Timestamp::UNIX_EPOCH, Timestamp::from_second(seconds).unwrap());
        assert_eq!(told(0), "Less than a second ago");
        assert_eq!(told(45), "45 seconds ago");
        assert_eq!(told(90), "About a minute ago");
        assert_eq!(told(6 * 3600 + 100), "6 hours ago");
        assert_eq!(told(5 * 86_400), "5 days ago");
        assert_eq!(told(800 * 86_400), "2 years ago");
    }
}
