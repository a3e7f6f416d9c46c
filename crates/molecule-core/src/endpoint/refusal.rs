//! The errors of answers that are not good ones.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use molecule_proto::ErrorBody;

use crate::endpoint::Mismatch;
use crate::error::{Error, ErrorKind, printable};
use crate::printable::ShownUrl;
use crate::text::remedy::{check_route, give, give_org_id, give_token};

/// The platform's body of a 404 for a route that it does not have.
const NO_ROUTE: &[u8] = b"404 page not found";

/// Returns the server's error body, if the answer has one.
pub(crate) fn error_body(answer: &Response<Bytes>) -> Option<ErrorBody> {
    molecule_proto::json::read(answer.body()).ok()
}

/// Makes the error for a status that the endpoint does not accept.
pub(crate) fn refused(
    operation: &'static str,
    answer: &Response<Bytes>,
    body: Option<&ErrorBody>,
    wait: Option<Duration>,
) -> Error {
    told(operation, answer, Some(answer.body()), body, wait)
}

/// Makes the same error for an answer whose body is longer than the cap, and which therefore is none of the platform's
/// own errors.
pub(crate) fn refused_at_length(operation: &'static str, head: &Response<()>, wait: Option<Duration>) -> Error {
    told(operation, head, None, None, wait)
}

/// `text` is the whole body, unless it is longer than the cap.
fn told<B>(
    operation: &'static str,
    answer: &Response<B>,
    text: Option<&Bytes>,
    body: Option<&ErrorBody>,
    wait: Option<Duration>,
) -> Error {
    let status = answer.status();
    let wrapped = body.is_none().then(|| wrapping(answer.headers(), text.map_or(&[], |text| text))).flatten();
    let error = |kind, cause: String| {
        let cause = match &wrapped {
            Some(Wrapping::Hides(what) | Wrapping::Marks(what)) => format!("{cause} (its body is {what})"),
            None => cause,
        };
        Error::new(kind, operation, cause)
            .with_status(status)
            .with_body(body.and_then(|body| body.code.as_deref()), body.map(|body| body.error.as_str()))
            .with_retry_after(wait)
    };
    let tenant_gate = body.and_then(|body| body.code.as_deref()) == Some("TENANT_ORG_HEADER_REQUIRED");
    match status {
        _ if status.is_redirection() => {
            let location = answer.headers().get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
            let location = location.as_deref().map(without_secrets).unwrap_or_else(|| "nowhere".to_owned());
            error(
                ErrorKind::Redirected,
                format!("the answer is a redirect ({status}) to {location}, which is never followed"),
            )
            .with_location(location)
            .remedy("check the platform URL: a sign-in page or another address answers there")
        }
        StatusCode::UNAUTHORIZED if !body.is_some_and(is_about_a_token) => {
            error(ErrorKind::Unauthorized, "a 401 that is not the platform's".to_owned())
                .remedy("something before the platform refuses requests: try again later, or check the platform URL")
        }
        StatusCode::UNAUTHORIZED => error(ErrorKind::Unauthorized, "the platform refused the bearer".to_owned())
            .remedy(format!("register again, or with a live token: {}", give_token())),
        StatusCode::FORBIDDEN if text.is_some_and(Bytes::is_empty) => {
            error(ErrorKind::OriginRefused, "the platform refused the Origin header with an empty 403".to_owned())
                .remedy(format!(
                    "set the Origin to the platform's own, or turn it off: {}",
                    give("origin(OriginHeader::Off)", "MOLECULE_ORIGIN=off")
                ))
        }
        _ if tenant_gate => error(ErrorKind::Routing, "the request names no organisation".to_owned())
            .remedy(format!("say the organisation id: {}", give_org_id())),
        StatusCode::NOT_FOUND if body.is_none() && text.is_some_and(|text| text.trim_ascii() == NO_ROUTE) => {
            error(ErrorKind::Unsupported, "this server does not offer it".to_owned())
                .remedy("use a newer platform, or do without")
        }
        StatusCode::NOT_FOUND if body.is_none() => {
            error(ErrorKind::Routing, "a 404 that is not the platform's".to_owned()).remedy(check_route())
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            error(ErrorKind::Refused, "the request is too long".to_owned()).remedy("send less at a time")
        }
        StatusCode::TOO_MANY_REQUESTS => error(ErrorKind::RateLimited, "the rate limit is spent".to_owned())
            .retryable(true)
            .remedy("call less often: all agents of an organisation share its limit"),
        _ if status.is_server_error() => error(ErrorKind::Unavailable, format!("the platform answered {status}"))
            .retryable(true)
            .remedy("try again later"),
        _ => error(ErrorKind::Refused, format!("the platform answered {status}")),
    }
}

/// Returns whether a 401 is the platform's own: each of its texts names the token that is missing or refused (contract
/// sections 2.1 and 9.2). A 401 of a gateway or a framework says nothing about the bearer.
pub(crate) fn is_about_a_token(body: &ErrorBody) -> bool {
    names_a_token(&body.error)
}

/// Returns whether the platform itself refused the bearer.
pub(crate) fn is_the_platforms_401(error: &Error) -> bool {
    error.kind() == ErrorKind::Unauthorized && error.server_message().is_some_and(names_a_token)
}

fn names_a_token(message: &str) -> bool {
    message.contains("auth token") || message == "admin auth required"
}

