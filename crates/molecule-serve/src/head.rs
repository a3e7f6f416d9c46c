//! The head of a request, as it is on the wire.
//!
//! hyper tolerates heads that two servers in a row may read differently, which is how requests are smuggled past a proxy:
//! `Content-Length` beside `Transfer-Encoding`, two `Content-Length`, a bare line feed, no `Host`. By the time a service sees
//! the head, hyper has dropped what was wrong with it. So each head is checked before hyper gets a byte of it.

use http::StatusCode;
use http::uri::Authority;
use molecule_core::machines::Refusal;

/// The most headers of a request; hyper has the same limit.
const MOST_HEADERS: usize = 100;

/// How the body of a request is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Bytes, perhaps none.
    Length(u64),
    Chunked,
}

pub(crate) const fn bad(why: &'static str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, why)
}

/// Looks for the end of a head in bytes of which the first `looked_at` were looked at before. Returns its length.
///
/// # Errors
/// As soon as the bytes cannot become a head: a bare line feed or carriage return, or a control character, such as a TLS
/// handshake begins with.
pub(crate) fn end_of_head(bytes: &[u8], looked_at: usize) -> Result<Option<usize>, Refusal> {
    for (at, byte) in bytes.iter().enumerate().skip(looked_at) {
        let before = &bytes[..at];
        match byte {
            b'\n' if !before.ends_with(b"\r") => return Err(bad("a line of the head ends without a carriage return")),
            b'\n' if before.ends_with(b"\r\n\r") => return Ok(Some(at + 1)),
            b'\n' | b'\t' => {}
            _ if before.ends_with(b"\r") => return Err(bad("a carriage return in the head ends no line")),
            b'\r' => {}
            0..=0x1f | 0x7f => return Err(bad("this is no HTTP request; the server speaks HTTP/1.1")),
            _ => {}
        }
    }
    Ok(None)
}

/// Checks a whole head, and returns how the request's body is delimited.
///
/// # Errors
/// If it is malformed, or something before this server might delimit the request in another way.
pub(crate) fn check(head: &[u8]) -> Result<Framing, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(bad("the head of the request is malformed")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(too_large("the request has too many headers"));
        }
        Err(_) => return Err(bad("the head of the request is malformed")),
    }
    let is_http_11 = request.version == Some(1);
    let values = |name: &str| {
        let mut named = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        match (named.next(), named.next()) {
            (None, _) => Values::None,
            (Some(header), None) => Values::One(header.value),
            (Some(_), Some(_)) => Values::More,
        }
    };
    match values("host") {
        Values::One(host) if is_host(host) => {}
        Values::One(_) => return Err(bad("the Host header is malformed")),
        Values::None => return Err(bad("the request has no Host header")),
        Values::More => return Err(bad("the request has more than one Host header")),
    }
    match values("expect") {
        Values::None => {}
        Values::One(expected) if expected.eq_ignore_ascii_case(b"100-continue") => {}
        Values::One(_) | Values::More => return Err(UNEXPECTED),
    }
    match (values("content-length"), values("transfer-encoding")) {
        (Values::None, Values::None) => Ok(Framing::Length(0)),
        (Values::One(length), Values::None) => match parse_length(length) {
            Some(length) => Ok(Framing::Length(length)),
            None => Err(bad("the Content-Length is no number")),
        },
        (Values::More, Values::None) => Err(bad("the request has more than one Content-Length")),
        (Values::None, Values::One(_) | Values::More) if !is_http_11 => Err(bad("HTTP/1.0 has no Transfer-Encoding")),
        (Values::None, Values::One(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        (Values::None, Values::One(_) | Values::More) => Err(bad("the Transfer-Encoding is another one than chunked")),
        (Values::One(_) | Values::More, Values::One(_) | Values::More) => {
            Err(bad("the request has a Content-Length and a Transfer-Encoding"))
        }
    }
}

/// The values of a header.
enum Values<'h> {
    None,
    One(&'h [u8]),
    More,
}

const UNEXPECTED: Refusal =
    Refusal::new(StatusCode::EXPECTATION_FAILED, "the server meets no other expectation than 100-continue");

/// The answer to a head above the limit.
pub(crate) const fn too_large(why: &'static str) -> Refusal {
    Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, why)
}

fn is_host(value: &[u8]) -> bool {
    let host = std::str::from_utf8(value).ok();
    host.is_some_and(|host| !host.contains('@') && host.parse::<Authority>().is_ok())
}

