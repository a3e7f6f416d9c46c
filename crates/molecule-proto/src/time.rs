//! Two kinds of time as plain values: monotonic time and calendar time.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// A moment on a monotonic clock, in nanoseconds since a start that the owner of the clock chooses.
///
/// Arithmetic saturates: a clock that stands still or jumps causes no panic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);

    /// The moment `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A moment of calendar time, in nanoseconds since 1970-01-01T00:00:00Z. On the wire it is RFC 3339.
///
/// ```
/// use molecule_proto::UnixTime;
/// let time: UnixTime = "2026-11-22T21:39:47.237554Z".parse()?;
/// assert_eq!(time.as_secs(), 1_795_383_587);
/// assert_eq!(time.to_string(), "2026-11-22T21:39:47.237554Z");
/// # Ok::<(), molecule_proto::TimeError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnixTime {
    secs: i64,
    nanos: u32,
}

/// The years that RFC 3339 can write: 0000 to 9999.
const EARLIEST: i64 = -62_167_219_200;
const LATEST: i64 = 253_402_300_799;

impl UnixTime {
    /// The moment `secs` seconds and `nanos` nanoseconds (at most 999,999,999) after the start of 1970, clamped to the
    /// years 0 to 9999.
    pub fn new(secs: i64, nanos: u32) -> Self {
        Self { secs: secs.clamp(EARLIEST, LATEST), nanos: nanos.min(999_999_999) }
    }

    /// The moment `secs` seconds after the start of 1970.
    pub fn from_secs(secs: i64) -> Self {
        Self::new(secs, 0)
    }

    /// Whole seconds since the start of 1970.
    pub fn as_secs(self) -> i64 {
        self.secs
    }

    /// Nanoseconds within the second.
    pub fn subsec_nanos(self) -> u32 {
        self.nanos
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        let nanos = |time: Self| i128::from(time.secs) * 1_000_000_000 + i128::from(time.nanos);
        let gap = (nanos(self) - nanos(earlier)).clamp(0, i128::from(u64::MAX));
        Duration::from_nanos(u64::try_from(gap).unwrap_or(u64::MAX))
    }
}

/// A moment outside the range of `SystemTime` becomes the earliest or latest one that adding seconds can reach.
impl From<UnixTime> for SystemTime {
    fn from(time: UnixTime) -> Self {
        let whole = Duration::from_secs(time.secs.unsigned_abs());
        let second =
            if time.secs < 0 { Self::UNIX_EPOCH.checked_sub(whole) } else { Self::UNIX_EPOCH.checked_add(whole) };
        let second = second.unwrap_or(Self::UNIX_EPOCH);
        second.checked_add(Duration::from_nanos(u64::from(time.nanos))).unwrap_or(second)
    }
}

impl Add<Duration> for UnixTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = self.nanos + duration.subsec_nanos();
        let secs = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self::new(
            self.secs.saturating_add(secs).saturating_add(i64::from(nanos / 1_000_000_000)),
            nanos % 1_000_000_000,
        )
    }
}

impl Sub<Duration> for UnixTime {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let borrow = u32::from(self.nanos < duration.subsec_nanos());
        let secs = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self::new(
            self.secs.saturating_sub(secs).saturating_sub(i64::from(borrow)),
            borrow * 1_000_000_000 + self.nanos - duration.subsec_nanos(),
        )
    }
}

impl fmt::Display for UnixTime {
    /// Writes RFC 3339 in UTC, without trailing zeros in the fraction, as the platform does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.secs.div_euclid(86_400));
        let second = self.secs.rem_euclid(86_400);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)?;
        if self.nanos > 0 {
            let fraction = format!("{:09}", self.nanos);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

impl FromStr for UnixTime {
    type Err = TimeError;

    /// Reads RFC 3339 with any offset and up to nine digits of fraction.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        parse_rfc3339(text.as_bytes()).ok_or(TimeError)
    }
}

impl TryFrom<String> for UnixTime {
    type Error = TimeError;

    fn try_from(text: String) -> Result<Self, TimeError> {
        text.parse()
    }
}

impl From<UnixTime> for String {
    fn from(time: UnixTime) -> String {
        time.to_string()
    }
}

/// The error for a text that is not an RFC 3339 time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time in RFC 3339, such as 2026-11-22T21:39:47.237554Z")]
pub struct TimeError;

