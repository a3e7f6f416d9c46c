//! The endpoints of a workspace's memory, as a register with compare-and-set (contract section 18.1; April 11).
//!
//! There is no endpoint here that writes without a version, deletes, or sets a lifetime: each of them would let two writers
//! believe in one version.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use molecule_proto::{
    ErrorBody, MemoryConflict, MemoryEntry, MemoryKey, SetMemoryAnswer, SetMemoryRequest, WorkspaceId, path,
    refuse_nul_in_json,
};
use serde_json::Value;

use super::{Endpoint, Mismatch, Repeat, json};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Auth, Draft};

/// The longest value that is written, in bytes of JSON. The platform takes far more, but every list of the memory has all
/// values.
const MAX_VALUE: usize = 256 * 1024;

/// `GET /workspaces/:self/memory/:key`: the entry, or `None` if there is none (contract section 18.1). At most 1 MiB.
///
/// Both servers refuse the bearer (`Unauthorized`) while their database is down as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadMemory(pub MemoryKey);

impl Endpoint for ReadMemory {
    type Answer = Option<MemoryEntry>;
    const OPERATION: &'static str = "read the memory";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with key, value and version";
    const EVERYWHERE: bool = true;
    const MAX_BODY: u64 = 1024 * 1024;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, path::memory_entry(workspace, &self.0), Auth::Bearer))
    }

    /// Only the platform's own words say that there is no entry.
    fn accepts(&self, answer: &Response<Bytes>) -> bool {
        let is_missing = || json::<ErrorBody>(answer).is_ok_and(|body| body.error == "key not found");
        answer.status().is_success() || (answer.status() == StatusCode::NOT_FOUND && is_missing())
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        if answer.status() == StatusCode::NOT_FOUND { Ok(None) } else { json(answer).map(Some) }
    }
}

/// `POST /workspaces/:self/memory` with a version, a compare-and-set (contract section 18.1). The value has at most 256 KiB.
///
/// It is sent once: a request that may have arrived is an error whose outcome nobody knows, and only a
/// [read](ReadMemory) tells. A 500 is such an outcome, too.
#[derive(Clone, PartialEq)]
pub struct SetMemory(SetMemoryRequest);

/// The outcome of a [`SetMemory`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryWrite {
    /// The value is stored under this version.
    Done(u64),
    /// The entry has another version; `None` if there is no entry. An earlier write of one's own whose answer was lost may
    /// be the reason.
    Conflict(Option<u64>),
}

impl SetMemory {
    /// Replaces the entry with this version; creates one if the version is 0.
    pub fn new(key: MemoryKey, value: Value, version: u64) -> Self {
        Self(SetMemoryRequest::new(key, value, version))
    }
}

impl Endpoint for SetMemory {
    type Answer = MemoryWrite;
    const OPERATION: &'static str = "write the memory";
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "an object with key and version";
    const EVERYWHERE: bool = true;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        let value = self.0.value.to_string();
        refuse_nul_in_json("the value", &value)?;
        if value.len() > MAX_VALUE {
            let cause = format!("the value has {} bytes, and at most {MAX_VALUE} are written", value.len());
            return Err(Error::new(ErrorKind::TooLarge, Self::OPERATION, cause).remedy("keep less under one key"));
        }
        Draft::new(Method::POST, path::memory(workspace), Auth::Bearer).json(&self.0)
    }

    fn accepts(&self, answer: &Response<Bytes>) -> bool {
        let is_conflict = || {
            json::<MemoryConflict>(answer).is_ok_and(|conflict| conflict.error.starts_with("if_match_version mismatch"))
        };
        answer.status().is_success() || (answer.status() == StatusCode::CONFLICT && is_conflict())
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        if answer.status() == StatusCode::CONFLICT {
            return Ok(MemoryWrite::Conflict(json::<MemoryConflict>(answer)?.current_version));
        }
        let answer: SetMemoryAnswer = json(answer)?;
        if answer.key != self.0.key.as_str() {
            return Err(Mismatch::new());
        }
        Ok(MemoryWrite::Done(answer.version))
    }
}

impl std::fmt::Debug for SetMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SetMemory({}, version {})", self.0.key, self.0.if_match_version)
    }
}
