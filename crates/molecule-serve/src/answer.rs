//! Answers, as hyper sends them, and those that are sent without it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use molecule_core::machines::Refusal;

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
