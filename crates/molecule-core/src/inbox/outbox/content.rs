//! What is sent for a reply: a message to a peer, or a notice to people.

use molecule_proto::{FileContent, Message, NotifyRequest, Part, PartContent, WorkspaceId};

use super::flight::Prepared;
use crate::error::{Error, Result};
use crate::inbox::attachment::{OutgoingFile, Place};
use crate::inbox::notice::request;
use crate::inbox::sender::Sender;
use crate::inbox::stored_reply::StoredReply;

/// What is sent for a reply.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// A message to a peer, with its id.
    Message { to: WorkspaceId, message: Message },
    /// A notice to people.
    Notice(NotifyRequest),
    /// A reply with files of this machine, which are uploaded or read first. The id is that of its message to a peer.
    Unprepared { reply: Box<StoredReply>, id: String },
}

impl Content {
    /// Makes the content of a reply, whose message to a peer has this id.
    ///
    /// # Errors
    /// `Config` if it cannot be sent.
    pub(crate) fn of(reply: &StoredReply, id: &str) -> Result<Self> {
        if reply.files.iter().any(|file| file.place.is_path()) {
            // What is refused in any case is refused before a file is sent.
            let uris = reply.files.iter().map(|file| OutgoingFile::uri(UNKNOWN).name(file.shown_name()));
            Self::of(&StoredReply { files: uris.collect(), ..reply.clone() }, id)?;
            return Ok(Self::Unprepared { reply: Box::new(reply.clone()), id: id.to_owned() });
        }
        if let Sender::Peer { id: to, .. } = &reply.to {
            let files = reply.files.iter().map(file_part).collect::<Result<Vec<_>>>()?;
            let mut message = reply.message(id);
            message.parts.extend(files);
            return Ok(Self::Message { to: to.clone(), message });
        }
        let named = reply.parts.iter().filter_map(named_file).collect::<Result<Vec<_>>>()?;
        let files: Vec<OutgoingFile> = reply.files.iter().cloned().chain(named).collect();
        let text = reply.text();
        let text = if text.is_empty() && files.is_empty() { data_as_text(&reply.parts) } else { text };
        request(&text, &files).map(Self::Notice)
    }
}

/// The URI of a file that has none yet.
const UNKNOWN: &str = "platform-pending:";

impl Content {
    /// Makes the content of a reply whose files are ready.
    pub(super) fn prepared(reply: &StoredReply, id: &str, prepared: Prepared) -> Result<Self> {
        let (files, parts) = match prepared {
            Prepared::Uploaded(files) => (files, Vec::new()),
            Prepared::Inline(parts) => {
                let with_uri = reply.files.iter().filter(|file| !file.place.is_path());
                (with_uri.cloned().collect(), parts)
            }
        };
        let mut reply = StoredReply { files, ..reply.clone() };
        reply.parts.extend(parts);
        Self::of(&reply, id)
    }
}

/// The part of a file that the peer fetches by itself.
fn file_part(file: &OutgoingFile) -> Result<Part> {
    match &file.place {
        Place::Uri(uri) => {
            let mut content = FileContent::at(uri.clone()).name(file.shown_name());
            content.mime_type.clone_from(&file.mime_type);
            Ok(Part::file(content))
        }
        Place::Path(_) => Err(unprepared()),
    }
}

/// The file that a part names, for people; `None` if the part is no file.
fn named_file(part: &Part) -> Option<Result<OutgoingFile>> {
    let PartContent::File(file) = &part.content else { return None };
    let Some(uri) = &file.uri else {
        let error =
            Error::config("people cannot be shown the bytes of a part", "attach the file by its path or its URI");
        return Some(Err(error));
    };
    let mut outgoing = OutgoingFile::uri(uri.clone());
    outgoing.name.clone_from(&file.name);
    outgoing.mime_type.clone_from(&file.mime_type);
    Some(outgoing.check().map(|()| outgoing))
}

/// A file of this machine that is neither uploaded nor read yet.
fn unprepared() -> Error {
    Error::config("a file of this machine is not ready to be sent", "give the reply once more")
}

/// The data of a reply without any text, as JSON.
fn data_as_text(parts: &[Part]) -> String {
    let data = parts.iter().filter_map(|part| match &part.content {
        PartContent::Data(data) => serde_json::to_string_pretty(data).ok(),
        PartContent::Text(_) | PartContent::File(_) | PartContent::Other(_) => None,
        _ => None,
    });
    data.collect::<Vec<_>>().join("\n")
}
