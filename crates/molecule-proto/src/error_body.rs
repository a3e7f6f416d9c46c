//! The body of almost every error (contract section 1.4).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lenient::{or_default, word};
use crate::status::WorkspaceStatus;

/// `{"error": "<text>"}` with optional extra keys.
///
/// A body whose `error` is not a string (a relayed JSON-RPC error of an agent) does not decode as this type. An invalid
/// value in another field reads as absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorBody {
    /// The error, for people.
    pub error: String,
    /// The error, for programs: `platform_unavailable`, `TENANT_ORG_HEADER_REQUIRED` ….
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub code: Option<String>,
    /// The remedy, for people.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub hint: Option<String>,
    /// The reason.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub reason: Option<String>,
    /// Details of the error: a string or an object.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub detail: Option<Value>,
    /// Seconds to wait; also in the `Retry-After` header.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub retry_after: Option<u64>,
    /// The status of a workspace that cannot be discovered (contract section 6.2).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "word")]
    pub status: Option<WorkspaceStatus>,
    /// Whether the request may be repeated later; sent for a queued call that was not found (contract section 11).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub retryable: Option<bool>,
    /// The header that the tenant gate requires.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub required_header: Option<String>,
    /// Secrets that could not be decrypted (contract section 8).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub failed_keys: Option<Vec<String>>,
}

impl ErrorBody {
    /// A body with a text only.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), ..Self::default() }
    }
}
