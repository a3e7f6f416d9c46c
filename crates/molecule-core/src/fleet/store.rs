//! What a fleet asks of its store: a register for each key, with compare-and-set, a listing and a watch.

use bytes::Bytes;

/// The store's version of one key. It grows with each write of the key, and goes back only if the store itself does.
pub type Revision = u64;

/// An operation on the store. The driver gives up after a third of the fleet's TTL and then says that it failed, or for a
/// `Put` that its outcome is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreOp {
    /// Reads a key from whoever decides about writes, such as a leader: [`StoreOutcome::Entry`].
    Get {
        /// The key: letters, digits, `-`, `_` and `.`, no dot at either end.
        key: String,
    },
    /// Reads all keys that begin with the prefix: [`StoreOutcome::Entries`].
    List {
        /// The prefix.
        prefix: String,
    },
    /// Writes a key if it has the expected revision, or does not exist if there is none: [`StoreOutcome::Put`].
    Put {
        /// The key.
        key: String,
        /// The value, JSON. The store may change its spelling, but not its meaning.
        value: Bytes,
        /// The revision that is replaced.
        expected: Option<Revision>,
    },
    /// Tells each later change: [`StoreOutcome::Changed`], until [`StoreOutcome::Failed`]. It may repeat entries and skip
    /// some. A store that cannot watch fails at once.
    Watch {
        /// The prefix of the keys.
        prefix: String,
    },
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreEntry {
    /// The key.
    pub key: String,
    /// Its revision.
    pub revision: Revision,
    /// Its value.
    pub value: Bytes,
}

/// The outcome of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreOutcome {
    /// The entry that was read; `None` if there is none.
    Entry(Option<StoreEntry>),
    /// The entries that were listed.
    Entries(Vec<StoreEntry>),
    /// What became of a write.
    Put(Cas),
    /// A change; the watch goes on.
    Changed(StoreEntry),
    /// A read or a watch failed or ended.
    Failed,
}

/// What became of a compare-and-set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cas {
    /// It is stored under this revision.
    Done(Revision),
    /// It is not stored, and never will be: the key has another revision.
    Lost,
    /// Nobody knows, as after a time-out, a lost connection or a server's error. It may be stored, or be stored later.
    Unknown,
}
