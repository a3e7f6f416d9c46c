//! Answers in the servers' formats.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use molecule_proto::ErrorBody;
use serde::Serialize;

use crate::answer::Ticket;

pub(crate) type Response = http::Response<Bytes>;

/// An answer, or the ticket of a later one or of a stream.
pub(crate) enum Handled {
    Now(Response),
    Later(Ticket),
    Stream(Ticket),
}

impl From<Response> for Handled {
    fn from(response: Response) -> Self {
        Self::Now(response)
    }
}

/// An answer of the form `{"error": …}`, small enough to be an `Err`.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: Cow<'static, str>,
    code: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: impl Into<Cow<'static, str>>) -> Self {
        Self { status, error: error.into(), code: None }
    }

    pub(crate) fn bad_request(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    pub(crate) fn unauthorized(error: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, error)
    }

    pub(crate) fn not_found(error: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }

    pub(crate) fn internal(error: &'static str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error)
    }

    /// The answer while the database is unreachable (contract section 1.4).
    pub(crate) fn unavailable() -> Self {
        let error = "platform datastore unavailable — retry shortly";
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error: error.into(), code: Some("platform_unavailable") }
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        let mut body = ErrorBody::new(refusal.error);
        body.code = refusal.code.map(str::to_owned);
        json(refusal.status, &body)
    }
}

/// A JSON answer with the content type of both servers.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let text = serde_json::to_vec(body).expect("bodies have text keys and numbers that are finite or written as null");
    with_type(status, "application/json; charset=utf-8", text)
}

/// `200` with a JSON body.
pub(crate) fn ok(body: &impl Serialize) -> Response {
    json(StatusCode::OK, body)
}

/// JSON with sorted keys and a content type without a charset: the answers that replace an agent's.
pub(crate) fn plain_json(status: StatusCode, body: &impl Serialize) -> Response {
    let value =
        serde_json::to_value(body).expect("bodies have text keys and numbers that are finite or written as null");
    with_type(status, "application/json", value.to_string().into_bytes())
}

/// An agent's own answer. Its content type is always JSON, whatever the body is.
pub(crate) fn relayed(status: StatusCode, body: Bytes) -> Response {
    let mut response = with_type(status, "application/json", Vec::new());
    *response.body_mut() = body;
    response
}

/// A 204 with the content type that a body would have.
pub(crate) fn no_content() -> Response {
    with_type(StatusCode::NO_CONTENT, "application/json; charset=utf-8", Vec::new())
}

/// An answer without body and content type: the refusals of the tenant gate and of a foreign `Origin`.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// The answer for an unknown route, or for a known one with another method.
pub(crate) fn no_route(method: &Method) -> Response {
    let text = if method == Method::HEAD { "" } else { "404 page not found" };
    with_type(StatusCode::NOT_FOUND, "text/plain", text.as_bytes().to_vec())
}

/// The redirect to the path without its last slash.
pub(crate) fn moved(method: &Method, location: &str) -> Response {
    let mut response = if method == Method::GET {
        let page = format!("<a href=\"{location}\">Moved Permanently</a>.\n\n");
        with_type(StatusCode::MOVED_PERMANENTLY, "text/html; charset=utf-8", page.into_bytes())
    } else {
        empty(StatusCode::TEMPORARY_REDIRECT)
    };
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(http::header::LOCATION, location);
    }
    response
}

fn with_type(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
