//! Endpoints whose answer is JSON, and how such an answer reads.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Method, Response};
use molecule_proto::json::Unreadable;
use molecule_proto::{Rows, WorkspaceId};
use serde::de::DeserializeOwned;

use super::{Endpoint, Mints, Repeat};
use crate::error::Result;
use crate::session::{Auth, Draft};

/// An ordinary endpoint: a path, perhaps a JSON body, and an answer that is JSON. Its declaration makes it an [`Endpoint`]; the
/// constants mean what they mean there.
pub trait JsonEndpoint: Send + Sync + 'static {
    /// What a good answer is.
    type Answer: DeserializeOwned + Send + 'static;
    /// What the call does, for errors: `pull secrets`.
    const OPERATION: &'static str;
    /// The request's method.
    const METHOD: Method = Method::GET;
    /// Whether a request that may have arrived may be sent again.
    const REPEAT: Repeat;
    /// The shape of a good answer, for the error when it has another one: `an object with a status`.
    const SHAPE: &'static str;
    /// The largest answer in bytes.
    const MAX_BODY: u64 = 64 * 1024;
    /// Whether the request says which workspace asks: `X-Workspace-ID`.
    const NAMED: bool = false;
    /// Whether every platform has this route.
    const EVERYWHERE: bool = false;
    /// Whether it makes sense without a bearer.
    const WITHOUT_BEARER: bool = false;
    /// Whether its answer may carry a token that is shown once.
    const MINTS: Mints = Mints::Never;

    /// The path below the platform's base URL, for the agent's own workspace.
    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str>;

    /// Which credential the request carries: the workspace's bearer, unless said otherwise.
    fn auth(&self) -> Auth {
        Auth::Bearer
    }

    /// Gives the request its body, as [`Draft::json`] does: it has none, unless said otherwise.
    ///
    /// # Errors
    /// `Config` if a value cannot be sent.
    fn body(&self, draft: Draft, _: &WorkspaceId) -> Result<Draft> {
        Ok(draft)
    }

    /// Reads a 2xx: as JSON of [`Answer`](Self::Answer), unless said otherwise.
    ///
    /// # Errors
    /// [`Mismatch`] if it is not of [`SHAPE`](Self::SHAPE).
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

/// An answer that is not of the shape that was due. It never quotes the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// Line and column where reading stopped, where there are any.
    pub at: Option<(usize, usize)>,
    /// Whether it was not read at all, since its values would take more memory than
    /// [`MAX_MEMORY`](molecule_proto::json::MAX_MEMORY).
    pub is_too_large: bool,
}

impl Mismatch {
    /// A mismatch that has no place, such as a key of the wrong kind.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says where reading stopped.
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
            // Of a later proto, which the pinned versions rule out.
            _ => Self::default(),
        }
    }
}

/// Reads an answer's body as JSON, repaired and bounded as [`molecule_proto::json`] says.
///
/// # Errors
/// [`Mismatch`] if it is not JSON of this type.
pub fn json<T: DeserializeOwned>(answer: &Response<Bytes>) -> Result<T, Mismatch> {
    Ok(molecule_proto::json::read(answer.body())?)
}

/// The same for a list, of which rows that make no sense are left out and counted.
///
/// # Errors
/// [`Mismatch`] if it is no list.
pub fn rows<T: DeserializeOwned>(answer: &Response<Bytes>) -> Result<Rows<T>, Mismatch> {
    Ok(molecule_proto::json::rows(answer.body())?)
}
