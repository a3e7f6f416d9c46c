//! Operations on the agent's store, which `molecule-host` performs, and their results.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::effect::durability::Durability;
use crate::effect::plugin::{PluginOp, PluginResult};

/// An operation on the agent's store.
///
/// `Debug` shows lengths, never content.
#[derive(PartialEq, Eq)]
pub enum HostOp {
    /// Make sure that the store exists, is private, and can be written now. A machine asks for this before a token is
    /// minted.
    Prepare,
    /// Read a slot.
    Load(Slot),
    /// Replace a slot's content atomically and durably: after a crash the slot holds the old or the new content, never
    /// a mixture.
    Replace(Slot, Zeroizing<Vec<u8>>),
    /// Add bytes to the end of a slot's content, or make them its content if it has none. If this fails, the slot holds
    /// what it held before. After a crash it may hold any first part of the bytes, behind what it held before.
    Append(Slot, Bytes, Durability),
    /// Move a damaged slot's content to another name and leave the slot empty.
    SetAside(Slot),
    /// Read a file of the application's, of at most this many bytes. If it cannot be read, or is empty or longer, the
    /// fault is [`FaultKind::File`](crate::effect::FaultKind::File).
    ReadFile(PathBuf, u64),
    /// Take the agent's advisory lock.
    Lock,
    /// Release the agent's lock, or a plugin's ([`PluginOp::Lock`]).
    Unlock(LockId),
    /// An operation on the agent's plugins.
    Plugin(PluginOp),
}

impl HostOp {
    /// Returns the predicate of the results that answer this operation.
    pub(crate) fn fitting(&self) -> fn(&HostResult) -> bool {
        match self {
            Self::Prepare => |result| matches!(result, HostResult::Prepared | HostResult::SetRight(_)),
            Self::Load(_) => |result| matches!(result, HostResult::Loaded(_)),
            Self::Replace(..) => |result| matches!(result, HostResult::Replaced),
            Self::Append(..) => |result| matches!(result, HostResult::Appended),
            Self::SetAside(_) => |result| matches!(result, HostResult::SetAside(_)),
            Self::ReadFile(..) => |result| matches!(result, HostResult::FileRead(_)),
            Self::Lock => |result| matches!(result, HostResult::Locked(_)),
            Self::Unlock(_) => |result| matches!(result, HostResult::Unlocked),
            Self::Plugin(op) => op.fitting(),
        }
    }
}

/// A slot of the store. Each is a file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Slot {
    /// The workspace's bearer token, as raw text: `.auth_token`.
    Token,
    /// The platform's inbound secret, as raw text: `.platform_inbound_secret`.
    InboundSecret,
    /// The inbound secrets that were replaced lately, one a line: the second of the replacement since 1970, a blank, and the
    /// secret: `.replaced_inbound_secrets`.
    ReplacedSecrets,
    /// The journal of the inbox, to which records are appended: `.inbox`. It may become large, up to
    /// [`max_content`](Self::max_content).
    Inbox,
    /// The key from which the ids of replies are made, as 32 bytes: `.reply_key`.
    ReplyKey,
    /// The answers that were given to pushed messages, to which records are appended: `.answers`. It may become large, up
    /// to [`max_content`](Self::max_content).
    Answers,
}

impl Slot {
    /// All slots. The checks of privacy, the sweeps and the tests go through this list.
    pub const ALL: &'static [Self] =
        &[Self::Token, Self::InboundSecret, Self::ReplacedSecrets, Self::Inbox, Self::ReplyKey, Self::Answers];

    /// Returns the name of the slot's file; those of the credentials are the same as in the Python SDK. Other stores may
    /// use it as a key.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Token => ".auth_token",
            Self::InboundSecret => ".platform_inbound_secret",
            Self::ReplacedSecrets => ".replaced_inbound_secrets",
            Self::Inbox => ".inbox",
            Self::ReplyKey => ".reply_key",
            Self::Answers => ".answers",
        }
    }

    /// Returns the most bytes of content that are read from the slot, or that an append may make of it: 64 MiB for the
    /// inbox and the answers, else 64 KiB. A token has 43 bytes, and at most 4096.
    pub fn max_content(self) -> u64 {
        match self {
            Self::Token | Self::InboundSecret | Self::ReplacedSecrets | Self::ReplyKey => 64 * 1024,
            Self::Inbox | Self::Answers => 64 * 1024 * 1024,
        }
    }
}

