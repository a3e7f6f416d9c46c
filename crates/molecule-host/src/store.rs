//! What every store can do, and what it says when it cannot.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use molecule_core::effect::{Fault, FaultKind, Sent, Slot, Stored};

/// Where an agent keeps what must outlive it.
///
/// Acts may come from several threads at once, and from several processes where the place is shared. What is stored is
/// secret: an implementation keeps it private, and says nothing of it in an error. They come on threads that may wait, with a
/// stack of 2 MiB (the caller's own thread in a blocking call; a tokio runtime may be told otherwise), and a panic is an error.
///
/// An act that comes with a later version has a default, so that a store of today goes on compiling: one that answers
/// [`StoreError::unsupported`], or does nothing where that loses nothing. A [`Slot`] of a later version is either kept like the
/// others, or refused with the same error.
pub trait Store: Send + Sync {
    /// Makes sure that the store exists, is private, and can be written right now. A token is minted only after this.
    ///
    /// # Errors
    /// If a [`replace`](Self::replace) would fail.
    fn prepare(&self) -> Result<(), StoreError>;

    /// Makes what is stored private again where it can be, such as files that others may read. It comes before each
    /// [`prepare`](Self::prepare), and tells what it did or could not do: a sentence for each thing.
    fn make_private(&self) -> Vec<String> {
        Vec::new()
    }

    /// Reads a slot; `None` where nothing is stored.
    ///
    /// # Errors
    /// If there is something that cannot or must not be read. What cannot be read is never taken for absent.
    fn load(&self, slot: Slot) -> Result<Option<Stored>, StoreError>;

    /// Replaces a slot's content as a whole and durably: after a crash the old or the new content is there.
    ///
    /// # Errors
    /// If the new content may not be there to stay.
    fn replace(&self, slot: Slot, content: &[u8]) -> Result<(), StoreError>;

    /// Keeps a damaged slot's content under another name and leaves the slot empty. Tells the other name, for people.
    ///
    /// # Errors
    /// If the slot is empty already, or its content cannot be moved.
    fn set_aside(&self, slot: Slot) -> Result<String, StoreError>;

    /// Takes the agent's lock, without waiting. Dropping what is returned gives it back.
    ///
    /// # Errors
    /// [`StoreError::locked`] if it is held, and any other if it cannot be taken.
    fn lock(&self) -> Result<Box<dyn Send>, StoreError>;
}

/// Why a store failed: one sentence that names the place and the remedy, and never what is stored there.
#[derive(Debug)]
pub struct StoreError {
    kind: io::ErrorKind,
    locked: bool,
    sentence: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// A failure, as a sentence that begins with the place and ends with the remedy.
    pub fn new(kind: io::ErrorKind, sentence: impl Into<String>) -> Self {
        Self { kind, locked: false, sentence: sentence.into(), source: None }
    }

    /// The lock is held by another agent; the sentence names it.
    pub fn locked(sentence: impl Into<String>) -> Self {
        Self { kind: io::ErrorKind::WouldBlock, locked: true, sentence: sentence.into(), source: None }
    }

    /// The store does not know how to do this, such as `keep ".auth_token"`: an act or a slot that is newer than the store.
    pub fn unsupported(act: impl fmt::Display) -> Self {
        let sentence = format!("this store cannot {act}; use a newer version of it, or files (`Storage::Dir`)");
        Self::new(io::ErrorKind::Unsupported, sentence)
    }

    /// The same with the error behind it.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of failure it was: `PermissionDenied` for what is not private, `WouldBlock` for a held lock, `Unsupported`
    /// for what the store does not know, and what
    /// the operating system says for everything else.
    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }

    /// Whether an error of the operating system is behind it, and not what a store thinks of a file.
    pub(crate) fn is_of_system(&self) -> bool {
        self.source.is_some()
    }

    /// Whether another agent holds the lock.
    pub fn is_locked(&self) -> bool {
        self.locked
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let kind = if error.locked { FaultKind::Locked } else { FaultKind::Host(error.kind) };
        Self::with_source(Sent::No, kind, error)
    }
}
