//! The files of messages, as files of this machine.

use std::io;
use std::path::{Path, PathBuf};

use molecule_async::{Agent, DownloadTo, ErrorKind, InboundMessage};
use molecule_serve::HandedOver;

/// The directory of the files that came with messages: `<agent's directory>/incoming/<message>/<number>/<name>`. The files
/// of a message are kept until it is handled, since the platform gives each of them out once.
pub(super) struct Incoming(PathBuf);

impl Incoming {
    pub(super) fn new(of_agent: &Path) -> Self {
        Self(of_agent.join("incoming"))
    }

    /// Fetches the files of a message that the platform holds, and returns their paths.
    ///
    /// # Errors
    /// A sentence, if a file may come with another try. A file that has expired is left out.
    pub(super) async fn fetch(&self, agent: &Agent, message: &InboundMessage) -> Result<Vec<String>, String> {
        let mut paths = Vec::new();
        for (number, attachment) in message.attachments().iter().enumerate() {
            if let Some(path) = agent.uploaded(attachment) {
                // The platform has handed it over to the agent's own server.
                paths.push(path.display().to_string());
                continue;
            }
            if !attachment.is_pending() {
                // Others name a place of their own, which this machine does not open by itself.
                paths.extend(attachment.uri().filter(|uri| uri.starts_with("http")).map(str::to_owned));
                continue;
            }
            let directory = self.of(message).join(number.to_string());
            private(&directory).map_err(|error| format!("{} cannot be made: {error}", directory.display()))?;
            let path = directory.join(attachment.file_name());
            if !path.exists() {
                match agent.download(attachment, DownloadTo::new(&path)).await {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::Expired => continue,
                    Err(error) => return Err(error.to_string()),
                }
            }
            paths.push(path.display().to_string());
        }
        Ok(paths)
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