/// The id of a lock that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockId(pub u64);

/// The result of an operation on the store.
///
/// `Debug` shows lengths, never content.
#[derive(PartialEq, Eq)]
pub enum HostResult {
    /// The result of [`HostOp::Prepare`].
    Prepared,
    /// The result of [`HostOp::Prepare`] where something was not private enough: one sentence for each thing that was
    /// corrected.
    SetRight(Vec<String>),
    /// The result of [`HostOp::Load`]: the content, or `None` if nothing is stored.
    Loaded(Option<Stored>),
    /// The result of [`HostOp::Replace`].
    Replaced,
    /// The result of [`HostOp::Append`].
    Appended,
    /// The result of [`HostOp::SetAside`]: where the content is now, as text for people.
    SetAside(String),
    /// The result of [`HostOp::ReadFile`].
    FileRead(Bytes),
    /// The result of [`HostOp::Lock`].
    Locked(LockId),
    /// The result of [`HostOp::Unlock`].
    Unlocked,
    /// The result of [`HostOp::Plugin`].
    Plugin(PluginResult),
}

/// A slot's content.
#[derive(PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The bytes as they are stored.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Where the bytes are stored, as text for people: a path, or the name of a keyring.
    pub place: String,
}

impl Stored {
    /// Makes a slot's content. `place` says where it is stored, as text for people.
    pub fn new(bytes: impl Into<Zeroizing<Vec<u8>>>, place: impl Into<String>) -> Self {
        Self { bytes: bytes.into(), place: place.into() }
    }
}

impl fmt::Debug for HostOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare => f.write_str("Prepare"),
            Self::Load(slot) => write!(f, "Load({slot:?})"),
            Self::Replace(slot, bytes) => write!(f, "Replace({slot:?}, {} bytes)", bytes.len()),
            Self::Append(slot, bytes, durability) => {
                write!(f, "Append({slot:?}, {} bytes, {durability:?})", bytes.len())
            }
            Self::SetAside(slot) => write!(f, "SetAside({slot:?})"),
            Self::ReadFile(_, max_bytes) => write!(f, "ReadFile(at most {max_bytes} bytes)"),
            Self::Lock => f.write_str("Lock"),
            Self::Unlock(LockId(id)) => write!(f, "Unlock({id})"),
            Self::Plugin(op) => op.fmt(f),
        }
    }
}

impl fmt::Debug for HostResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepared => f.write_str("Prepared"),
            Self::SetRight(said) => write!(f, "SetRight({} things)", said.len()),
            Self::Loaded(None) => f.write_str("Loaded(nothing)"),
            Self::Loaded(Some(stored)) => write!(f, "Loaded({} bytes)", stored.bytes.len()),
            Self::Replaced => f.write_str("Replaced"),
            Self::Appended => f.write_str("Appended"),
            Self::SetAside(place) => write!(f, "SetAside({place})"),
            Self::FileRead(bytes) => write!(f, "FileRead({} bytes)", bytes.len()),
            Self::Locked(LockId(id)) => write!(f, "Locked({id})"),
            Self::Unlocked => f.write_str("Unlocked"),
            Self::Plugin(result) => result.fmt(f),
        }
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored({} bytes at {})", self.bytes.len(), self.place)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_slot_is_in_the_list_and_has_a_file_of_its_own() {
        // A new slot breaks this match, which reminds its author of the list.
        let listed = |slot| match slot {
            Slot::Token
            | Slot::InboundSecret
            | Slot::ReplacedSecrets
            | Slot::Inbox
            | Slot::ReplyKey
            | Slot::Answers => Slot::ALL.contains(&slot),
        };
        let all = [Slot::Token, Slot::InboundSecret, Slot::ReplacedSecrets, Slot::Inbox, Slot::ReplyKey, Slot::Answers];
        assert!(all.into_iter().all(listed));
        let names: BTreeSet<_> = Slot::ALL.iter().map(|slot| slot.file_name()).collect();
        assert_eq!(names.len(), Slot::ALL.len());
    }
}
