//! What an answer that is no good answer amounts to.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use molecule_proto::ErrorBody;

use crate::endpoint::Mismatch;
use crate::error::{Error, ErrorKind};
use crate::printable::ShownUrl;

const ROUTING_REMEDY: &str = "check the platform URL; hosted platforms also need the organisation id (MOLECULE_ORG_ID) \
                              and an Origin header (MOLECULE_ORIGIN must not be off)";

/// The server's own error body, if the answer has one.
pub(crate) fn error_body(answer: &Response<Bytes>) -> Option<ErrorBody> {
    serde_json::from_slice(answer.body()).ok()
}

/// The error for a status that the endpoint does not accept.
pub(crate) fn refused(
    operation: &'static str,
    answer: &Response<Bytes>,
    body: Option<&ErrorBody>,
    wait: Option<Duration>,
) -> Error {
    let status = answer.status();
    let error = |kind, cause: String| {
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
        StatusCode::UNAUTHORIZED => error(ErrorKind::Unauthorized, "the platform refused the bearer".to_owned())
            .remedy("register again, or set MOLECULE_WORKSPACE_TOKEN to a live token"),
        StatusCode::FORBIDDEN if answer.body().is_empty() => {
            error(ErrorKind::OriginRefused, "the platform refused the Origin header with an empty 403".to_owned())
                .remedy("set the Origin to the platform's own, or turn it off (MOLECULE_ORIGIN=off)")
        }
        _ if tenant_gate => error(ErrorKind::Routing, "the request names no organisation".to_owned())
            .remedy("set the organisation id (MOLECULE_ORG_ID)"),
        StatusCode::NOT_FOUND if body.is_none() && answer.body().trim_ascii() == b"404 page not found" => {
            error(ErrorKind::Unsupported, "this server does not offer it".to_owned())
                .remedy("use a newer platform, or do without")
        }
        StatusCode::NOT_FOUND if body.is_none() => {
            error(ErrorKind::Routing, "a 404 that is not the platform's".to_owned()).remedy(ROUTING_REMEDY)
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

/// The same for a route that every platform has: what does not offer it is no platform, or its base URL is another one.
pub(crate) fn elsewhere(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unsupported => error
            .of_kind(
                ErrorKind::Routing,
                "there is no such route, and every platform has it: its base URL is another one",
            )
            .remedy("check the platform URL, its path and its port"),
        _ => error,
    }
}

/// Whether the answer says of itself that it is a web page.
pub(crate) fn is_web_page(answer: &Response<Bytes>) -> bool {
    let is_html = |value: &HeaderValue| value.as_bytes().to_ascii_lowercase().starts_with(b"text/html");
    answer.headers().get(CONTENT_TYPE).is_some_and(is_html)
}

/// The error for an answer of an accepted status and another shape.
pub(crate) fn mismatch(operation: &'static str, answer: &Response<Bytes>, shape: &str, mismatch: Mismatch) -> Error {
    let status = answer.status();
    if is_web_page(answer) || answer.body().trim_ascii_start().starts_with(b"<") {
        return Error::new(ErrorKind::Routing, operation, "a web page was answered instead of JSON")
            .with_status(status)
            .remedy(ROUTING_REMEDY);
    }
    let place = mismatch.at.map(|(line, column)| format!(" (line {line}, column {column})")).unwrap_or_default();
    Error::new(ErrorKind::Protocol, operation, format!("the answer is not {shape}{place}"))
        .with_status(status)
        .remedy("check that the platform URL names the platform; a proxy may have changed the answer")
}

/// A location for an error: bounded, escaped, and without its user info and query, where sign-in pages carry tokens.
fn without_secrets(location: &str) -> String {
    ShownUrl(location).to_string().chars().take(200).collect()
}
