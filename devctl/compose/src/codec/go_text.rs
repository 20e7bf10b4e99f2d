//! Numbers as Go prints them.

/// As `fmt.Sprint` prints a float64: the shortest form, with an exponent below -4 and from 6 on.
pub(crate) fn go_float(value: f64) -> String {
    general(value, &format!("{value:e}"))
}

/// As `fmt.Sprint` prints a float32.
pub(crate) fn go_single(value: f32) -> String {
    general(f64::from(value), &format!("{value:e}"))
}

/// As JSON has a number: the shortest form, with an exponent below 1e-6 and from 1e21 on.
pub(crate) fn json_float(value: f64, shortest: &str) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
        // A negative exponent of one digit has no zero in front, a positive one has a sign.
        return if exponent.starts_with('-') {
            format!("{mantissa}e{exponent}")
        } else {
            format!("{mantissa}e+{exponent}")
        };
    }
    plain(shortest)
}

fn general(value: f64, shortest: &str) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 {
            "+Inf".to_owned()
        } else {
            "-Inf".to_owned()
        };
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return plain(shortest);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// A number in the form `1.5e3` without its exponent.
fn plain(scientific: &str) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let point = 1 + exponent;
    let length = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or_default());
    if point <= 0 {
        format!("{sign}0.{}{digits}", zeros(-point))
    } else if point >= length {
        format!("{sign}{digits}{}", zeros(point - length))
    } else {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or_default());
        format!("{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_look_like_gos() {
        let table = [
            (1.1, "1.1"),
            (100.0, "100"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e21, "1e+21"),
            (1e20, "1e+20"),
            (1_000_000.0, "1e+06"),
            (-2.5, "-2.5"),
        ];
        for (value, want) in table {
            assert_eq!(go_float(value), want);
        }
        assert_eq!(go_single(0.1), "0.1");
        assert_eq!(json_float(1e-7, "1e-7"), "1e-7");
        assert_eq!(json_float(1e21, "1e21"), "1e+21");
    }
}
