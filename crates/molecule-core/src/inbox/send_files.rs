//! Files of this machine on their way out: uploaded for people, or read into a message to a peer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use molecule_proto::{FileContent, FileId, Part, UploadedFile};

use super::attachment::{OutgoingFile, Place, pending};
use super::orders::submit;
use crate::call::Call;
use crate::effect::upload::MAX_FILES;
use crate::effect::{FilePart, HostOp, HostResult, Upload};
use crate::endpoint::{Endpoint, UploadFiles};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Line, Parting};
use crate::session::Dialect;

/// The most bytes of a file in a message to a peer, and of all of them: as base64 they fill most of the 1 MiB that
/// April's platform takes, and every reader of the peer's feed gets them.
pub(crate) const MAX_INLINE: u64 = 512 * 1024;

/// Uploads the files of this machine, and returns all files, each with a URI (contract section 17). The ids of the
/// uploaded ones are kept, so that their rows in the feed are not taken for a person's. `call` says whether a failed
/// upload is repeated.
///
/// # Errors
/// `Config` with the cause if a file cannot be sent: nothing was sent then.
pub(super) async fn upload(
    line: &Line,
    files: &[OutgoingFile],
    call: fn(UploadFiles) -> Call<UploadFiles>,
) -> Result<Vec<OutgoingFile>> {
    let parts: Vec<FilePart> = files.iter().filter_map(part).collect();
    if parts.is_empty() {
        return Ok(files.to_vec());
    }
    if parts.len() > MAX_FILES {
        let cause = format!("there are {} files to upload, and the platform takes {MAX_FILES} at a time", parts.len());
        return Err(Error::config(cause, "send them in several messages"));
    }
    line.check()?;
    if line.with(|cx| cx.session.dialect == Some(Dialect::April)) {
        return Err(Error::new(ErrorKind::Unsupported, UploadFiles::OPERATION, "this server takes no files of agents")
            .remedy("attach the URI of the file, or use a newer platform"));
    }
    let expected = parts.len();
    let boundary = line.with(|cx| cx.session.uuid());
    let call = call(UploadFiles(Upload::new(parts, format!("molecule-{boundary}"))));
    let mut uploaded = line.run("upload", call, Parting::give_up()).await?.files;
    let own = line.with(|cx| cx.session.workspace_id().clone());
    let ids: Vec<FileId> = uploaded.iter().filter_map(|file| pending(&file.uri, &own)).collect();
    keep(line, &ids).await;
    if ids.len() != expected || uploaded.len() != expected {
        let cause = "the platform did not keep the files for the chat: it handed them on to the URL under which the agent \
                     is registered";
        return Err(Error::new(ErrorKind::Refused, UploadFiles::OPERATION, cause)
            .remedy("let the agent poll, or attach the URI of the file"));
    }
    let mut uploaded = uploaded.drain(..);
    let with_uri = |file: &OutgoingFile| match (&file.place, file.place.is_path().then(|| uploaded.next()).flatten()) {
        (Place::Path(_), Some(held)) => named(file, held),
        (Place::Path(_) | Place::Uri(_), _) => file.clone(),
    };
    Ok(files.iter().map(with_uri).collect())
}

fn part(file: &OutgoingFile) -> Option<FilePart> {
    match &file.place {
        Place::Path(path) => {
            Some(FilePart { path: path.clone(), name: file.shown_name(), mime_type: file.stated_mime_type() })
        }
        Place::Uri(_) => None,
    }
}

/// The file as the platform holds it. People see its own name, and not the one that the platform made of it.
fn named(file: &OutgoingFile, held: UploadedFile) -> OutgoingFile {
    OutgoingFile {
        place: Place::Uri(held.uri),
        name: Some(file.shown_name()),
        mime_type: file.stated_mime_type(),
        size: Some(held.size),
    }
}

/// Keeps the ids of own files in the journal. Where that cannot be written now, the next loop of this process keeps them.
async fn keep(line: &Line, ids: &[FileId]) {
    if !ids.is_empty() {
        line.with(|cx| cx.session.orders.keep_own_files(ids));
        let _ = submit(line).await;
    }
}

/// Reads the files of this machine into parts of a message to a peer, which cannot fetch what the platform holds for this
/// agent.
///
/// # Errors
/// `Config` with the cause if a file cannot be read, is empty, or is too large for a message.
pub(super) async fn inline(line: &Line, files: &[OutgoingFile]) -> Result<Vec<Part>> {
    let mut left = MAX_INLINE;
    let mut parts = Vec::new();
    for file in files {
        let Place::Path(path) = &file.place else { continue };
        let read = line.host("read a file", HostOp::ReadFile(path.clone(), left)).await?;
        let HostResult::FileRead(bytes) = read.map_err(|fault| Error::from_fault("reply", fault))? else { continue };
        left = left.saturating_sub(bytes.len() as u64);
        let mut content = FileContent::base64(STANDARD.encode(&bytes)).name(file.shown_name());
        content.mime_type = file.stated_mime_type();
        parts.push(Part::file(content));
    }
    Ok(parts)
}
