//! A plugin's archive, unpacked while it arrives: bytes go in, files and directories come out, and nothing is kept but names
//! and digests.
//!
//! An [`Unpacker`] is pushed the bytes of a gzip'd tar in pieces of any size; however they are cut, the verdict is the same. It
//! refuses whatever a reader might take for something else than another reader does, whatever leaves the plugin's directory,
//! and whatever does not stay within its limits; each refusal names its [`Rule`]. Its [`Sink`] is told to make directories and
//! to write files, parents first, one after the other. What the sink was told is a plugin only once [`Unpacker::finish`] says so.
//!
//! ```
//! use molecule_plugin::Rule;
//! use molecule_plugin::unpack::{EntryPath, Sink, UnpackError, UnpackPolicy, Unpacker};
//!
//! /// Counts what it is told to write.
//! #[derive(Default)]
//! struct Count(u64);
//!
//! impl Sink for Count {
//!     fn directory(&mut self, _: &EntryPath) -> std::io::Result<()> { Ok(()) }
//!     fn begin(&mut self, _: &EntryPath, _executable: bool) -> std::io::Result<()> { Ok(()) }
//!     fn write(&mut self, piece: &[u8]) -> std::io::Result<()> { self.0 += piece.len() as u64; Ok(()) }
//!     fn end(&mut self) -> std::io::Result<()> { Ok(()) }
//! }
//!
//! let mut unpacker = Unpacker::new(Count::default(), &UnpackPolicy::default());
//! let Err(UnpackError::Refused(refusal)) = unpacker.push(b"<!doctype html><title>Sign in</title>") else { panic!() };
//! assert_eq!(refusal.rule(), Rule::NotGzip);
//! assert!(refusal.detail().contains("<!doctype html>"));
//! ```

mod extension;
mod gzip;
mod header;
mod made;
mod name;
mod tar;

use std::error::Error as StdError;
use std::fmt;
use std::io;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use molecule_proto::PluginName;
use serde::Serialize;

use crate::manifest;
use crate::{EntryRef, InstallLimits, PluginManifest, Refusal, Rule, Tree, TreeDigest, Verified, escaped};

pub use name::EntryPath;

/// What an unpacker tells to make a plugin's files, one call after the other.
///
/// A directory is announced once and before anything in it, also where the archive leaves it out; the root never is. Between
/// [`begin`](Self::begin) and [`end`](Self::end) come the pieces of one file and nothing else. An error ends it all; one of kind `AlreadyExists` from
/// [`directory`](Self::directory) or [`begin`](Self::begin) means that the file system takes two names for one, and is a refusal;
/// its source may be [`TakenBy`], which tells the other name.
pub trait Sink {
    /// Make a directory.
    ///
    /// # Errors
    /// Whatever the sink's own work meets.
    fn directory(&mut self, path: &EntryPath) -> io::Result<()>;

    /// Make a file that is not there yet.
    ///
    /// # Errors
    /// Whatever the sink's own work meets.
    fn begin(&mut self, path: &EntryPath, executable: bool) -> io::Result<()>;

    /// Add to the file: at most 128 KiB, straight from the buffer of decompression.
    ///
    /// # Errors
    /// Whatever the sink's own work meets.
    fn write(&mut self, piece: &[u8]) -> io::Result<()>;

    /// The file is whole.
    ///
    /// # Errors
    /// Whatever the sink's own work meets.
    fn end(&mut self) -> io::Result<()>;
}

/// The name, in the same directory, that a file system takes a new one for. It came before in the same archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBy(pub String);

impl fmt::Display for TakenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file system takes it for `{}`", escaped(self.0.as_bytes()))
    }
}

impl StdError for TakenBy {}

/// What an unpacker may take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnpackPolicy {
    /// How much.
    pub limits: InstallLimits,
    /// What becomes of links.
    pub links: LinkPolicy,
}

