//! Rates as people write them: `100/min`, `5/s`, `10/15m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// So many in so long. At least one, in at least a second and at most 366 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    count: u32,
    seconds: u32,
}

/// What is wrong with a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RateError {
    /// No `/`.
    #[error("expected a count, `/` and a period, as in `100/min`")]
    NoSlash,
    /// Not a whole number.
    #[error("the count must be a whole number from 1 to 4294967295, as in `100/min` or `50k/hour`")]
    Count,
    /// Not a known unit of time.
    #[error(
        "the period must be a unit of time (`s`, `min`, `hour`, `day`) with an optional number, as in `10/15m`"
    )]
    Period,
    /// No time at all, or too much of it.
    #[error("the period must lie between one second and 366 days")]
    OutOfRange,
}

const LONGEST: u32 = 366 * 24 * 60 * 60;

impl Rate {
    /// `count` in `period`; fractions of a second are refused.
    ///
    /// # Errors
    /// When the count is zero, or the period not from one second to 366 days in whole seconds.
    pub fn new(count: u32, period: Duration) -> Result<Self, RateError> {
        let seconds = u32::try_from(period.as_secs()).map_err(|_| RateError::OutOfRange)?;
        if count == 0 {
            return Err(RateError::Count);
        }
        if seconds == 0 || seconds > LONGEST || period.subsec_nanos() != 0 {
            return Err(RateError::OutOfRange);
        }
        Ok(Self { count, seconds })
    }

    /// How many.
    pub const fn count(self) -> u32 {
        self.count
    }

    /// In how long.
    pub const fn period(self) -> Duration {
        Duration::from_secs(self.seconds as u64)
    }

    /// Nanoseconds between two, rounded up so that never more than `count` fit the period.
    pub(super) fn interval(self) -> u64 {
        (u64::from(self.seconds) * 1_000_000_000).div_ceil(u64::from(self.count))
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (count, period) = text.split_once('/').ok_or(RateError::NoSlash)?;
        let count = count.trim();
        let (digits, factor) = match count.strip_suffix(['k', 'K']) {
            Some(digits) => (digits, 1000),
            None => (count, 1),
        };
        let count = number(digits).and_then(|count| count.checked_mul(factor)).ok_or(RateError::Count)?;
        let period = period.trim();
        let unit = period.trim_start_matches(|c: char| c.is_ascii_digit());
        let many = match period.strip_suffix(unit) {
            Some("") => 1,
            Some(digits) => number(digits).ok_or(RateError::OutOfRange)?,
            None => return Err(RateError::Period),
        };
        let one = match unit.trim() {
            "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 60 * 60,
            "d" | "day" | "days" => 24 * 60 * 60,
            _ => return Err(RateError::Period),
        };
        let seconds = many.checked_mul(one).ok_or(RateError::OutOfRange)?;
        Self::new(count, Duration::from_secs(seconds.into()))
    }
}

/// Digits only: `u32::from_str` would take a sign.
fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (many, unit) = match self.seconds {
            s if s.is_multiple_of(86_400) => (s / 86_400, "day"),
            s if s.is_multiple_of(3600) => (s / 3600, "hour"),
            s if s.is_multiple_of(60) => (s / 60, "min"),
            s => (s, "s"),
        };
        match many {
            1 => write!(formatter, "{}/{unit}", self.count),
            many => write!(formatter, "{}/{many}{unit}", self.count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(u32, u64), RateError>) {
        let rate = text.parse::<Rate>();
        assert_eq!(rate.map(|rate| (rate.count(), rate.period().as_secs())), expected, "{text}");
        if let Ok(rate) = rate {
            assert_eq!(rate.to_string().parse(), Ok(rate), "{text}");
        }
    }

    #[test]
    fn rates_as_people_write_them() {
        check("100/min", Ok((100, 60)));
        check("5/s", Ok((5, 1)));
        check("1000/hour", Ok((1000, 3600)));
        check("10/15m", Ok((10, 900)));
        check("10/15 minutes", Ok((10, 900)));
        check(" 1 / day ", Ok((1, 86_400)));
        check("50k/hour", Ok((50_000, 3600)));
        check("7/90s", Ok((7, 90)));
        check("1/366d", Ok((1, 31_622_400)));
    }

    #[test]
    fn mistakes() {
        check("100", Err(RateError::NoSlash));
        check("", Err(RateError::NoSlash));
        check("/min", Err(RateError::Count));
        check("0/min", Err(RateError::Count));
        check("-1/min", Err(RateError::Count));
        check("+1/min", Err(RateError::Count));
        check("1.5/min", Err(RateError::Count));
        check("5000000k/s", Err(RateError::Count));
        check("4294967296/s", Err(RateError::Count));
        check("1/", Err(RateError::Period));
        check("1/15", Err(RateError::Period));
        check("1/fortnight", Err(RateError::Period));
        check("1/MIN", Err(RateError::Period));
        check("1/min/s", Err(RateError::Period));
        check("1/0s", Err(RateError::OutOfRange));
        check("1/367d", Err(RateError::OutOfRange));
        check("1/99999999999d", Err(RateError::OutOfRange));
        assert_eq!(Rate::new(1, Duration::from_millis(1500)), Err(RateError::OutOfRange));
    }
}
