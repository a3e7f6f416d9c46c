//! The head of a request, as it is on the wire.
//!
//! Two servers in a row may read a sloppy head in different ways, which is how requests are smuggled past a proxy:
//! `Content-Length` beside `Transfer-Encoding`, two `Content-Length`, a bare line feed, no `Host`. Such heads are refused here,
//! and not repaired.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::{Authority, Uri};
use http::{Method, Request, StatusCode, Version};
use molecule_core::machines::Refusal;

/// The most headers of a request.
const MOST_HEADERS: usize = 100;

/// The head of a request that can be read in one way.
pub(crate) struct Head {
    pub(crate) parts: Parts,
    pub(crate) framing: Framing,
    /// The client can send another request on the same connection.
    pub(crate) keeps_open: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub(crate) waits_to_continue: bool,
}

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
    let mut before = looked_at.checked_sub(1).and_then(|at| bytes.get(at)).copied().unwrap_or_default();
    for (at, byte) in bytes.iter().copied().enumerate().skip(looked_at) {
        match byte {
            b'\n' if before != b'\r' => return Err(bad("a line of the head ends without a carriage return")),
            b'\n' if bytes[..at].ends_with(b"\r\n\r") => return Ok(Some(at + 1)),
            b'\n' => {}
            _ if before == b'\r' => return Err(bad("a carriage return in the head ends no line")),
            b'\r' | b'\t' | b' '..=b'~' | 0x80.. => {}
            _ => return Err(bad("this is no HTTP request; the server speaks HTTP/1.1")),
        }
        before = byte;
    }
    Ok(None)
}

/// Reads a whole head.
///
/// # Errors
/// If it is malformed, or something before this server might delimit the request in another way.
pub(crate) fn read(head: &Bytes) -> Result<Head, Refusal> {
    let mut headers = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, &mut headers) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(MALFORMED),
        Err(httparse::Error::TooManyHeaders) => return Err(too_large("the request has too many headers")),
        Err(_) => return Err(MALFORMED),
    }
    let (mut parts, ()) = Request::new(()).into_parts();
    let (Some(method), Some(path)) = (request.method, request.path) else { return Err(MALFORMED) };
    parts.method = Method::from_bytes(method.as_bytes()).map_err(|_| MALFORMED)?;
    parts.uri = Uri::from_maybe_shared(head.slice_ref(path.as_bytes())).map_err(|_| MALFORMED)?;
    let is_http_11 = request.version == Some(1);
    parts.version = if is_http_11 { Version::HTTP_11 } else { Version::HTTP_10 };
    let mut values = Values::default();
    parts.headers.reserve(request.headers.len());
    for header in request.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| MALFORMED)?;
        // An empty slice lies nowhere in the head.
        let value = if header.value.is_empty() { Bytes::new() } else { head.slice_ref(header.value) };
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| MALFORMED)?;
        values.add(&name, header.value);
        parts.headers.append(name, value);
    }
    check_host(&values.host, head)?;
    let waits_to_continue = match values.expect {
        Value::None => false,
        Value::One(expected) if expected.eq_ignore_ascii_case(b"100-continue") => is_http_11,
        Value::One(_) | Value::More => return Err(UNEXPECTED),
    };
    let framing = framing(&values, is_http_11)?;
    let keeps_open = !values.says_close && (is_http_11 || values.says_keep_alive);
    Ok(Head { parts, framing, keeps_open, waits_to_continue })
}

/// The headers that say where a request ends, and what becomes of its connection.
#[derive(Default)]
struct Values<'h> {
    host: Value<'h>,
    expect: Value<'h>,
    content_length: Value<'h>,
    transfer_encoding: Value<'h>,
    says_close: bool,
    says_keep_alive: bool,
}

/// The value of a header.
#[derive(Default, Clone, Copy)]
enum Value<'h> {
    #[default]
    None,
    One(&'h [u8]),
    More,
}

impl<'h> Values<'h> {
    fn add(&mut self, name: &HeaderName, value: &'h [u8]) {
        let place = match *name {
            HOST => &mut self.host,
            EXPECT => &mut self.expect,
            CONTENT_LENGTH => &mut self.content_length,
            TRANSFER_ENCODING => &mut self.transfer_encoding,
            CONNECTION => {
                let has = |word: &[u8]| options(value).any(|option| option.eq_ignore_ascii_case(word));
                self.says_close |= has(b"close");
                self.says_keep_alive |= has(b"keep-alive");
                return;
            }
            _ => return,
        };
        *place = match place {
            Value::None => Value::One(value),
            Value::One(_) | Value::More => Value::More,
        };
    }
}

/// The options in a `Connection` header.
pub(crate) fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn framing(values: &Values<'_>, is_http_11: bool) -> Result<Framing, Refusal> {
    match (values.content_length, values.transfer_encoding) {
        (Value::None, Value::None) => Ok(Framing::Length(0)),
        (Value::One(length), Value::None) => match parse_length(length) {
            Some(length) => Ok(Framing::Length(length)),
            None => Err(bad("the Content-Length is no number")),
        },
        (Value::More, Value::None) => Err(bad("the request has more than one Content-Length")),
        (Value::None, Value::One(_) | Value::More) if !is_http_11 => Err(bad("HTTP/1.0 has no Transfer-Encoding")),
        (Value::None, Value::One(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        (Value::None, Value::One(_) | Value::More) => Err(bad("the Transfer-Encoding is another one than chunked")),
        (Value::One(_) | Value::More, Value::One(_) | Value::More) => {
            Err(bad("the request has a Content-Length and a Transfer-Encoding"))
        }
    }
}

const MALFORMED: Refusal = bad("the head of the request is malformed");

const UNEXPECTED: Refusal =
    Refusal::new(StatusCode::EXPECTATION_FAILED, "the server meets no other expectation than 100-continue");

/// The answer to a head above the limit.
pub(crate) const fn too_large(why: &'static str) -> Refusal {
    Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, why)
}

fn check_host(host: &Value<'_>, head: &Bytes) -> Result<(), Refusal> {
    let is_host = |host: &[u8]| {
        !host.is_empty() && !host.contains(&b'@') && Authority::from_maybe_shared(head.slice_ref(host)).is_ok()
    };
    match host {
        Value::One(host) if is_host(host) => Ok(()),
        Value::One(_) => Err(bad("the Host header is malformed")),
        Value::None => Err(bad("the request has no Host header")),
        Value::More => Err(bad("the request has more than one Host header")),
    }
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

    fn check(head: &str) -> Result<Framing, Refusal> {
        read(&Bytes::copy_from_slice(head.as_bytes())).map(|head| head.framing)
    }

    fn of(headers: &str) -> Result<Framing, Refusal> {
        check(&format!("POST /a2a HTTP/1.1\r\n{headers}\r\n"))
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
        let old = check("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap_err();
        assert!(old.why.contains("HTTP/1.0"), "{}", old.why);
        assert_eq!(of("Host: a\r\nExpect: tea\r\n").unwrap_err().status, StatusCode::EXPECTATION_FAILED);
        let many = format!("Host: a\r\n{}", "X: 1\r\n".repeat(MOST_HEADERS));
        assert_eq!(of(&many).unwrap_err().status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        assert!(
            check("GET  / HTTP/1.1\r\nHost: a\r\n\r\n").is_err() && check("GET / HTTP/2.0\r\nHost: a\r\n\r\n").is_err()
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