/// Digits alone: the usual parsers also take a sign.
fn parse_length(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok()?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(headers: &str) -> Result<Framing, Refusal> {
        check(format!("POST /a2a HTTP/1.1\r\n{headers}\r\n").as_bytes())
    }

    #[test]
    fn a_request_is_delimited_by_one_header_or_none() {
        assert_eq!(of("Host: a.example\r\n"), Ok(Framing::Length(0)));
        assert_eq!(of("Host: a.example:8080\r\nContent-Length: 12\r\n"), Ok(Framing::Length(12)));
        assert_eq!(of("Host: [::1]:80\r\nTransfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
        assert_eq!(of("host:localhost\r\ncontent-length:  7 \r\n"), Ok(Framing::Length(7)));
        assert_eq!(of("Host: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n"), Ok(Framing::Length(1)));
    }

    #[test]
    fn what_a_proxy_may_delimit_in_another_way_is_refused() {
        for (headers, why) in [
            ("Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", "and a Transfer-Encoding"),
            ("Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", "and a Transfer-Encoding"),
            ("Host: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n", "more than one Content-Length"),
            ("Host: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n", "more than one Content-Length"),
            ("Host: a\r\nContent-Length: 5, 5\r\n", "no number"),
            ("Host: a\r\nContent-Length: +5\r\n", "no number"),
            ("Host: a\r\nContent-Length: -1\r\n", "no number"),
            ("Host: a\r\nContent-Length: 0x5\r\n", "no number"),
            ("Host: a\r\nContent-Length: \r\n", "no number"),
            ("Host: a\r\nContent-Length: 99999999999999999999\r\n", "no number"),
            ("Host: a\r\nTransfer-Encoding: xchunked\r\n", "another one than chunked"),
            ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", "another one than chunked"),
            ("Host: a\r\nTransfer-Encoding: chunked, identity\r\n", "another one than chunked"),
            ("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "another one than chunked"),
            ("Host: a\r\nTransfer-Encoding : chunked\r\n", "malformed"),
            ("Host: a\r\n Content-Length: 5\r\n", "malformed"),
            ("Host: a\r\nX: 1\r\n folded\r\n", "malformed"),
            ("Content-Length: 5\r\n", "no Host"),
            ("Host: a\r\nHost: a\r\n", "more than one Host"),
            ("Host: a b\r\n", "Host header is malformed"),
            ("Host: \r\n", "Host header is malformed"),
            ("Host: me@a\r\n", "Host header is malformed"),
        ] {
            let refusal = of(headers).unwrap_err();
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{headers:?}");
            assert!(refusal.why.contains(why), "{headers:?}: {}", refusal.why);
        }
        let old = check(b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap_err();
        assert!(old.why.contains("HTTP/1.0"), "{}", old.why);
        assert_eq!(of("Host: a\r\nExpect: tea\r\n").unwrap_err().status, StatusCode::EXPECTATION_FAILED);
        let many = format!("Host: a\r\n{}", "X: 1\r\n".repeat(MOST_HEADERS));
        assert_eq!(of(&many).unwrap_err().status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        assert!(
            check(b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n").is_err()
                && check(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n").is_err()
        );
    }

    /// The end as it is found with each byte that comes, which must be the end as it is found at once.
    fn end(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let mut found = Ok(None);
        for length in 0..=bytes.len() {
            found = end_of_head(&bytes[..length], length.saturating_sub(1));
            if found != Ok(None) {
                break;
            }
        }
        assert_eq!(found, end_of_head(bytes, 0));
        found
    }

    #[test]
    fn a_head_ends_with_its_first_empty_line() {
        assert_eq!(end(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET"), Ok(Some(27)));
        assert_eq!(end(b"GET / HTTP/1.1\r\nHost: \xc3\xa9\ta\r\n\r"), Ok(None));
        assert_eq!(end(b""), Ok(None));
    }

    #[test]
    fn what_cannot_become_a_head_is_refused_at_once() {
        for bytes in [
            &b"GET / HTTP/1.1\nHost: a\n\n"[..],
            b"GET / HTTP/1.1\r\nHost: a\r\n\n",
            b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
            b"GET / HTTP/1.1\r\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"\x00\x00",
            b"GET /\x07 HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\nX: \x7f",
        ] {
            assert_eq!(end(bytes).unwrap_err().status, StatusCode::BAD_REQUEST, "{bytes:?}");
        }
    }
}
