//! The files of messages, as files of this machine.

use std::io;
use std::path::{Path, PathBuf};
#[cfg(feature = "mcp")]
use std::time::{Duration, SystemTime};

#[cfg(feature = "mcp")]
use molecule_async::ActivityId;
use molecule_async::{Agent, Attachment, DownloadTo, ErrorKind, InboundMessage};
use molecule_serve::HandedOver;

use super::unhandled::Unhandled;

/// How long the files of a message that is done are kept for a coding agent, which may read them later.
#[cfg(feature = "mcp")]
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The name of the file that says since when a message is done. No attachment lies beside it.
#[cfg(feature = "mcp")]
const DONE: &str = "done";

/// The directory of the files that came with messages: `<agent's directory>/incoming/<message>/<number>/<name>`. The files
/// of a message are kept until it is handled, since the platform gives each of them out once.
#[derive(Debug)]
pub(crate) struct Incoming(PathBuf);

impl Incoming {
    pub(crate) fn new(of_agent: &Path) -> Self {
        Self(of_agent.join("incoming"))
    }

    /// Fetches the files of a message that the platform holds, and returns their paths.
    ///
    /// # Errors
    /// If a file may come with another try. A file that has expired is left out.
    pub(super) async fn fetch(&self, agent: &Agent, message: &InboundMessage) -> Result<Vec<String>, Unhandled> {
        let mut paths = Vec::new();
        for (number, attachment) in message.attachments().iter().enumerate() {
            paths.extend(self.fetch_one(agent, message, number, attachment).await?);
        }
        Ok(paths)
    }

    /// Fetches one file of a message; `None` if it has expired, or is nowhere that this machine opens by itself.
    ///
    /// # Errors
    /// If it may come with another try.
    pub(crate) async fn fetch_one(
        &self,
        agent: &Agent,
        message: &InboundMessage,
        number: usize,
        attachment: &Attachment,
    ) -> Result<Option<String>, Unhandled> {
        if let Some(path) = agent.uploaded(attachment) {
            // The platform has handed it over to the agent's own server.
            return Ok(Some(path.display().to_string()));
        }
        if !attachment.is_pending() {
            // Others name a place of their own, which this machine does not open by itself.
            return Ok(attachment.uri().filter(|uri| uri.starts_with("http")).map(str::to_owned));
        }
        let directory = self.of(message).join(number.to_string());
        private(&directory).map_err(|error| format!("{} cannot be made: {error}", directory.display()))?;
        let path = directory.join(attachment.file_name());
        if !path.exists() {
            match agent.download(attachment, DownloadTo::new(&path)).await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Expired => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(path.display().to_string()))
    }

    /// Says that a message is done, whose files are kept for a while.
    #[cfg(feature = "mcp")]
    pub(crate) fn done(&self, message: &ActivityId) {
        let directory = self.0.join(message.as_str());
        if directory.exists() {
            // Without it the files are kept for ever, which costs room alone.
            let _ = std::fs::write(directory.join(DONE), "");
        }
    }

    /// Removes the files of messages that were done long ago.
    #[cfg(feature = "mcp")]
    pub(crate) fn remove_old(&self) {
        let Ok(messages) = std::fs::read_dir(&self.0) else { return };
        for message in messages.flatten() {
            let done = std::fs::metadata(message.path().join(DONE)).and_then(|about| about.modified());
            let is_old = |at: SystemTime| at.elapsed().is_ok_and(|age| age > KEPT);
            if done.is_ok_and(is_old) {
                // What cannot be removed harms nothing but the room on the disk.
                let _ = std::fs::remove_dir_all(message.path());
            }
        }
    }

    /// Removes the files of a message that is handled.
    pub(super) fn remove(&self, message: &InboundMessage) {
        if !message.attachments().is_empty() {
            // What cannot be removed harms nothing but the room on the disk.
            let _ = std::fs::remove_dir_all(self.of(message));
        }
    }

    fn of(&self, message: &InboundMessage) -> PathBuf {
        self.0.join(message.id().as_str())
    }
}

/// Makes a directory that only this user can enter.
pub(super) fn private(directory: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}
