//! Files that the platform holds for a poll agent (contract section 17). Not on April's server.

use serde::{Deserialize, Serialize};

/// Answer of `POST /workspaces/:id/chat/uploads` for a poll agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UploadAnswer {
    /// The files, in the order of the request.
    pub files: Vec<UploadedFile>,
}

/// A file that the platform holds for a poll agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UploadedFile {
    /// `platform-pending:<workspace>/<file id>`.
    pub uri: String,
    /// The file's name, cleaned: without folders, with `_` for all but ASCII letters, digits, `.`, `-` and `_`.
    pub name: String,
    /// The MIME type that its sender stated; `""` if there was none.
    #[serde(default)]
    pub mime_type: String,
    /// Its length in bytes.
    #[serde(default)]
    pub size: u64,
}

impl UploadAnswer {
    /// Makes the answer.
    pub fn new(files: impl IntoIterator<Item = UploadedFile>) -> Self {
        Self { files: files.into_iter().collect() }
    }
}

impl UploadedFile {
    /// Makes a file without a MIME type.
    pub fn new(uri: impl Into<String>, name: impl Into<String>, size: u64) -> Self {
        Self { uri: uri.into(), name: name.into(), mime_type: String::new(), size }
    }
}

/// Answer of `POST /workspaces/:id/pending-uploads/:file_id/ack`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UploadAckAnswer {
    /// Whether the file is acknowledged: `true`.
    #[serde(default)]
    pub acked: bool,
    /// Whether another acknowledgement came at the same time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub raced: bool,
}

impl UploadAckAnswer {
    /// Makes the answer.
    pub fn acked() -> Self {
        Self { acked: true, raced: false }
    }
}
