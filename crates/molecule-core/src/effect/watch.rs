//! The rules of an event stream that is watched, the same for all drivers.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use crate::error::fault::{Fault, FaultKind, Sent};
use crate::printable;

/// The most bytes of one [`Outcome::Part`](crate::effect::Outcome::Part).
pub const MAX_PART: usize = 16 * 1024;

/// The media type of an event stream.
const EVENT_STREAM: &str = "text/event-stream";

/// The most characters of a header that a fault shows.
const MAX_SHOWN: usize = 80;

/// Checks the headers of an answer with status 200: whether its body is an event stream that can be read as it arrives.
/// A stream without a media type counts as one.
///
/// # Errors
/// `Protocol` if the body has another media type, such as a sign-in page, or is compressed although nobody asked for
/// that.
pub fn check_stream(headers: &HeaderMap) -> Result<(), Fault> {
    let media_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes().split(|byte| *byte == b';'));
    if media_type.and_then(|mut parts| parts.next()).is_some_and(|name| !is(name, EVENT_STREAM)) {
        return Err(no_stream(&headers[CONTENT_TYPE], "it has the media type"));
    }
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    match encodings.find(|value| !is(value.as_bytes(), "identity") && !value.is_empty()) {
        Some(encoding) => Err(no_stream(encoding, "it is compressed, which was not asked for:")),
        None => Ok(()),
    }
}

/// Returns the fault of a stream whose body has ended.
pub fn ended() -> Fault {
    Fault::with_source(Sent::Maybe, FaultKind::Interrupted, "the stream ended")
}

fn is(value: &[u8], name: &str) -> bool {
    value.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
}

fn no_stream(value: &HeaderValue, what: &str) -> Fault {
    let value = printable::line(&String::from_utf8_lossy(value.as_bytes()));
    let shown: String = value.chars().take(MAX_SHOWN).collect();
    Fault::with_source(Sent::Maybe, FaultKind::Protocol, format!("the answer is no event stream: {what} {shown}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_stream_is_what_can_be_read_as_it_arrives() {
        for all in [
            &[][..],
            &[("content-type", "text/event-stream")],
            &[("content-type", "Text/Event-Stream ; charset=utf-8"), ("content-encoding", "identity")],
            &[("content-type", "text/event-stream"), ("content-encoding", "")],
        ] {
            assert!(check_stream(&headers(all)).is_ok(), "{all:?}");
        }
        for (all, named) in [
            (&[("content-type", "text/html")][..], "text/html"),
            (&[("content-type", "text/event-stream"), ("content-encoding", "gzip")], "gzip"),
            (&[("content-encoding", "identity"), ("content-encoding", "br")], "br"),
            (&[("content-type", "text/event-stream-not")], "text/event-stream-not"),
        ] {
            let fault = check_stream(&headers(all)).unwrap_err();
            assert_eq!((fault.sent, fault.kind), (Sent::Maybe, FaultKind::Protocol));
            assert!(fault.source.unwrap().to_string().ends_with(named), "{all:?}");
        }
    }

    #[test]
    fn a_fault_shows_a_header_escaped_and_not_at_length() {
        let mut odd = HeaderMap::new();
        let value = [b"text/html; \xc2\x9b31m".as_slice(), &[b'x'; 60_000]].concat();
        odd.insert(CONTENT_TYPE, HeaderValue::from_bytes(&value).unwrap());
        let shown = check_stream(&odd).unwrap_err().source.unwrap().to_string();
        assert!(shown.contains("text/html; \\u{9b}31m") && shown.len() < 200, "{shown}");
    }
}