/// Returns the error for a route that every platform has. If the answer says that there is no such route, the server is
/// no platform, or the base URL is wrong.
pub(crate) fn elsewhere(error: Error) -> Error {
    let is_missing = matches!(error.status(), Some(StatusCode::NOT_FOUND | StatusCode::GONE));
    match error.kind() {
        ErrorKind::Unsupported => error
            .of_kind(
                ErrorKind::Routing,
                "there is no such route, and every platform has it: its base URL is another one",
            )
            .remedy("check the platform URL, its path and its port"),
        ErrorKind::Refused if is_missing && error.server_message() != Some("workspace not found") => {
            let status = error.status().map(|status| status.to_string()).unwrap_or_default();
            error
                .of_kind(ErrorKind::Routing, format!("something else than the platform answered {status}"))
                .retryable(true)
                .remedy("try again later, since the platform may be deployed anew; if it stays, check the platform URL")
        }
        _ => error,
    }
}

/// Makes the error for an answer about another workspace.
pub(crate) fn of_another(operation: &'static str, status: StatusCode) -> Error {
    Error::new(ErrorKind::Routing, operation, "the answer is about another workspace")
        .with_status(status)
        .retryable(true)
        .remedy("check what stands before the platform: it may mix answers up")
}

/// Returns whether the answer is labelled as a web page.
pub(crate) fn is_web_page(headers: &HeaderMap) -> bool {
    let is_html = |value: &HeaderValue| value.as_bytes().to_ascii_lowercase().starts_with(b"text/html");
    headers.get(CONTENT_TYPE).is_some_and(is_html)
}

/// Returns whether a body begins as a web page does, however it is labelled. Other markup may be an agent's text.
pub(crate) fn begins_as_html(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    let begins = |word: &[u8]| body.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    begins(b"<!doctype html") || begins(b"<html")
}

/// Returns whether the answer is labelled as JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return false };
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii().to_ascii_lowercase();
    essence == b"application/json" || essence.ends_with(b"+json")
}

/// Makes the error for a 2xx whose body is longer than `cap` bytes.
pub(crate) fn too_large(operation: &'static str, head: &Response<()>, cap: u64) -> Error {
    if is_web_page(head.headers()) {
        return web_page(operation, head.status());
    }
    let cause = format!("the answer is larger than this endpoint's cap of {cap} bytes");
    let error = Error::new(ErrorKind::TooLarge, operation, cause).with_status(head.status());
    if is_json(head.headers()) {
        error.remedy("have less of it stored on the platform, or shorter texts")
    } else {
        error.remedy("check that the platform URL names the platform and not some other site")
    }
}

fn web_page(operation: &'static str, status: StatusCode) -> Error {
    Error::new(ErrorKind::Routing, operation, "a web page was answered instead of JSON")
        .with_status(status)
        .remedy(check_route())
}

/// Makes the error for an answer of an accepted status and another shape.
pub(crate) fn mismatch(operation: &'static str, answer: &Response<Bytes>, shape: &str, mismatch: Mismatch) -> Error {
    let status = answer.status();
    if is_web_page(answer.headers()) || answer.body().trim_ascii_start().starts_with(b"<") {
        return web_page(operation, status);
    }
    let error = |kind, cause: String| Error::new(kind, operation, cause).with_status(status);
    if let Some(Wrapping::Hides(what) | Wrapping::Marks(what)) = wrapping(answer.headers(), answer.body()) {
        return error(ErrorKind::Protocol, format!("the answer is {what}, and not {shape}"))
            .remedy("have what stands before the platform pass its answers on as they are");
    }
    if mismatch.is_too_large {
        return error(ErrorKind::TooLarge, "the answer has more values than are read at once".to_owned())
            .remedy("ask for less at a time");
    }
    let place = mismatch.at.map(|(line, column)| format!(" (line {line}, column {column})")).unwrap_or_default();
    error(ErrorKind::Protocol, format!("the answer is not {shape}{place}"))
        .remedy("check that the platform URL names the platform; a proxy may have changed the answer")
}

/// The encoding or mark around an answer's text, if it is not plain UTF-8.
pub(crate) enum Wrapping {
    /// The text cannot be read: it has an encoding that was not asked for, or is UTF-16.
    Hides(String),
    /// A byte order mark precedes text that can be read.
    Marks(String),
}

/// Returns the encoding or mark around the text of an answer with these headers.
pub(crate) fn wrapping(headers: &HeaderMap, body: &[u8]) -> Option<Wrapping> {
    let encodings = headers.get_all(CONTENT_ENCODING).iter();
    let mut names = encodings.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let encoded = names.rfind(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
    if let Some(name) = encoded {
        let name = printable(&String::from_utf8_lossy(name));
        return Some(Wrapping::Hides(format!("encoded as {name}, which nobody asked for")));
    }
    match body {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some(Wrapping::Hides("UTF-16, as its byte order mark says".to_owned())),
        [0xef, 0xbb, 0xbf, ..] => Some(Wrapping::Marks("text that begins with a byte order mark".to_owned())),
        _ => None,
    }
}

/// Returns a location for an error: bounded, escaped, and without user info and query, in which sign-in pages carry
/// tokens.
fn without_secrets(location: &str) -> String {
    ShownUrl(location).to_string().chars().take(200).collect()
}
