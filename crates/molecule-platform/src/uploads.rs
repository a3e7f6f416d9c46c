//! The files that wait for a poll agent (contract section 17). Not on April's server.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use molecule_proto::{ActivityType, DeliveryMode, Dialect, Now, Time, WorkspaceId};
use serde_json::{Value, json};

use crate::platform::Platform;

/// The time after its upload at which a file expires.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// The time for which an acknowledged file can still be read. The server says "about an hour".
const AFTER_ACK: Duration = Duration::from_secs(3600);
/// The longest name, in characters.
const LONGEST_NAME: usize = 100;

/// The files of all workspaces, by their ids.
#[derive(Clone, Default)]
pub(crate) struct Uploads(BTreeMap<String, Upload>);

/// A file that waits for its agent.
#[derive(Clone)]
pub(crate) struct Upload {
    pub(crate) owner: WorkspaceId,
    pub(crate) name: String,
    /// The MIME type that its sender stated; `""` without one.
    pub(crate) mime_type: String,
    pub(crate) content: Bytes,
    expires: Time,
}

/// A file that somebody sends.
pub(crate) struct NewFile {
    pub(crate) name: String,
    pub(crate) mime_type: String,
    pub(crate) content: Bytes,
}

impl Uploads {
    pub(crate) fn get(&self, id: &str) -> Option<&Upload> {
        self.0.get(id)
    }

    /// Acknowledges a file; an acknowledged file can be read for a while.
    pub(crate) fn ack(&mut self, now: Time, id: &str) {
        if let Some(upload) = self.0.get_mut(id) {
            upload.expires = upload.expires.min(now + AFTER_ACK);
        }
    }
}

impl Platform {
    /// Uploads a file for a poll agent, as a person does (current server); returns its URI, which a message can name.
    /// `None` on April's server, for a push agent, for an empty file, and if there is no such workspace.
    ///
    /// The agent finds it in its feed as a row of the method `chat_upload_receive`, which looks the same if the agent
    /// uploads a file itself. An agent is a poll agent from its register on.
    pub fn upload(
        &mut self,
        now: Now,
        id: &WorkspaceId,
        name: &str,
        mime_type: &str,
        content: impl Into<Bytes>,
    ) -> Option<String> {
        let now = self.settle(now);
        self.live_on(Dialect::Current, id)?;
        let content = content.into();
        let polls = self.workspaces.get(id).is_some_and(|row| row.delivery_mode == DeliveryMode::Poll);
        if !polls || content.is_empty() {
            return None;
        }
        let (name, mime_type) = (name.to_owned(), mime_type.to_owned());
        let shown = self.stage(now, id, vec![NewFile { name, mime_type, content }]);
        shown.first()?["uri"].as_str().map(str::to_owned)
    }

    /// Stores files for a workspace, writes a row for each, and returns them as the answer to an upload lists them.
    pub(crate) fn stage(&mut self, now: Now, id: &WorkspaceId, files: Vec<NewFile>) -> Vec<Value> {
        let files = files.into_iter().map(|file| {
            let file_id = self.random.uuid();
            let name = cleaned(&file.name);
            let size = file.content.len();
            let shown = json!({"uri": format!("platform-pending:{id}/{file_id}"), "name": name,
                               "mimeType": file.mime_type, "size": size});
            let mut row = self.new_activity(now, id, ActivityType::A2aReceive);
            row.method = Some("chat_upload_receive".to_owned());
            row.target_id = Some(id.clone());
            row.summary = Some(format!("chat_upload_receive: {name}"));
            let mut about = shown.clone();
            about["file_id"] = json!(file_id);
            row.request_body = Some(about);
            self.log_and_tell(now, row);
            let (owner, expires) = (id.clone(), now.mono + LIFETIME);
            let upload = Upload { owner, name, mime_type: file.mime_type, content: file.content, expires };
            self.uploads.0.insert(file_id, upload);
            shown
        });
        files.collect()
    }

    /// Removes the files that have expired.
    pub(crate) fn settle_uploads(&mut self, now: Time) {
        self.uploads.0.retain(|_, upload| upload.expires > now);
    }
}

/// A file name as the server stores it: without its folders, and with `_` for everything but ASCII letters, digits, dots,
/// hyphens and underscores. A long name is cut before its extension.
fn cleaned(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    // The server's name for a file without one was never recorded.
    let name = if name.is_empty() { "file".to_owned() } else { name };
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let extension = name.rfind('.').map_or("", |dot| &name[dot..]);
    let extension = if extension.len() < LONGEST_NAME { extension } else { "" };
    format!("{}{extension}", &name[..LONGEST_NAME - extension.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_folder_no_blank_and_at_most_100_characters() {
        assert_eq!(cleaned("żółw 🦀.txt"), "___w__.txt");
        assert_eq!(cleaned("../../etc/passwd"), "passwd");
        assert_eq!(cleaned("c:\\a\\b c.png"), "b_c.png");
        assert_eq!(cleaned(&format!("{}.txt", "n".repeat(200))), format!("{}.txt", "n".repeat(96)));
        assert_eq!(cleaned(&format!("a.{}", "n".repeat(200))).len(), 100);
    }
}
