//! Texts that carry a unit: durations, sizes, rates.

use std::time::Duration;

/// So many per period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long.
    pub period: Duration,
}

/// Why a text is not a quantity with a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnitError {
    /// A bare number.
    #[error("the unit is missing")]
    Missing,
    /// A unit that is none.
    #[error("`{0}` is not a unit")]
    Unknown(String),
    /// No number before the unit.
    #[error("a whole number must come first")]
    NoNumber,
    /// Larger than can be counted.
    #[error("the number is too large")]
    TooLarge,
    /// Zero, where nothing could ever pass.
    #[error("must be more than zero")]
    Zero,
}

/// What a duration looks like, for messages.
pub(crate) const DURATION: &str = "a duration such as `500ms`, `30s`, `15m` or `1h`";
/// What a size looks like, for messages.
pub(crate) const SIZE: &str = "a size such as `512B`, `64KiB` or `1MB`";
/// What a rate looks like, for messages.
pub(crate) const RATE: &str = "a rate such as `10/s`, `100/min` or `1000/hour`";

/// Reads `500ms`, `30s`, `15m`, `1h`, `1d`.
///
/// # Errors
/// See [`UnitError`].
pub(crate) fn duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(unknown(unit)),
    };
    let total = number.checked_mul(milliseconds).filter(|total| *total <= 366 * 86_400_000);
    Ok(Duration::from_millis(total.ok_or(UnitError::TooLarge)?))
}

/// Reads `512B`, `64KiB`, `1MB`: powers of 1024 with an `i`, of 1000 without.
///
/// # Errors
/// See [`UnitError`].
pub(crate) fn size(text: &str) -> Result<usize, UnitError> {
    let (number, unit) = split(text)?;
    let bytes = match unit {
        "B" => 1,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(unknown(unit)),
    };
    let total = number.checked_mul(bytes).ok_or(UnitError::TooLarge)?;
    usize::try_from(total).map_err(|_| UnitError::TooLarge)
}

/// Reads `10/s`, `100/min`, `1000/hour`, `5000/day`.
///
/// # Errors
/// See [`UnitError`].
pub(crate) fn rate(text: &str) -> Result<Rate, UnitError> {
    let Some((count, unit)) = text.split_once('/') else {
        return Err(if text.trim().bytes().all(|b| b.is_ascii_digit()) {
            UnitError::Missing
        } else {
            unknown(text)
        });
    };
    let count = count.trim();
    if count.is_empty() || !count.bytes().all(|b| b.is_ascii_digit()) {
        return Err(UnitError::NoNumber);
    }
    let count: u32 = count.parse().map_err(|_| UnitError::TooLarge)?;
    if count == 0 {
        return Err(UnitError::Zero);
    }
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3_600,
        "d" | "day" => 86_400,
        "" => return Err(UnitError::Missing),
        unit => return Err(unknown(unit)),
    };
    Ok(Rate { count, period: Duration::from_secs(seconds) })
}

/// A number and what follows it. A zero is refused, because a limit of nothing is never meant.
fn split(text: &str) -> Result<(u64, &str), UnitError> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(UnitError::NoNumber)?;
    if number.is_empty() {
        return Err(UnitError::NoNumber);
    }
    let number: u64 = number.parse().map_err(|_| UnitError::TooLarge)?;
    match (unit.trim_start(), number) {
        ("", _) => Err(UnitError::Missing),
        (_, 0) => Err(UnitError::Zero),
        (unit, number) => Ok((number, unit)),
    }
}

fn unknown(unit: &str) -> UnitError {
    UnitError::Unknown(unit.trim().chars().take(20).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text, expected| assert_eq!(duration(text), expected, "{text}");
        check("500ms", Ok(Duration::from_millis(500)));
        check("15m", Ok(Duration::from_secs(900)));
        check("1 h", Ok(Duration::from_secs(3600)));
        check("15", Err(UnitError::Missing));
        check("15 parsecs", Err(UnitError::Unknown("parsecs".into())));
        check("1.5s", Err(UnitError::Unknown(".5s".into())));
        check("0s", Err(UnitError::Zero));
        check("s", Err(UnitError::NoNumber));
        check("", Err(UnitError::NoNumber));
        check("-1s", Err(UnitError::NoNumber));
        check("99999999999999999999s", Err(UnitError::TooLarge));
        check("400d", Err(UnitError::TooLarge));
    }

    #[test]
    fn sizes() {
        let check = |text, expected| assert_eq!(size(text), expected, "{text}");
        check("512B", Ok(512));
        check("64KiB", Ok(65_536));
        check("1MB", Ok(1_000_000));
        check("1M", Err(UnitError::Unknown("M".into())));
        check("4096", Err(UnitError::Missing));
        check("18446744073709551615GiB", Err(UnitError::TooLarge));
    }

    #[test]
    fn rates() {
        let of = |count, seconds| Ok(Rate { count, period: Duration::from_secs(seconds) });
        let check = |text, expected| assert_eq!(rate(text), expected, "{text}");
        check("100/min", of(100, 60));
        check("1 / s", of(1, 1));
        check("5/day", of(5, 86_400));
        check("100", Err(UnitError::Missing));
        check("100/", Err(UnitError::Missing));
        check("0/s", Err(UnitError::Zero));
        check("/s", Err(UnitError::NoNumber));
        check("5/fortnight", Err(UnitError::Unknown("fortnight".into())));
    }
}
