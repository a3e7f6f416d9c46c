//! Files that the platform hands over (contract section 10.4). They go to the disk while they arrive.

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use molecule_core::machines::safe_file_name;
use molecule_host::{Host, StoreError, Uploads};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::answer::{close_after, error_answer, json_answer, refused};
use crate::body::Pieces;
use crate::multipart::{Form, Malformed, Next};
use crate::threads::begin;

/// The most files of a form, as on the platform.
const MOST_FILES: usize = 64;

/// The field of files.
const FIELD: &str = "files";

/// The longest MIME type that is repeated.
const LONGEST_TYPE: usize = 100;

/// The pieces that wait for the disk.
const AHEAD: usize = 4;

/// Stores the files of a form in the agent's directory. Either all are stored or none.
pub(crate) async fn ingest(host: &Host, head: &Parts, mut body: Pieces, most: u64) -> Response<Bytes> {
    let Some(uploads) = host.uploads() else {
        return closed(StatusCode::NOT_FOUND, "this agent has no directory for files");
    };
    let Some(mut form) = Form::of(&head.headers) else {
        return closed(StatusCode::BAD_REQUEST, "malformed multipart body");
    };
    let (sender, acts) = mpsc::channel(AHEAD);
    let Some(written) = begin(move || write(&uploads, acts, most)) else {
        return closed(StatusCode::INSUFFICIENT_STORAGE, "could not store the files");
    };
    let read = read(&mut form, &mut body, &sender).await;
    let is_complete = match read {
        Ok(()) => sender.send(Act::Keep).await.is_ok(),
        Err(_) => false,
    };
    // Without the last act the thread removes what it has written.
    drop(sender);
    let written = written.await;
    match (read, written) {
        (Err(Fault::Refused(refusal)), _) => refused(refusal),
        (Err(Fault::Malformed), _) => closed(StatusCode::BAD_REQUEST, "malformed multipart body"),
        (Err(Fault::TooMany), _) => closed(StatusCode::PAYLOAD_TOO_LARGE, "too many files"),
        (_, Ok(Ok(files))) if is_complete && files.is_empty() => {
            error_answer(StatusCode::BAD_REQUEST, "no files field in request")
        }
        (_, Ok(Ok(files))) if is_complete => json_answer(StatusCode::OK, json!({ FIELD: files }).to_string()),
        // Why is in nobody's interest but the owner's; the platform passes the text on.
        (_, Ok(Err(_)) | Err(_)) | (Ok(()) | Err(Fault::Disk), Ok(Ok(_))) => {
            closed(StatusCode::INSUFFICIENT_STORAGE, "could not store the files")
        }
    }
}

fn closed(status: StatusCode, error: &str) -> Response<Bytes> {
    let mut answer = error_answer(status, error);
    close_after(&mut answer);
    answer
}

/// Why the files of a form were not read.
enum Fault {
    Refused(crate::head::Refusal),
    Malformed,
    TooMany,
    /// The thread that writes has given up.
    Disk,
}

/// What is to be written.
enum Act {
    Begin { name: String, mime_type: String },
    Bytes(Bytes),
    End,
    Keep,
}

async fn read(form: &mut Form, body: &mut Pieces, sender: &mpsc::Sender<Act>) -> Result<(), Fault> {
    let (mut files, mut is_file) = (0, false);
    loop {
        let act = match form.next() {
            Err(Malformed) => return Err(Fault::Malformed),
            Ok(None) => {
                match body.next().await.map_err(Fault::Refused)? {
                    Some(piece) => form.push(&piece),
                    None => return Err(Fault::Malformed),
                }
                continue;
            }
            Ok(Some(Next::Over)) => break,
            Ok(Some(Next::Part(part))) => {
                is_file = part.name == FIELD && part.file_name.is_some();
                if !is_file {
                    continue;
                }
                files += 1;
                if files > MOST_FILES {
                    return Err(Fault::TooMany);
                }
                let name = safe_file_name(&part.file_name.unwrap_or_default());
                Act::Begin { name, mime_type: printable(&part.content_type) }
            }
            Ok(Some(_)) if !is_file => continue,
            Ok(Some(Next::Content(bytes))) => Act::Bytes(bytes),
            Ok(Some(Next::End)) => Act::End,
        };
        sender.send(act).await.map_err(|_| Fault::Disk)?;
    }
    // What follows the form is read, so that the connection stays in step.
    while body.next().await.map_err(Fault::Refused)?.is_some() {}
    Ok(())
}

/// A MIME type as it may be repeated.
fn printable(mime_type: &str) -> String {
    mime_type.chars().filter(|char| char.is_ascii_graphic() || *char == ' ').take(LONGEST_TYPE).collect()
}

/// Writes files until all are there, on a thread of its own.
fn write(uploads: &Uploads, mut acts: mpsc::Receiver<Act>, most: u64) -> Result<Vec<Value>, StoreError> {
    let mut batch = uploads.begin()?;
    let mut listed = Vec::new();
    let mut current = None;
    while let Some(act) = acts.blocking_recv() {
        match act {
            Act::Begin { name, mime_type } => {
                batch.create(&name, most)?;
                current = Some((name, mime_type));
            }
            Act::Bytes(bytes) => batch.write(&bytes)?,
            Act::End => {
                let (path, size) = batch.complete()?;
                if let Some((name, mime_type)) = current.take() {
                    listed
                        .push(json!({ "uri": uploads.uri(&path), "name": name, "mimeType": mime_type, "size": size }));
                }
            }
            Act::Keep => {
                batch.keep();
                return Ok(listed);
            }
        }
    }
    // The form did not come to its end; the files are removed.
    Ok(Vec::new())
}