fn parse_rfc3339(text: &[u8]) -> Option<UnixTime> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        digits.iter().all(u8::is_ascii_digit).then_some(())?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    let punctuation = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let shaped = punctuation.iter().all(|&(index, byte)| text.get(index) == Some(&byte));
    let separator = matches!(text.get(10), Some(b'T' | b't' | b' '));
    if !(shaped && separator) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let in_range = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60;
    if !in_range {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut nanos = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        let padded = fraction[..digits].iter().chain(std::iter::repeat(&b'0')).take(9);
        nanos = padded.fold(0, |scaled, digit| scaled * 10 + u32::from(digit - b'0'));
        rest = fraction.get(digits..)?;
    }
    let offset = match rest {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] if [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit()) => {
            let two = |high: &u8, low: &u8| i64::from(high - b'0') * 10 + i64::from(low - b'0');
            let seconds = two(h1, h2) * 3600 + two(m1, m2) * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let days = days_from_civil(year, month, day);
    Some(UnixTime::new(days * 86_400 + hour * 3600 + minute * 60 + second - offset, nanos))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. A year is counted from March here, so that a leap day is
/// its last day.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Time::from_nanos(5).since(Time::from_nanos(9)), Duration::ZERO);
        assert_eq!(Time::from_nanos(u64::MAX) + Duration::MAX, Time::from_nanos(u64::MAX));
        assert_eq!(Time::ZERO - Duration::from_secs(1), Time::ZERO);
        assert_eq!(
            UnixTime::from_secs(9) + Duration::MAX,
            UnixTime::from_secs(LATEST) + Duration::from_nanos(999_999_999)
        );
        assert_eq!(UnixTime::from_secs(5).since(UnixTime::from_secs(9)), Duration::ZERO);
        assert_eq!((UnixTime::from_secs(9) - Duration::MAX).as_secs(), EARLIEST);
        assert_eq!(UnixTime::new(9, 5) - Duration::new(2, 6), UnixTime::new(6, 999_999_999));
        assert_eq!(UnixTime::new(9, 5) - Duration::new(2, 5), UnixTime::from_secs(7));
    }

    #[test]
    fn the_systems_own_time_is_the_same_moment() {
        for (time, since) in [
            (UnixTime::new(1_795_383_587, 237_554_000), Duration::new(1_795_383_587, 237_554_000)),
            (UnixTime::default(), Duration::ZERO),
        ] {
            assert_eq!(SystemTime::from(time).duration_since(SystemTime::UNIX_EPOCH).unwrap(), since);
        }
        // Half a second before 1970 is second -1 plus half a second.
        let before = SystemTime::from(UnixTime::new(-1, 500_000_000));
        assert_eq!(SystemTime::UNIX_EPOCH.duration_since(before).unwrap(), Duration::from_millis(500));
    }

    #[test]
    fn rfc_3339_reads_as_it_is_written() {
        for (text, secs, nanos) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("2026-11-22T21:39:47.237554Z", 1_795_383_587, 237_554_000),
            ("2026-11-22T21:40:23.19Z", 1_795_383_623, 190_000_000),
            ("2000-02-29T12:00:00Z", 951_825_600, 0),
            ("1969-12-31T23:59:59.5Z", -1, 500_000_000),
            ("0000-01-01T00:00:00Z", EARLIEST, 0),
            ("9999-12-31T23:59:59Z", LATEST, 0),
        ] {
            let time: UnixTime = text.parse().unwrap();
            assert_eq!((time.as_secs(), time.subsec_nanos()), (secs, nanos), "{text}");
            assert_eq!(time.to_string(), text);
        }
        let offset: UnixTime = "2026-11-22T22:39:47+01:00".parse().unwrap();
        assert_eq!(offset.to_string(), "2026-11-22T21:39:47Z");
    }

    #[test]
    fn other_notations_are_refused() {
        for text in [
            "",
            "now",
            "2026-11-22",
            "2026-11-22T21:39:47",
            "2026-02-29T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T21:39:47.Z",
            "2026-11-22T21:39:47.1234567890Z",
            "2026-11-22 21:23:27.396208+00",
            "2026-11-22T21:39:47Zx",
        ] {
            assert!(text.parse::<UnixTime>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_reads_back() {
        for day in -200_000..200_000 {
            let (year, month, date) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, date), day);
        }
    }
}
