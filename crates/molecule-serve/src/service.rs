//! What the connections need of whoever answers requests.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::request::Parts;

use crate::body::Pieces;

/// The answers of one server.
pub(crate) trait Service: Send + Sync + 'static {
    /// Who calls.
    type Caller: Send + 'static;

    /// Judges a head before a byte of the body is read.
    fn admit(&self, head: &Parts, from: IpAddr) -> Admission<Self::Caller>;

    /// Answers a call. The future is dropped if the caller hangs up.
    fn call(&self, caller: Self::Caller, head: Parts, body: Bytes) -> impl Future<Output = Answer> + Send;

    /// Takes the files of a form.
    fn ingest(&self, head: Parts, body: Pieces<'_>) -> impl Future<Output = Answer> + Send;

    /// Answers another request of the platform.
    fn other(&self, head: Parts, body: Bytes) -> impl Future<Output = Answer> + Send;
}

/// What becomes of a request.
pub(crate) enum Admission<C> {
    /// It is answered without its body.
    Answer(Response<Bytes>),
    /// Its body is read, and is a call.
    Call(C),
    /// Its body is a form with files.
    Ingest,
    /// It is for the application's hook, with its body.
    Other,
    /// Its head is judged again after this time.
    Later(Duration),
    /// The connection is closed without an answer.
    Cut,
}

/// What a request gets.
pub(crate) enum Answer {
    Ready(Response<Bytes>),
    /// The connection is closed without an answer.
    Cut,
}
