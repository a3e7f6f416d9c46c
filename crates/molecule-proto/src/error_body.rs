//! The body of nearly every error (contract section 1.4).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lenient::{or_default, word};
use crate::status::WorkspaceStatus;

/// `{"error": "<text>"}` with optional extra keys.
///
/// A body whose `error` is no string (an agent's own JSON-RPC error, relayed) does not decode as this type; an odd value
/// elsewhere reads as absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorBody {
    /// What went wrong, for people.
    pub error: String,
    /// What went wrong, for programs: `platform_unavailable`, `TENANT_ORG_HEADER_REQUIRED` ….
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub code: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub hint: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub reason: Option<String>,
    /// More about it; a text or an object.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub detail: Option<Value>,
    /// Seconds to wait; also in the `Retry-After` header.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub retry_after: Option<u64>,
    /// The status of a workspace that cannot be discovered (contract section 6.2).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "word")]
    pub status: Option<WorkspaceStatus>,
    /// Whether the same may be asked again later, of a waiting call that was not found (contract section 11).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub retryable: Option<bool>,
    /// The header that the tenant gate misses.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub required_header: Option<String>,
    /// Secrets that could not be decrypted (contract section 8).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub failed_keys: Option<Vec<String>>,
}

impl ErrorBody {
    /// A body with its text alone.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), ..Self::default() }
    }
}
