//! Times of the queue, which the platform writes in its database's notation (contract section 11).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::{TimeError, UnixTime};

/// A moment of calendar time in the database's notation, `2026-11-22 21:39:57.150091+00`: a blank between date and
/// time, and an offset of hours only. RFC 3339 is read as well.
///
/// ```
/// use molecule_proto::DatabaseTime;
/// let time: DatabaseTime = "2026-11-22 21:39:57.150091+00".parse()?;
/// assert_eq!(time.0.to_string(), "2026-11-22T21:39:57.150091Z");
/// assert_eq!(time.to_string(), "2026-11-22 21:39:57.150091+00");
/// # Ok::<(), molecule_proto::TimeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatabaseTime(pub UnixTime);

impl fmt::Display for DatabaseTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string().replace('T', " ");
        write!(f, "{}+00", text.trim_end_matches('Z'))
    }
}

impl FromStr for DatabaseTime {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let bytes = text.as_bytes();
        let short = matches!(bytes, [.., b'+' | b'-', high, low] if high.is_ascii_digit() && low.is_ascii_digit());
        if short { format!("{text}:00").parse().map(Self) } else { text.parse().map(Self) }
    }
}

impl TryFrom<String> for DatabaseTime {
    type Error = TimeError;

    fn try_from(text: String) -> Result<Self, TimeError> {
        text.parse()
    }
}

impl From<DatabaseTime> for String {
    fn from(time: DatabaseTime) -> String {
        time.to_string()
    }
}
