//! Endpoints whose answer is JSON, and the decoder of such an answer.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Method, Response};
use molecule_proto::json::Unreadable;
use molecule_proto::{Rows, WorkspaceId};
use serde::de::DeserializeOwned;

use super::{Endpoint, Mints, Repeat};
use crate::error::Result;
use crate::session::{Auth, Draft};

/// An ordinary endpoint: a path, perhaps a JSON body, and an answer in JSON. This declaration makes it an [`Endpoint`],
/// whose docs describe the constants.
pub trait JsonEndpoint: Send + Sync + 'static {
    /// The type of a good answer.
    type Answer: DeserializeOwned + Send + 'static;
    /// The operation's name for errors, such as `pull secrets`.
    const OPERATION: &'static str;
    /// The request's method.
    const METHOD: Method = Method::GET;
    /// Whether a request that may have arrived may be sent again.
    const REPEAT: Repeat;
    /// The shape of a good answer, such as `an object with a status`, for the error if the answer has another shape.
    const SHAPE: &'static str;
    /// The cap of an answer's body in bytes.
    const MAX_BODY: u64 = 64 * 1024;
    /// Whether the request has the header `X-Workspace-ID`, which says which workspace asks.
    const NAMED: bool = false;
    /// Whether every platform has this route.
    const EVERYWHERE: bool = false;
    /// Whether the request may be sent without a bearer.
    const WITHOUT_BEARER: bool = false;
    /// Whether the answer may carry a token, which is shown only once.
    const MINTS: Mints = Mints::Never;

    /// Returns the path below the platform's base URL, for the agent's own workspace.
    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str>;

    /// Returns the credential that the request carries; the workspace's bearer by default.
    fn auth(&self) -> Auth {
        Auth::Bearer
    }

    /// Gives the request its body, as [`Draft::json`] does; no body by default.
    ///
    /// # Errors
    /// `Config` if a value cannot be sent.
    fn body(&self, draft: Draft, _: &WorkspaceId) -> Result<Draft> {
        Ok(draft)
    }

    /// Decodes a 2xx answer; as JSON of [`Answer`](Self::Answer) by default.
    ///
    /// # Errors
    /// [`Mismatch`] if it does not have the [`SHAPE`](Self::SHAPE).
    fn read(answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        json(answer)
    }
}

impl<E: JsonEndpoint> Endpoint for E {
    type Answer = <E as JsonEndpoint>::Answer;
    const OPERATION: &'static str = <E as JsonEndpoint>::OPERATION;
    const REPEAT: Repeat = <E as JsonEndpoint>::REPEAT;
    const SHAPE: &'static str = <E as JsonEndpoint>::SHAPE;
    const MAX_BODY: u64 = <E as JsonEndpoint>::MAX_BODY;
    const EVERYWHERE: bool = <E as JsonEndpoint>::EVERYWHERE;
    const WITHOUT_BEARER: bool = <E as JsonEndpoint>::WITHOUT_BEARER;
    const MINTS: Mints = <E as JsonEndpoint>::MINTS;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        let draft = Draft::new(E::METHOD, self.path(workspace), self.auth());
        self.body(if E::NAMED { draft.named() } else { draft }, workspace)
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        E::read(answer)
    }
}

/// An answer does not have the shape that the endpoint expects. The error never quotes the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The line and the column at which decoding stopped, if they are known.
    pub at: Option<(usize, usize)>,
    /// Whether the answer was not decoded at all, since its values would take more memory than
    /// [`MAX_MEMORY`](molecule_proto::json::MAX_MEMORY).
    pub is_too_large: bool,
}

impl Mismatch {
    /// Makes a mismatch without a position, such as a key of the wrong kind.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the position at which decoding stopped.
    #[must_use]
    pub fn at(mut self, line: usize, column: usize) -> Self {
        self.at = Some((line, column));
        self
    }
}

impl From<serde_json::Error> for Mismatch {
    fn from(error: serde_json::Error) -> Self {
        Unreadable::from(error).into()
    }
}

impl From<Unreadable> for Mismatch {
    fn from(why: Unreadable) -> Self {
        match why {
            Unreadable::Mismatch { at } => Self { at, is_too_large: false },
            Unreadable::TooManyValues => Self { at: None, is_too_large: true },
            // Variants of a later `molecule-proto`, which the pinned versions exclude.
            _ => Self::default(),
        }
    }
}

/// Decodes an answer's body as JSON, repaired and bounded as [`molecule_proto::json`] describes.
///
/// # Errors
/// [`Mismatch`] if it is not JSON of this type.
pub fn json<T: DeserializeOwned>(answer: &Response<Bytes>) -> Result<T, Mismatch> {
    Ok(molecule_proto::json::read(answer.body())?)
}

/// Decodes an answer's body as a list. Rows that cannot be decoded are left out and counted.
///
/// # Errors
/// [`Mismatch`] if it is not a list.
pub fn rows<T: DeserializeOwned>(answer: &Response<Bytes>) -> Result<Rows<T>, Mismatch> {
    Ok(molecule_proto::json::rows(answer.body())?)
}
