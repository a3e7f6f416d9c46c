//! The date of answers, which changes once a second.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// The date as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
type Text = [u8; 29];

/// The date that was written last.
#[derive(Default)]
pub(crate) struct Date(Mutex<(u64, Text)>);

impl Date {
    pub(crate) fn now(&self) -> Text {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.at(since_1970.as_secs())
    }

    fn at(&self, second: u64) -> Text {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != second || last.1[0] == 0 {
            // The crate writes dates up to the year 9999, and so does HTTP.
            let second = second.min(LAST);
            let text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
            *last = (second, text.as_bytes().try_into().unwrap_or([b' '; 29]));
        }
        last.1
    }
}

/// The last second of the year 9999.
const LAST: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_that_of_the_second() {
        let date = Date::default();
        for (second, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_776, "Sun, 06 Nov 1994 08:49:36 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(std::str::from_utf8(&date.at(second)), Ok(text));
        }
    }
}
