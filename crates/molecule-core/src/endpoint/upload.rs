//! The endpoints of files that the platform holds for a poll agent (contract section 17). Not on April's server.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use molecule_proto::{FileId, UploadAckAnswer, UploadAnswer, WorkspaceId, path};

use super::{Endpoint, JsonEndpoint, Mismatch, Repeat, json};
use crate::config::Timeouts;
use crate::effect::{Dest, FileDest, Limits, Saved, Upload};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Auth, Draft};

/// The most bytes of a file, as the platform has it (contract section 17): 100 MiB.
pub(crate) const MAX_FILE: u64 = 100 * 1024 * 1024;

/// `GET /workspaces/:self/pending-uploads/:file_id/content` (contract section 17): a file that the platform holds for
/// the agent, in memory. At most 100 MiB, within half an hour. It is kept for 24 h after its upload; if it is gone, the
/// error is `Expired`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingFile {
    /// The id of the file.
    pub file: FileId,
    /// The time limit of the download with its retries.
    pub limit: Duration,
}

impl PendingFile {
    /// Asks for this file.
    pub fn new(file: FileId) -> Self {
        Self { file, limit: crate::plugin::DOWNLOAD }
    }
}

impl Endpoint for PendingFile {
    type Answer = Bytes;
    const OPERATION: &'static str = DOWNLOAD;
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = SHAPE;
    const MAX_BODY: u64 = MAX_FILE;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Ok(draft(workspace, &self.file))
    }

    fn limits(&self, timeouts: &Timeouts, left: Duration) -> Limits {
        limits(timeouts, self.limit.min(left), Self::MAX_BODY)
    }

    fn deadline(&self, _: &Timeouts) -> Duration {
        self.limit
    }

    fn accepts(&self, answer: &Response<Bytes>) -> bool {
        answer.status() == StatusCode::OK
    }

    fn refine(&self, error: Error) -> Error {
        expired(error)
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Bytes, Mismatch> {
        match FileDest::admits(answer.headers()) {
            Ok(()) => Ok(answer.body().clone()),
            Err(_) => Err(Mismatch::default()),
        }
    }
}

/// The same file, saved on this machine.
#[derive(Debug, Clone)]
pub(crate) struct SavePendingFile {
    pub(crate) file: FileId,
    pub(crate) to: FileDest,
    pub(crate) limit: Duration,
}

impl Endpoint for SavePendingFile {
    type Answer = Saved;
    const OPERATION: &'static str = DOWNLOAD;
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = SHAPE;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Ok(draft(workspace, &self.file))
    }

    fn limits(&self, timeouts: &Timeouts, left: Duration) -> Limits {
        limits(timeouts, self.limit.min(left), Self::MAX_BODY)
    }

    fn deadline(&self, _: &Timeouts) -> Duration {
        self.limit
    }

    fn dest(&self) -> Option<Dest> {
        Some(Dest::File(self.to.clone()))
    }

    fn saved(&self, saved: Saved) -> Result<Saved, Saved> {
        Ok(saved)
    }

    fn refine(&self, error: Error) -> Error {
        expired(error)
    }

    /// A file never comes as a whole answer, since a driver streams it to its destination.
    fn accepts(&self, _: &Response<Bytes>) -> bool {
        false
    }

    fn decode(&self, _: &Response<Bytes>) -> Result<Saved, Mismatch> {
        Err(Mismatch::default())
    }
}

const DOWNLOAD: &str = "download attachment";
const SHAPE: &str = "a file";

fn draft(workspace: &WorkspaceId, file: &FileId) -> Draft {
    Draft::new(Method::GET, path::pending_upload(workspace, file), Auth::Bearer).any_type()
}

fn limits(timeouts: &Timeouts, total: Duration, max_body: u64) -> Limits {
    Limits { head: timeouts.answer.min(total), total, ..timeouts.limits(total, max_body) }
}

/// The platform's own 404 is that of an id that it never knew, or no longer knows.
fn expired(error: Error) -> Error {
    let is_own = error.status() == Some(StatusCode::NOT_FOUND) && error.kind() == ErrorKind::Refused;
    if !is_own || !error.server_message().is_some_and(|message| message.starts_with("pending upload not found")) {
        return error;
    }
    error
        .of_kind(
            ErrorKind::Expired,
            "the platform does not hold the file any more: it does for 24 hours, and for about an hour once it was \
             acknowledged",
        )
        .remedy("ask its sender to upload it again")
}

/// `POST /workspaces/:self/pending-uploads/:file_id/ack` (contract section 17): tells the platform that the agent has
/// the file, which it may then delete after about an hour. It may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckPendingFile(pub FileId);

impl JsonEndpoint for AckPendingFile {
    type Answer = UploadAckAnswer;
    const OPERATION: &'static str = "acknowledge attachment";
    const METHOD: Method = Method::POST;
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with acked";

    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str> {
        path::pending_upload_ack(workspace, &self.0).into()
    }
}

/// `POST /workspaces/:self/chat/uploads` (contract section 17): has the platform hold files for a day. Each request makes
/// files of its own, so that one which may have arrived is not sent again.
#[derive(Debug, Clone)]
pub(crate) struct UploadFiles(pub(crate) Upload);

/// The time limit of an upload: 100 MiB take 15 minutes at 1 Mbit/s.
pub(crate) const UPLOAD: Duration = Duration::from_secs(15 * 60);

impl Endpoint for UploadFiles {
    type Answer = UploadAnswer;
    const OPERATION: &'static str = "upload files";
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "an object with files";

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::POST, path::chat_uploads(workspace), Auth::Bearer))
    }

    /// The time to send the files counts towards that of the answer.
    fn limits(&self, timeouts: &Timeouts, left: Duration) -> Limits {
        let total = UPLOAD.min(left);
        Limits { head: total, total, ..timeouts.limits(total, Self::MAX_BODY) }
    }

    fn deadline(&self, _: &Timeouts) -> Duration {
        UPLOAD
    }

    fn upload(&self) -> Option<Upload> {
        Some(self.0.clone())
    }

    /// April's server hands files on to a container, which an agent outside of its network does not have.
    fn refine(&self, error: Error) -> Error {
        const WITHOUT_CONTAINER: [&str; 2] = ["workspace container not running", "docker unavailable"];
        if !error.server_message().is_some_and(|message| WITHOUT_CONTAINER.contains(&message)) {
            return error;
        }
        error
            .of_kind(ErrorKind::Unsupported, "this server takes no files of agents")
            .retryable(false)
            .remedy("attach the URI of the file, or use a newer platform")
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<UploadAnswer, Mismatch> {
        json(answer)
    }
}
