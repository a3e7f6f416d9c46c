//! Answers, as hyper sends them, and those that are sent without it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};

use crate::head::Refusal;
use crate::wire::Course;

/// The body of an answer, which says when hyper has taken it.
pub(crate) struct AnswerBody {
    bytes: Bytes,
    course: Arc<Course>,
}

impl AnswerBody {
    pub(crate) fn new(bytes: Bytes, course: Arc<Course>) -> Self {
        Self { bytes, course }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.course.taken();
    }
}

/// Says that the connection is closed after the answer.
pub(crate) fn close_after<B>(answer: &mut Response<B>) {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}

/// An answer of JSON.
pub(crate) fn json_answer(status: StatusCode, body: String) -> Response<Bytes> {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// `{"error": …}`, as the platform writes and reads it. The text is one of this crate's own, and needs no escapes.
pub(crate) fn error_answer(status: StatusCode, error: &str) -> Response<Bytes> {
    json_answer(status, format!("{{\"error\":\"{error}\"}}"))
}

/// The answer where the application's own code panicked.
pub(crate) fn failed() -> Response<Bytes> {
    error_answer(StatusCode::INTERNAL_SERVER_ERROR, "the agent failed")
}

/// The answer to what is no good request.
pub(crate) fn refused(refusal: Refusal) -> Response<Bytes> {
    let mut answer = error_answer(refusal.status, refusal.why);
    if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    close_after(&mut answer);
    answer
}

/// The answer to bytes that are no request, with its head.
pub(crate) fn last_words(refusal: Refusal) -> String {
    let (status, words) = (refusal.status, format!("{{\"error\":\"{}\"}}", refusal.why));
    let length = words.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{words}"
    )
}
