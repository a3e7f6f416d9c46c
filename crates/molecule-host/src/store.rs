//! The interface of every store, and its error.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use molecule_core::effect::{Durability, Fault, FaultKind, Sent, Slot, Stored};
use zeroize::Zeroizing;

/// The store of an agent's credentials and of its inbox's journal, which outlive the agent.
///
/// Methods may be called from several threads at once, and from several processes if they share the place. The content
/// is secret: an implementation keeps it private, and never quotes it in an error. The methods are called on threads
/// that may block, with a stack of 2 MiB (in a blocking call it is the caller's own thread; a tokio runtime can be
/// configured otherwise). A panic counts as an error.
///
/// A method that a later version adds has a default, so that today's stores still compile. The default returns
/// [`StoreError::unsupported`], or does nothing if that loses nothing. A store handles a [`Slot`] of a later version
/// like the others, or refuses it with the same error.
pub trait Store: Send + Sync {
    /// Makes sure that the store exists, is private, and can be written now, and that the content is durable that a
    /// killed process has left. A token is minted only after this.
    ///
    /// # Errors
    /// If a [`replace`](Self::replace) would fail.
    fn prepare(&self) -> Result<(), StoreError>;

    /// Makes the content private again where possible, such as files that others may read. It is called before each
    /// [`prepare`](Self::prepare), and returns a sentence for each thing that it did or could not do.
    fn make_private(&self) -> Vec<String> {
        Vec::new()
    }

    /// Reads a slot; `None` if nothing is stored.
    ///
    /// # Errors
    /// If there is content that cannot or must not be read. Unreadable content never counts as absent.
    fn load(&self, slot: Slot) -> Result<Option<Stored>, StoreError>;

    /// Replaces a slot's content atomically and durably: after a crash either the old or the new content is there.
    ///
    /// # Errors
    /// If it is not certain that the new content is stored durably.
    fn replace(&self, slot: Slot, content: &[u8]) -> Result<(), StoreError>;

    /// Adds bytes to the end of a slot's content; an empty slot has them as its content then. The journal of the inbox
    /// ([`Slot::Inbox`]) is written so, several times for each message.
    ///
    /// A process that dies loses nothing that was appended. With [`Durability::Sync`] a power failure loses nothing
    /// either, also nothing of what was appended before. A crash during an append leaves any first part of its bytes.
    ///
    /// The default loads the slot and replaces its content. That loses nothing either, and its cost grows with the
    /// content, so a store that can append should do so. Two appends to one slot never overlap: the inbox makes one at
    /// a time, under the agent's lock.
    ///
    /// # Errors
    /// If it is not certain that the bytes are stored with that durability. The content is then what it was before,
    /// except where not even that can be restored: a first part of the bytes may follow it then. It is an error to
    /// append more than [`Slot::max_content`] allows, because what is longer could not be loaded.
    fn append(&self, slot: Slot, content: &[u8], durability: Durability) -> Result<(), StoreError> {
        // A replacement is always durable.
        let _ = durability;
        let Some(stored) = self.load(slot)? else { return self.replace(slot, content) };
        check_room(&stored.place, slot, stored.bytes.len() as u64, content.len())?;
        let whole = Zeroizing::new([stored.bytes.as_slice(), content].concat());
        self.replace(slot, &whole)
    }

    /// Moves a damaged slot's content to another name, so that the slot is empty. Returns that name, for people.
    ///
    /// # Errors
    /// If the slot is already empty, or its content cannot be moved.
    fn set_aside(&self, slot: Slot) -> Result<String, StoreError>;

    /// Whether the store waits for nothing, so that its methods may be called on a thread that others wait for. The default says no.
    fn is_in_memory(&self) -> bool {
        false
    }

    /// Takes the agent's lock, without waiting. The lock is released when the returned value is dropped.
    ///
    /// # Errors
    /// [`StoreError::locked`] if another agent holds it, and any other error if it cannot be taken.
    fn lock(&self) -> Result<Box<dyn Send>, StoreError>;
}

/// Refuses an append after which the slot could not be loaded any more. `place` begins the error's sentence.
pub(crate) fn check_room(place: impl fmt::Display, slot: Slot, length: u64, more: usize) -> Result<(), StoreError> {
    let most = slot.max_content();
    if length.saturating_add(more as u64) <= most {
        return Ok(());
    }
    let sentence = format!(
        "{place} would hold more than {most} bytes; wait until the agent has shortened it, or move it away while the agent is stopped"
    );
    Err(StoreError::new(io::ErrorKind::FileTooLarge, sentence))
}

/// The error of a store: one sentence that names the place and the remedy, and never the content.
#[derive(Debug)]
pub struct StoreError {
    kind: io::ErrorKind,
    locked: bool,
    sentence: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// Creates an error from a sentence that begins with the place and ends with the remedy.
    pub fn new(kind: io::ErrorKind, sentence: impl Into<String>) -> Self {
        Self { kind, locked: false, sentence: sentence.into(), source: None }
    }

    /// Creates the error for a lock that another agent holds; the sentence names the lock.
    pub fn locked(sentence: impl Into<String>) -> Self {
        Self { kind: io::ErrorKind::WouldBlock, locked: true, sentence: sentence.into(), source: None }
    }

    /// Creates the error for an act or a slot that is newer than the store. `act` completes the sentence "this store
    /// cannot …", such as `keep ".auth_token"`.
    pub fn unsupported(act: impl fmt::Display) -> Self {
        let sentence = format!("this store cannot {act}; use a newer version of it, or files (`Storage::Dir`)");
        Self::new(io::ErrorKind::Unsupported, sentence)
    }

    /// Adds the error that caused it.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind of the error: `PermissionDenied` for something that is not private, `WouldBlock` for a held lock,
    /// `Unsupported` for something that the store does not know, and otherwise the operating system's kind.
    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }

    /// Returns whether an error of the operating system caused it, rather than a check of the store.
    pub(crate) fn is_of_system(&self) -> bool {
        self.source.is_some()
    }

    /// Returns whether another agent holds the lock.
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