/// What becomes of symbolic and hard links in an archive. No link is ever made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LinkPolicy {
    /// They are left out, counted and reported.
    #[default]
    Skip,
    /// The archive is refused.
    Reject,
}

/// Unpacks one archive; the module says how.
#[derive(Debug)]
pub struct Unpacker<S> {
    gzip: gzip::Gzip,
    tar: tar::Tar<S>,
    most: u64,
    failed: Option<Failed>,
}

/// How far an unpacker is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of the archive that were pushed.
    pub received: u64,
    /// Bytes that came out of decompression.
    pub unpacked: u64,
    /// Entries that were begun.
    pub entries: u64,
}

/// A whole archive that was unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unpacked {
    /// How many files were written.
    pub files: u64,
    /// How many directories were made.
    pub directories: u64,
    /// Bytes of all files together.
    pub bytes: u64,
    /// Entries of the archive, of every type.
    pub entries: u64,
    /// Bytes of the archive.
    pub received: u64,
    /// Links that were left out.
    pub skipped_links: SkippedLinks,
    /// The files.
    pub tree: Tree,
    /// The content of `plugin.yaml`, if there is one.
    pub manifest: Option<Vec<u8>>,
    /// Whether there is a regular file `setup.sh` at the root.
    pub has_setup: bool,
}

/// Links that were left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SkippedLinks {
    /// How many.
    pub count: u64,
    /// The names of the first 20, escaped.
    pub names: Vec<String>,
}

/// Why an archive was not unpacked.
#[derive(Debug)]
#[non_exhaustive]
pub enum UnpackError {
    /// It breaks a rule.
    Refused(Refusal),
    /// The sink failed.
    Sink {
        /// At this entry.
        entry: Option<EntryRef>,
        /// With this error.
        error: io::Error,
    },
}

impl UnpackPolicy {
    /// Sets how much may be taken.
    #[must_use]
    pub fn limits(mut self, limits: InstallLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets what becomes of links.
    #[must_use]
    pub fn links(mut self, links: LinkPolicy) -> Self {
        self.links = links;
        self
    }
}

impl Unpacked {
    /// Checks what was unpacked before it is put in its place: `plugin.yaml` is there and can be read, it is the plugin's, and the
    /// content has the digest that it declares and the one that the caller pinned.
    ///
    /// # Errors
    /// A refusal by one of the rules `manifest-…`, `content-mismatch`, or `tree-mismatch`.
    pub fn verify(&self, name: &PluginName, pin: Option<&TreeDigest>) -> Result<Verified, Refusal> {
        let manifest = self.manifest.as_deref().ok_or_else(|| manifest::missing(&self.tree))?;
        PluginManifest::parse(manifest)?.verify(name, &self.tree, pin)
    }
}

impl<S: Sink> Unpacker<S> {
    /// An unpacker that has seen nothing yet.
    pub fn new(sink: S, policy: &UnpackPolicy) -> Self {
        Self {
            gzip: gzip::Gzip::new(),
            tar: tar::Tar::new(sink, policy),
            most: policy.limits.max_archive_bytes,
            failed: None,
        }
    }

    /// Looks at the headers that came before the archive, so that what cannot be taken is not even received.
    ///
    /// # Errors
    /// `Refused` if they announce more bytes than the limit, or a content encoding.
    pub fn head(&mut self, headers: &HeaderMap) -> Result<(), UnpackError> {
        let judged = self.not_failed().and_then(|()| judge(headers, self.most).map_err(UnpackError::Refused));
        self.keep(judged)
    }

    /// Takes the next bytes of the archive.
    ///
    /// # Errors
    /// `Refused` by a rule, or `Sink`; every call after it says the same.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), UnpackError> {
        let pushed = self.not_failed().and_then(|()| self.take(piece));
        self.keep(pushed)
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), UnpackError> {
        let room = usize::try_from(self.most - self.gzip.received()).unwrap_or(usize::MAX);
        let within = &piece[..piece.len().min(room)];
        self.gzip.push(within, &mut |bytes| self.tar.push(bytes))?;
        if within.len() < piece.len() {
            self.gzip.flush(&mut |bytes| self.tar.push(bytes))?;
            return Err(too_long(self.most, "it goes on after that").into());
        }
        Ok(())
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress { received: self.gzip.received(), unpacked: self.gzip.unpacked(), entries: self.tar.entries() }
    }

