//! A line of the log.

use bytes::Bytes;
use http::Request;
use molecule_platform::{Digest, Input, Now, Recorded};
use serde::{Deserialize, Serialize};

use super::delta::Like;
use crate::chaos::{Chaos, Fault};

/// A line of the log as a value.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// An input of the model.
    Input(Recorded, Option<About>),
    /// Something that the model does not see.
    Note(Now, Note),
}

/// What people want to know of an input, and the model does not need.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct About {
    /// The method and URL of the call that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<String>,
    /// The line at which the call began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) began: Option<u64>,
    /// The reads that the line stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reads: Option<Reads>,
    /// The fault that the request met on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chaos: Option<Fault>,
}

/// What happened beside the model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Note {
    /// The program started, with this version of the model. `mismatches` lines before did not replay as they were
    /// recorded, and were told.
    Started {
        model: String,
        #[serde(default)]
        mismatches: u64,
    },
    /// The clock was moved forward.
    Forward { ms: u64 },
    /// The faults on purpose were changed.
    Chaos(Chaos),
    /// Reads without a token were repeated.
    Reads(Reads),
    /// A request was answered by a fault on purpose; the model did not see it.
    Hit { input: Box<Input>, fault: Fault },
}

/// Reads that were repeated, and gave the same answer each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reads {
    /// The line of the last one that was written.
    pub(crate) line: u64,
    pub(crate) count: u64,
    #[serde(with = "molecule_platform::at")]
    pub(crate) first: Now,
    #[serde(with = "molecule_platform::at")]
    pub(crate) last: Now,
    /// The method and the target.
    pub(crate) call: String,
}

impl Entry {
    pub(crate) fn at(&self) -> Now {
        match self {
            Self::Input(recorded, _) => recorded.at,
            Self::Note(at, _) => *at,
        }
    }
}

/// A line as it is written: exactly one of `input`, `like` and `note`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Raw {
    #[serde(with = "molecule_platform::at")]
    pub(super) at: Now,
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<Input>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) like: Option<Like>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<Note>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) about: Option<About>,
    #[serde(default, rename = "out", skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<Digest>,
}

impl Raw {
    /// The request that the line has in full.
    pub(super) fn request(self) -> Option<Request<Bytes>> {
        match self.input {
            Some(Input::Request { request, .. }) => Some(request),
            _ => None,
        }
    }
}

pub(super) fn parse(text: &[u8]) -> Result<Raw, String> {
    serde_json::from_slice(text).map_err(|error| error.to_string())
}
