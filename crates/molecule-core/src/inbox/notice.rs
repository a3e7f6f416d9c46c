//! The request of a notice, a message to the user.

use molecule_proto::{NotifyAttachment, NotifyRequest};

use super::attachment::{OutgoingFile, Place};
use crate::error::{Error, Result};

/// The longest text of a notice in bytes. The platform takes more, and keeps all of it in the row that every reader of
/// the feed gets.
pub(crate) const LONGEST_NOTICE: usize = 1024 * 1024;

/// The most files of a notice.
pub(crate) const MOST_FILES: usize = 64;

/// Makes the request of a notice. Without a text it has the names of the files: the platform refuses an empty text, also
/// beside files (contract section 13.2).
///
/// # Errors
/// `Config` if there is neither a text nor a file, if the text or the files are too many, or if a file has no URI.
pub(crate) fn request(text: &str, files: &[OutgoingFile]) -> Result<NotifyRequest> {
    if text.len() > LONGEST_NOTICE {
        let cause = format!("the text takes {} bytes, and people get at most {LONGEST_NOTICE}", text.len());
        return Err(Error::config(cause, "shorten it, or attach it as a file"));
    }
    if files.len() > MOST_FILES {
        let cause = format!("there are {} files, and people get at most {MOST_FILES} at a time", files.len());
        return Err(Error::config(cause, "send them in several messages"));
    }
    if text.is_empty() && files.is_empty() {
        return Err(Error::config("there is no text and no file", "say something"));
    }
    let names = || files.iter().map(OutgoingFile::shown_name).collect::<Vec<_>>().join(", ");
    let mut request = NotifyRequest::new(if text.is_empty() { names() } else { text.to_owned() });
    request.attachments = files.iter().map(attachment).collect::<Result<_>>()?;
    Ok(request)
}

fn attachment(file: &OutgoingFile) -> Result<NotifyAttachment> {
    match &file.place {
        Place::Uri(uri) => {
            let mut attachment = NotifyAttachment::new(uri.clone(), file.shown_name());
            attachment.mime_type.clone_from(&file.mime_type);
            attachment.size = file.size;
            Ok(attachment)
        }
        Place::Path(_) => Err(Error::config(
            "a file of this machine is not uploaded",
            "attach it again, so that it is uploaded first",
        )),
    }
}