    /// The archive has ended: says whether it is whole, and what was in it.
    ///
    /// # Errors
    /// What an earlier call failed with, or `Refused` because something is missing. The sink comes back with it, so that what was
    /// written can be removed.
    pub fn finish(mut self) -> Result<(Unpacked, S), (UnpackError, S)> {
        let ended = self.not_failed().and_then(|()| {
            self.gzip.finish(&mut |bytes| self.tar.push(bytes))?;
            self.tar.finish()
        });
        let received = self.gzip.received();
        let (unpacked, sink) = self.tar.into_parts(received);
        match ended {
            Ok(()) => Ok((unpacked, sink)),
            Err(error) => Err((error, sink)),
        }
    }

    /// Gives up, and gives the sink back.
    pub fn into_sink(self) -> S {
        self.tar.into_sink()
    }

    fn not_failed(&self) -> Result<(), UnpackError> {
        self.failed.as_ref().map_or(Ok(()), |failed| Err(failed.error()))
    }

    fn keep(&mut self, done: Result<(), UnpackError>) -> Result<(), UnpackError> {
        if let (Err(error), None) = (&done, &self.failed) {
            self.failed = Some(Failed::of(error));
        }
        done
    }
}

fn judge(headers: &HeaderMap, most: u64) -> Result<(), Refusal> {
    for encodings in headers.get_all(CONTENT_ENCODING) {
        let other = |encoding: &&[u8]| !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity");
        if let Some(encoding) = encodings.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).find(other) {
            let detail = format!("the answer has the content encoding `{}`: a proxy added it", escaped(encoding));
            return Err(Refusal::new(Rule::ContentEncoding, detail));
        }
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.trim().parse::<u64>().ok());
    match length {
        Some(length) if length > most => Err(too_long(most, &format!("{length} are announced"))),
        _ => Ok(()),
    }
}

fn too_long(most: u64, cause: &str) -> Refusal {
    Refusal::new(
        Rule::ArchiveBytes,
        format!("the archive may have {most} bytes, and {cause}; raise max_archive_bytes if it is honest"),
    )
}

/// What an unpacker failed with, to be said again.
#[derive(Debug)]
enum Failed {
    Refused(Refusal),
    Sink { entry: Option<EntryRef>, code: Option<i32>, kind: io::ErrorKind, text: String },
}

impl Failed {
    fn of(error: &UnpackError) -> Self {
        match error {
            UnpackError::Refused(refusal) => Self::Refused(refusal.clone()),
            UnpackError::Sink { entry, error } => Self::Sink {
                entry: entry.clone(),
                code: error.raw_os_error(),
                kind: error.kind(),
                text: error.to_string(),
            },
        }
    }

    fn error(&self) -> UnpackError {
        match self {
            Self::Refused(refusal) => UnpackError::Refused(refusal.clone()),
            Self::Sink { entry, code, kind, text } => UnpackError::Sink {
                entry: entry.clone(),
                error: code.map_or_else(|| io::Error::new(*kind, text.clone()), io::Error::from_raw_os_error),
            },
        }
    }
}

impl UnpackError {
    /// The refusal, where a rule was broken.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Sink { .. } => None,
        }
    }
}

impl From<Refusal> for UnpackError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl fmt::Display for UnpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Sink { entry: Some(entry), error } => write!(f, "{entry} could not be written: {error}"),
            Self::Sink { entry: None, error } => write!(f, "the archive could not be written: {error}"),
        }
    }
}

impl StdError for UnpackError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Sink { error, .. } => Some(error),
        }
    }
}
