//! How an answer reads that is JSON.

use bytes::Bytes;
use http::Response;
use molecule_proto::Rows;
use molecule_proto::json::Unreadable;
use serde::de::DeserializeOwned;

use crate::error::Result;

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
