//! Answers and faults of a platform or of a gateway before it.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use molecule_core::effect::{Fault, FaultKind, Outcome, Sent};

/// An answer to a request.
#[derive(Debug, Clone)]
pub struct Answer(Response<Bytes>);

impl Answer {
    pub fn empty(status: u16) -> Self {
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
        Self(answer)
    }

    pub fn text(status: u16, body: impl Into<String>) -> Self {
        let mut answer = Self::empty(status);
        *answer.0.body_mut() = Bytes::from(body.into());
        answer
    }

    pub fn bytes(body: Bytes) -> Self {
        let mut answer = Self::empty(200);
        *answer.0.body_mut() = body;
        answer
    }

    pub fn json(status: u16, body: serde_json::Value) -> Self {
        Self::text(status, body.to_string()).header("content-type", "application/json")
    }

    /// `{"error": …}`.
    pub fn error(status: u16, error: &str) -> Self {
        Self::json(status, serde_json::json!({ "error": error }))
    }

    pub fn html(status: u16) -> Self {
        Self::text(status, "<!doctype html><title>Sign in</title>").header("content-type", "text/html; charset=utf-8")
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().insert(name, value.parse().unwrap());
        self
    }

    /// The same answer with a body above the endpoint's cap.
    pub fn above_cap(self) -> Outcome {
        let (head, _) = self.0.into_parts();
        Outcome::Failed(Fault::too_large(Response::from_parts(head, ())))
    }

    pub fn outcome(self) -> Outcome {
        Outcome::Response(self.0)
    }
}

/// When a request gets its outcome.
pub enum Reply {
    Now(Outcome),
    After(Duration, Outcome),
    Never,
}

impl Reply {
    /// The same time with another outcome.
    pub fn map(self, change: impl FnOnce(Outcome) -> Outcome) -> Self {
        match self {
            Self::Now(outcome) => Self::Now(change(outcome)),
            Self::After(wait, outcome) => Self::After(wait, change(outcome)),
            Self::Never => Self::Never,
        }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Now(answer.outcome())
    }
}

impl From<Outcome> for Reply {
    fn from(outcome: Outcome) -> Self {
        Self::Now(outcome)
    }
}

/// A fault of a request that may have arrived.
pub fn fault(kind: FaultKind) -> Outcome {
    Outcome::Failed(Fault::new(Sent::Maybe, kind))
}

/// A fault of a request that was certainly not sent.
pub fn unsent(kind: FaultKind) -> Outcome {
    Outcome::Failed(Fault::new(Sent::No, kind))
}
