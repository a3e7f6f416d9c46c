//! A plugin's archive, unpacked while it arrives: bytes go in, files and directories come out. Names and digests are all that
//! stays in memory.
//!
//! An [`Unpacker`] takes the bytes of a gzip'd tar in pieces of any size; the verdict does not depend on where they are cut. It
//! refuses three things: what two readers of tar understand differently, what leaves the plugin's directory, and what exceeds
//! the limits. Each refusal names its [`Rule`]. The [`Sink`] is called to make directories and to write files, parents first,
//! one after the other. They are a plugin only after [`Unpacker::finish`] returned `Ok`.
//!
//! ```
//! use molecule_plugin::Rule;
//! use molecule_plugin::unpack::{EntryPath, Sink, UnpackError, UnpackPolicy, Unpacker};
//!
//! /// Counts the bytes of all files.
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

/// Where an unpacker writes a plugin's files, one call after the other.
///
/// [`directory`](Self::directory) is called once for each directory, before anything in it, also where the archive has no entry
/// for it; never for the root. Between [`begin`](Self::begin) and [`end`](Self::end) come the pieces of one file and nothing
/// else. The first error ends the unpacking. An error of kind `AlreadyExists` from `directory` or `begin` means that the file
/// system takes two names for one, and becomes a refusal; [`TakenBy`] as its source names the other one.
pub trait Sink {
    /// Makes a directory.
    ///
    /// # Errors
    /// Any error of the sink's own work.
    fn directory(&mut self, path: &EntryPath) -> io::Result<()>;

    /// Makes a file that is not there yet.
    ///
    /// # Errors
    /// Any error of the sink's own work.
    fn begin(&mut self, path: &EntryPath, executable: bool) -> io::Result<()>;

    /// Adds at most 128 KiB to the file, straight from the buffer of decompression.
    ///
    /// # Errors
    /// Any error of the sink's own work.
    fn write(&mut self, piece: &[u8]) -> io::Result<()>;

    /// Ends the file, which is whole.
    ///
    /// # Errors
    /// Any error of the sink's own work.
    fn end(&mut self) -> io::Result<()>;
}

/// An earlier name in the same directory and archive, which the file system does not distinguish from a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBy(pub String);

impl fmt::Display for TakenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file system takes it for `{}`", escaped(self.0.as_bytes()))
    }
}

impl StdError for TakenBy {}

/// The limits of an unpacker, and its treatment of links.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnpackPolicy {
    /// How much the archive may hold.
    pub limits: InstallLimits,
    /// How links are treated.
    pub links: LinkPolicy,
}

/// How symbolic and hard links in an archive are treated. No link is ever made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LinkPolicy {
    /// Links are left out, counted and reported.
    #[default]
    Skip,
    /// An archive with a link is refused.
    Reject,
}

/// Unpacks one archive; see the [module](self).
#[derive(Debug)]
pub struct Unpacker<S> {
    gzip: gzip::Gzip,
    tar: tar::Tar<S>,
    most: u64,
    failed: Option<Failed>,
}

/// How much of an archive was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of the archive that were pushed.
    pub received: u64,
    /// Bytes that came out of decompression.
    pub unpacked: u64,
    /// Entries whose header was read.
    pub entries: u64,
}

/// The summary of an archive that was unpacked to its end.
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
    /// How many links were left out.
    pub count: u64,
    /// The names of the first 20, escaped.
    pub names: Vec<String>,
}

/// Why an archive was not unpacked.
#[derive(Debug)]
#[non_exhaustive]
pub enum UnpackError {
    /// The archive breaks a rule.
    Refused(Refusal),
    /// The sink failed.
    Sink {
        /// The entry that was written, if it was one.
        entry: Option<EntryRef>,
        /// The sink's error.
        error: io::Error,
    },
}

impl UnpackPolicy {
    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: InstallLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how links are treated.
    #[must_use]
    pub fn links(mut self, links: LinkPolicy) -> Self {
        self.links = links;
        self
    }
}

impl Unpacked {
    /// Verifies the plugin before it is put in its place. `plugin.yaml` must exist, be readable and name this plugin;
    /// the content must have the digest that `plugin.yaml` declares and the digest that the caller pinned.
    ///
    /// # Errors
    /// A refusal by one of the rules `manifest-…`, `content-mismatch`, or `tree-mismatch`.
    pub fn verify(&self, name: &PluginName, pin: Option<&TreeDigest>) -> Result<Verified, Refusal> {
        let manifest = self.manifest.as_deref().ok_or_else(|| manifest::missing(&self.tree))?;
        PluginManifest::parse(manifest)?.verify(name, &self.tree, pin)
    }
}

impl<S: Sink> Unpacker<S> {
    /// An unpacker that has read nothing yet.
    pub fn new(sink: S, policy: &UnpackPolicy) -> Self {
        Self {
            gzip: gzip::Gzip::new(),
            tar: tar::Tar::new(sink, policy),
            most: policy.limits.max_archive_bytes,
            failed: None,
        }
    }

    /// Checks the headers of the answer before its body, the archive, is received.
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
    /// `Refused` by a rule, or `Sink`. Every later call returns the same error.
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

    /// How much was read so far.
    pub fn progress(&self) -> Progress {
        Progress { received: self.gzip.received(), unpacked: self.gzip.unpacked(), entries: self.tar.entries() }
    }

    /// Ends the archive, and returns its summary if it is whole.
    ///
    /// # Errors
    /// The error of an earlier call, or `Refused` because something is missing. The sink is returned with it, so that the caller
    /// can remove its files.
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

    /// Gives up, and returns the sink.
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

/// The error of an unpacker, kept so that later calls can return it again: an `io::Error` cannot be cloned.
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
    /// The refusal, if a rule was broken.
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
