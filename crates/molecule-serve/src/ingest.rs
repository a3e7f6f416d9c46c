//! Files that the platform hands over (contract section 10.4). They go to the disk while they arrive.

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use molecule_core::machines::{Ingest, IngestStep, Refusal};
use molecule_core::proto::UploadedFile;
use molecule_host::{Host, StoreError, Uploads};
use tokio::sync::mpsc;

use crate::body::Pieces;
use crate::threads::begin;

/// The steps that wait for the disk.
const AHEAD: usize = 4;

/// Stores the files of a form in the agent's directory. Either all are stored or none.
pub(crate) async fn ingest(host: &Host, head: &Parts, mut body: Pieces<'_>, most: u64) -> Response<Bytes> {
    let Some(uploads) = host.uploads() else { return Ingest::NO_DIRECTORY.answer() };
    let mut form = match Ingest::of(&head.headers) {
        Ok(form) => form,
        Err(refusal) => return refusal.answer(),
    };
    let (sender, steps) = mpsc::channel(AHEAD);
    let Some(written) = begin(move || write(&uploads, steps, most)) else { return Ingest::NOT_STORED.answer() };
    let read = read(&mut form, &mut body, &sender).await;
    // Without the last step the thread removes what it has written.
    drop(sender);
    match (read, written.await) {
        (Err(Fault::Refused(refusal)), _) => refusal.answer(),
        (Ok(()), Ok(Ok(Some(files)))) => Ingest::stored(files),
        (Ok(()) | Err(Fault::Disk), _) => Ingest::NOT_STORED.answer(),
    }
}

/// Why the files of a form were not read.
enum Fault {
    Refused(Refusal),
    /// The thread that writes has given up.
    Disk,
}

async fn read(form: &mut Ingest, body: &mut Pieces<'_>, sender: &mpsc::Sender<IngestStep>) -> Result<(), Fault> {
    loop {
        let step = form.poll().map_err(Fault::Refused)?;
        let is_complete = step == IngestStep::Complete;
        if step == IngestStep::More {
            match body.next().await.map_err(Fault::Refused)? {
                Some(piece) => form.push(&piece),
                None => return Err(Fault::Refused(Ingest::CUT)),
            }
            continue;
        }
        if is_complete {
            // What follows the form is read, so that the connection stays in step.
            while body.next().await.map_err(Fault::Refused)?.is_some() {}
        }
        sender.send(step).await.map_err(|_| Fault::Disk)?;
        if is_complete {
            return Ok(());
        }
    }
}

/// Writes files until all are there, on a thread of its own. `None` if the form did not come to its end: the files are removed.
fn write(
    uploads: &Uploads,
    mut steps: mpsc::Receiver<IngestStep>,
    most: u64,
) -> Result<Option<Vec<UploadedFile>>, StoreError> {
    let mut batch = uploads.begin()?;
    let mut files = Vec::new();
    let mut current = None;
    while let Some(step) = steps.blocking_recv() {
        match step {
            IngestStep::More => {}
            IngestStep::Begin { name, mime_type } => {
                batch.create(&name, most)?;
                current = Some((name, mime_type));
            }
            IngestStep::Content(bytes) => batch.write(&bytes)?,
            IngestStep::End => {
                let (path, size) = batch.complete()?;
                if let Some((name, mime_type)) = current.take() {
                    let mut file = UploadedFile::new(uploads.uri(&path), name, size);
                    file.mime_type = mime_type;
                    files.push(file);
                }
            }
            IngestStep::Complete => {
                batch.keep()?;
                return Ok(Some(files));
            }
        }
    }
    Ok(None)
}
