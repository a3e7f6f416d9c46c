//! What is sent for a reply: a message to a peer, or a notice to people.

use molecule_proto::{FileContent, Message, NotifyRequest, Part, PartContent, WorkspaceId};

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
}

impl Content {
    /// Makes the content of a reply, whose message to a peer has this id.
    ///
    /// # Errors
    /// `Config` if it cannot be sent.
    pub(crate) fn of(reply: &StoredReply, id: &str) -> Result<Self> {
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

/// The part of a file that the peer fetches by itself.
fn file_part(file: &OutgoingFile) -> Result<Part> {
    match &file.place {
        Place::Uri(uri) => {
            let mut content = FileContent::at(uri.clone()).name(file.shown_name());
            content.mime_type.clone_from(&file.mime_type);
            Ok(Part::file(content))
        }
        Place::Path(_) => Err(Error::config(
            "a peer cannot fetch a file of this machine",
            "put the file where the peer can fetch it and attach its URI, or add its bytes as a part",
        )),
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

/// The data of a reply without any text, as JSON.
fn data_as_text(parts: &[Part]) -> String {
    let data = parts.iter().filter_map(|part| match &part.content {
        PartContent::Data(data) => serde_json::to_string_pretty(data).ok(),
        PartContent::Text(_) | PartContent::File(_) | PartContent::Other(_) => None,
        _ => None,
    });
    data.collect::<Vec<_>>().join("\n")
}
