//! The file to which the body of a fetched answer is saved.

use std::path::PathBuf;

use http::header::{CONTENT_DISPOSITION, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue};

use crate::error::fault::{Fault, FaultKind, NotTheFile, Sent};

/// The file to which a driver saves the body of a 200, through `molecule-host`.
///
/// The body is written to a temporary file beside it, which only this user can open, and is renamed once all of it is on
/// the disk. A body that is cut leaves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDest {
    /// The file, or an existing directory in which the file gets its [`name`](Self::name).
    pub path: PathBuf,
    /// The name of the file in a directory: one component, safe on every system.
    pub name: String,
    /// The most bytes of the file. The fault for more is [`TooLarge`](crate::effect::FaultKind::TooLarge), with the
    /// answer's head.
    pub max_bytes: u64,
    /// Whether a file that exists is replaced. If it must not be, the fault is `Host` of the kind `AlreadyExists`.
    pub replace: bool,
}

impl FileDest {
    /// Checks the headers of the answer with the file.
    ///
    /// # Errors
    /// A fault of the kind `Protocol` if it is not the file: it has an encoding that nobody asked for, or is not marked
    /// as an attachment, which the platform does (contract section 17) and a web page of something else does not.
    pub fn admits(headers: &HeaderMap) -> Result<(), Fault> {
        let starts_with = |value: &HeaderValue, word: &[u8]| {
            value.as_bytes().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        let refused = |why| Err(Fault::with_source(Sent::Maybe, FaultKind::Protocol, NotTheFile(why)));
        let is_plain = |value: &HeaderValue| value.is_empty() || value.as_bytes().eq_ignore_ascii_case(b"identity");
        if !headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
            return refused("it has an encoding that nobody asked for");
        }
        if !headers.get(CONTENT_DISPOSITION).is_some_and(|value| starts_with(value, b"attachment")) {
            return refused("it has no Content-Disposition that says so");
        }
        Ok(())
    }
}

/// A fetched answer whose body was saved to a file. The file is on the disk.
#[derive(Debug)]
pub struct Saved {
    /// The answer's head.
    pub head: http::Response<()>,
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Whether there may have been another file before.
    pub may_have_replaced: bool,
}
