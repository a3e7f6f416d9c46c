//! The body of a request that is made of files, while it is read.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use molecule_core::effect::{Fault, FaultKind, Sent, Upload};

use crate::store::StoreError;

/// The body of a request that is made of files, which are read piece by piece.
///
/// Every call may block on the disk.
pub struct Uploading {
    sections: VecDeque<Section>,
    length: u64,
}

enum Section {
    Bytes(io::Cursor<Vec<u8>>),
    File { file: File, path: PathBuf, left: u64 },
}

impl Uploading {
    /// Opens all files.
    ///
    /// # Errors
    /// A fault of the kind `File` if one of them cannot be sent. The request must not be sent then.
    pub fn open(upload: &Upload) -> Result<Self, Fault> {
        let refused = |error: StoreError| Fault::with_source(Sent::No, FaultKind::File, error);
        let files = upload.files.iter().map(|part| open(&part.path)).collect::<Result<Vec<_>, _>>().map_err(refused)?;
        let lengths: Vec<u64> = files.iter().map(|(_, length)| *length).collect();
        let checked = upload.check(&lengths);
        checked.map_err(|sentence| refused(StoreError::new(io::ErrorKind::InvalidInput, sentence)))?;
        let mut sections = VecDeque::new();
        for (number, ((file, left), part)) in files.into_iter().zip(&upload.files).enumerate() {
            sections.push_back(Section::Bytes(io::Cursor::new(upload.before(number))));
            sections.push_back(Section::File { file, path: part.path.clone(), left });
        }
        sections.push_back(Section::Bytes(io::Cursor::new(upload.after())));
        let length = sections.iter().map(Section::left).sum();
        Ok(Self { sections, length })
    }

    /// The length of the whole body in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads the next bytes; 0 at the end.
    ///
    /// # Errors
    /// A fault of the kind `File` if a file cannot be read, or became shorter. One that became longer is sent as long as it
    /// was.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let failed =
            |path: &Path, error: io::Error| Fault::with_source(Sent::Maybe, FaultKind::File, unreadable(path, error));
        while let Some(section) = self.sections.front_mut() {
            let amount = match section {
                Section::Bytes(bytes) => bytes.read(buffer).unwrap_or_default(),
                Section::File { file, path, left } => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                    let amount = file.read(&mut buffer[..most]).map_err(|error| failed(path, error))?;
                    if amount == 0 && most > 0 {
                        return Err(failed(path, io::Error::other("it became shorter while it was sent")));
                    }
                    *left -= amount as u64;
                    amount
                }
            };
            if amount > 0 || buffer.is_empty() {
                return Ok(amount);
            }
            self.sections.pop_front();
        }
        Ok(0)
    }
}

impl Section {
    fn left(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.get_ref().len() as u64,
            Self::File { left, .. } => *left,
        }
    }
}

/// Reads a whole file of at most this many bytes.
///
/// # Errors
/// A sentence with the cause and the remedy if it cannot be read, or is empty or longer.
pub(crate) fn read_file(path: &Path, max_bytes: u64) -> Result<Vec<u8>, StoreError> {
    let (file, length) = open(path)?;
    let shown = path.display();
    let refused = |sentence| Err(StoreError::new(io::ErrorKind::InvalidInput, sentence));
    if length > max_bytes {
        return refused(format!(
            "{shown} has {length} bytes, and at most {max_bytes} fit into a message to a peer; put the file where the peer \
             can fetch it, and attach its URI"
        ));
    }
    let mut content = Vec::new();
    file.take(max_bytes).read_to_end(&mut content).map_err(|error| unreadable(path, error))?;
    if content.is_empty() {
        return refused(format!("{shown} is empty; write something into it first"));
    }
    Ok(content)
}

/// Opens a regular file, and returns it with its length. Links are followed: the application chose the path.
fn open(path: &Path) -> Result<(File, u64), StoreError> {
    // A pipe would wait for its writer.
    let is_file = fs::metadata(path).map_err(|error| unreadable(path, error))?.is_file();
    if !is_file {
        let sentence = format!("{} is no regular file; attach a file", path.display());
        return Err(StoreError::new(io::ErrorKind::InvalidInput, sentence));
    }
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    let length = file.metadata().map_err(|error| unreadable(path, error))?.len();
    Ok((file, length))
}

fn unreadable(path: &Path, error: io::Error) -> StoreError {
    let sentence =
        format!("{} cannot be read: {error}; check the path, and that this user may read it", path.display());
    StoreError::new(error.kind(), sentence).with_source(error)
}
