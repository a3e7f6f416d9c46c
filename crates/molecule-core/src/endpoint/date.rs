//! Times in the headers of answers.

use http::HeaderMap;
use http::header::DATE;
use molecule_proto::UnixTime;

/// Returns the server's time, from the answer's `Date`: whole seconds, rounded down.
pub(crate) fn server_time(headers: &HeaderMap) -> Option<UnixTime> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// Reads an HTTP date in any of its three forms.
pub(crate) fn http_date(text: &str) -> Option<UnixTime> {
    let date = httpdate::parse_http_date(text).ok()?;
    let secs = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Some(UnixTime::from_secs(i64::try_from(secs).ok()?))
}
