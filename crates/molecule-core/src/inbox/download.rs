//! Downloads of a message's files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use molecule_proto::FileId;

use super::attachment::Attachment;
use crate::call::Call;
use crate::effect::{FileDest, Saved};
use crate::endpoint::{AckPendingFile, Endpoint, MAX_FILE, PendingFile, SavePendingFile};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::flow::{Flow, Line, Parting, machine_of_flow};
use crate::session::{Dialect, Session};

const OPERATION: &str = PendingFile::OPERATION;

/// Where a message's file is saved: a file, or a directory, in which it gets its own name,
/// [cleaned](Attachment::file_name). A path can be given instead.
///
/// ```
/// use molecule_core::DownloadTo;
/// let to = DownloadTo::new("/home/agent/inbox").max_bytes(10 * 1024 * 1024).replace();
/// # let _ = to;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadTo {
    /// The file, or an existing directory.
    pub path: PathBuf,
    /// The most bytes; 100 MiB by default, which the platform allows.
    pub max_bytes: u64,
    /// Whether a file that exists is replaced.
    pub replace: bool,
    /// The time limit with all retries; half an hour by default.
    pub timeout: Duration,
}

impl DownloadTo {
    /// Saves to this file, or into this directory if there is one. Its parent must exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_bytes: MAX_FILE, replace: false, timeout: crate::plugin::DOWNLOAD }
    }

    /// Replaces a file that exists. Without this word it is an error.
    #[must_use]
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }

    /// Refuses a file of more bytes.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the time limit of the download with all its retries.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl From<PathBuf> for DownloadTo {
    fn from(path: PathBuf) -> Self {
        Self::new(path)
    }
}

impl From<&PathBuf> for DownloadTo {
    fn from(path: &PathBuf) -> Self {
        Self::new(path)
    }
}

impl From<&Path> for DownloadTo {
    fn from(path: &Path) -> Self {
        Self::new(path)
    }
}

impl From<&str> for DownloadTo {
    fn from(path: &str) -> Self {
        Self::new(path)
    }
}

impl From<String> for DownloadTo {
    fn from(path: String) -> Self {
        Self::new(path)
    }
}

/// A file of a message that was saved on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Downloaded {
    /// The file. Only this user can open it (mode 0600).
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its MIME type, as its sender stated it.
    pub mime_type: Option<String>,
    /// Whether the platform knows that the agent has it. If not, it keeps the file until it expires.
    pub is_acknowledged: bool,
}

/// Saves a file of a message on this machine, then acknowledges it: `GET
/// /workspaces/:self/pending-uploads/:file_id/content`, `POST …/ack` (contract section 17).
///
/// Only what the platform holds for this agent is fetched. The file is complete and on the disk before it has its name,
/// and it is acknowledged after that.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Download(Flow<Result<Downloaded>>);

impl Download {
    /// Makes the download of this file.
    ///
    /// # Errors
    /// `Config` if the platform does not hold the file, or an option makes no sense.
    pub fn new(attachment: &Attachment, to: impl Into<DownloadTo>) -> Result<Self> {
        let (attachment, to) = (attachment.clone(), to.into());
        check(&attachment).and_then(|()| check_options(&to)).map_err(|error| error.during(OPERATION))?;
        Ok(Self(Flow::new(OPERATION, move |line| async move { download(&line, &attachment, to).await })))
    }
}

machine_of_flow!(Download, Result<Downloaded>);

/// Reads a file of a message into memory. It is not acknowledged, since nothing of it would outlast this process.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct DownloadToMemory(Flow<Result<Bytes>>);

impl DownloadToMemory {
    /// Makes the download of this file.
    ///
    /// # Errors
    /// `Config` if the platform does not hold the file.
    pub fn new(attachment: &Attachment) -> Result<Self> {
        let attachment = attachment.clone();
        check(&attachment).map_err(|error| error.during(OPERATION))?;
        Ok(Self(Flow::new(OPERATION, move |line| async move {
            let file = own_file(&line, &attachment)?;
            let read = line.run("download", Call::new(PendingFile::new(file)), Parting::give_up()).await;
            read.map_err(|error| refused(&line, error, MAX_FILE))
        })))
    }
}

machine_of_flow!(DownloadToMemory, Result<Bytes>);

/// # Errors
/// `Config` if the platform does not hold the file for any agent.
fn check(attachment: &Attachment) -> Result<()> {
    if attachment.is_pending() {
        return Ok(());
    }
    Err(match attachment.uri() {
        None => Error::config(
            "the platform does not hold the file: its bytes are in the message",
            "take them from the message's parts",
        ),
        Some(_) => Error::config(
            "the platform does not hold the file: its URI names something else, which may be anything",
            "fetch the URI by other means, if you trust its sender",
        ),
    })
}

fn check_options(to: &DownloadTo) -> Result<()> {
    if to.path.as_os_str().is_empty() {
        return Err(Error::config("the path of a download is empty", "give a file or a directory"));
    }
    if to.timeout.is_zero() || to.timeout > Duration::from_secs(24 * 3600) {
        let cause = format!("the limit of a download is {:?}", to.timeout);
        return Err(Error::config(cause, "give more than nothing and at most a day"));
    }
    Ok(())
}

/// # Errors
/// `Config` if the platform holds the file for another agent.
fn own_file(line: &Line, attachment: &Attachment) -> Result<FileId> {
    line.check()?;
    let own = line.with(|cx| cx.session.workspace_id().clone());
    attachment.file_of(&own).ok_or_else(|| {
        Error::config("the file is in a message to another agent", "download it with the agent that got the message")
            .during(OPERATION)
    })
}

async fn download(line: &Line, attachment: &Attachment, to: DownloadTo) -> Result<Downloaded> {
    let file = own_file(line, attachment)?;
    let DownloadTo { path, max_bytes, replace, timeout } = to;
    let to = FileDest { path, name: attachment.file_name(), max_bytes, replace };
    let call = Call::new(SavePendingFile { file: file.clone(), to, limit: timeout });
    let saved = line.run("download", call, Parting::give_up()).await;
    let Saved { head, path, bytes, .. } = saved.map_err(|error| refused(line, error, max_bytes))?;
    let mime_type = head.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let acknowledged = line.run("acknowledge", Call::new(AckPendingFile(file)), Parting::give_up()).await;
    let is_acknowledged = acknowledged.is_ok();
    if let Err(error) = acknowledged
        && !line.is_cancelled()
        // It expired meanwhile: there is nothing left to acknowledge.
        && error.status() != Some(StatusCode::NOT_FOUND)
    {
        line.tell(Event::Warning(format!("{} is downloaded, but: {error}", path.display())));
    }
    Ok(Downloaded { path, bytes, mime_type, is_acknowledged })
}

/// Says what the failure of a download means.
fn refused(line: &Line, error: Error, max_bytes: u64) -> Error {
    if error.kind() == ErrorKind::TooLarge {
        return error
            .of_kind(ErrorKind::TooLarge, format!("the file has more than {max_bytes} bytes"))
            .remedy("raise the limit with DownloadTo::max_bytes(…), or do without the file");
    }
    let is_without_route = |session: &Session| match error.kind() {
        ErrorKind::Unsupported => true,
        // A tenant gate before April's server answers so.
        ErrorKind::Routing => error.status() == Some(StatusCode::NOT_FOUND) && session.dialect == Some(Dialect::April),
        _ => false,
    };
    if line.with(|cx| is_without_route(cx.session)) {
        return error
            .of_kind(ErrorKind::Unsupported, "this server holds no files for agents")
            .remedy("use a newer platform, or have the file sent by other means");
    }
    error
}
