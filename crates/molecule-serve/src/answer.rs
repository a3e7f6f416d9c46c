//! Answers, as they are written.

use std::io::Write as _;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{Response, StatusCode, Version};
use molecule_core::machines::Refusal;

use crate::head::options;

/// The longest body that is written in one piece with its head.
const SHORT: usize = 16 * 1024;

/// What becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Closed,
    /// It stays open for a client of this version.
    Open(Version),
}

/// The bytes of an answer: the head, perhaps with the body, and the body if it is still to come. `date` is the time as HTTP
/// writes it.
pub(crate) fn written(answer: Response<Bytes>, is_head: bool, ending: Ending, date: &[u8]) -> (Bytes, Bytes) {
    let (parts, body) = answer.into_parts();
    // An interim answer is none, and an application's hook may make one.
    if parts.status.is_informational() {
        return written(failed(), is_head, ending, date);
    }
    let has_no_body = matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = if has_no_body { Bytes::new() } else { body };
    let mut bytes = Vec::with_capacity(256 + if body.len() <= SHORT { body.len() } else { 0 });
    bytes.extend_from_slice(b"HTTP/1.1 ");
    bytes.extend_from_slice(parts.status.as_str().as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(parts.status.canonical_reason().unwrap_or_default().as_bytes());
    for (name, value) in &parts.headers {
        // What delimits the answer is written below, whatever a hook says.
        if ![CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, DATE].contains(name) {
            header(&mut bytes, name.as_str(), value.as_bytes());
        }
    }
    // A hook that answers `HEAD` may know how long the body would be.
    match parts.headers.get(CONTENT_LENGTH).filter(|_| is_head && body.is_empty()) {
        _ if has_no_body => {}
        Some(length) => header(&mut bytes, CONTENT_LENGTH.as_str(), length.as_bytes()),
        None => write!(bytes, "\r\ncontent-length: {}", body.len()).expect("a vector takes everything"),
    }
    match ending {
        Ending::Closed => header(&mut bytes, "connection", b"close"),
        Ending::Open(Version::HTTP_10) => header(&mut bytes, "connection", b"keep-alive"),
        Ending::Open(_) => {}
    }
    header(&mut bytes, "date", date);
    bytes.extend_from_slice(b"\r\n\r\n");
    if is_head || body.len() > SHORT {
        return (bytes.into(), if is_head { Bytes::new() } else { body });
    }
    bytes.extend_from_slice(&body);
    (bytes.into(), Bytes::new())
}

fn header(bytes: &mut Vec<u8>, name: &str, value: &[u8]) {
    for piece in [&b"\r\n"[..], name.as_bytes(), b": ", value] {
        bytes.extend_from_slice(piece);
    }
}

/// Whether an answer says that its connection is closed after it.
pub(crate) fn says_close<B>(answer: &Response<B>) -> bool {
    let mut values = answer.headers().get_all(CONNECTION).iter();
    values.any(|value| options(value.as_bytes()).any(|option| option.eq_ignore_ascii_case(b"close")))
}

/// The answer where the application's own code panicked.
pub(crate) fn failed() -> Response<Bytes> {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the agent failed").keeping_the_connection().answer()
}

/// The answer to bytes that are no request, with its head.
pub(crate) fn last_words(refusal: Refusal) -> String {
    let (status, words) = (refusal.status, format!("{{\"error\":\"{}\"}}", refusal.why));
    let length = words.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{words}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: Response<Bytes>, is_head: bool, ending: Ending) -> String {
        let (head, body) = written(answer, is_head, ending, b"now");
        String::from_utf8([head, body].concat()).expect("a text")
    }

    fn of_hook(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Response<Bytes> {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        answer.body(body.into()).expect("an answer")
    }

    #[test]
    fn an_answer_says_once_where_it_ends_whatever_a_hook_says() {
        let open = Ending::Open(Version::HTTP_11);
        let odd = [("content-length", "99"), ("transfer-encoding", "chunked"), ("date", "then"), ("x-a", "b")];
        for (answer, is_head, ending, expected) in [
            (of_hook(200, &odd, "hi"), false, open, "200 OK\r\nx-a: b\r\ncontent-length: 2\r\ndate: now\r\n\r\nhi"),
            (of_hook(200, &odd, ""), true, open, "200 OK\r\nx-a: b\r\ncontent-length: 99\r\ndate: now\r\n\r\n"),
            (of_hook(200, &[], "hi"), true, open, "200 OK\r\ncontent-length: 2\r\ndate: now\r\n\r\n"),
            (of_hook(204, &odd, "hi"), false, open, "204 No Content\r\nx-a: b\r\ndate: now\r\n\r\n"),
            (of_hook(299, &[], ""), false, open, "299 \r\ncontent-length: 0\r\ndate: now\r\n\r\n"),
            (
                of_hook(404, &[("connection", "close, x")], ""),
                false,
                Ending::Closed,
                "404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\ndate: now\r\n\r\n",
            ),
        ] {
            assert_eq!(text(answer, is_head, ending), format!("HTTP/1.1 {expected}"));
        }
        let interim = text(of_hook(103, &[], ""), false, open);
        assert!(interim.starts_with("HTTP/1.1 500 "), "{interim}");
    }

    #[test]
    fn a_long_body_is_not_copied() {
        let body = Bytes::from(vec![b'x'; SHORT + 1]);
        let (head, rest) = written(Response::new(body.clone()), false, Ending::Closed, b"now");
        assert!(head.ends_with(b"\r\n\r\n") && rest == body && rest.as_ptr() == body.as_ptr());
    }

    #[test]
    fn a_hook_may_have_the_connection_closed() {
        for (value, closes) in [("close", true), ("keep-alive, Close", true), ("keep-alive", false), ("closed", false)]
        {
            assert_eq!(says_close(&of_hook(200, &[("connection", value)], "")), closes, "{value}");
        }
    }
}
