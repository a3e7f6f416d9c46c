//! Effects, which machines ask for, and their outcomes. The module may change in any release, except for what the
//! facades' module `extend` re-exports.

pub mod connection;
pub(crate) mod decode;
pub(crate) mod durability;
pub(crate) mod handle;
pub(crate) mod limits;
pub mod plugin;
pub(crate) mod setup;
pub mod watch;

use std::fmt;

use bytes::Bytes;
use molecule_proto::PluginName;
use zeroize::Zeroizing;

pub use crate::effect::decode::{Decode, Decoded};
pub use crate::effect::durability::Durability;
pub use crate::effect::handle::{Handle, Handled};
pub use crate::effect::limits::Limits;
use crate::effect::plugin::{PluginOp, PluginResult, StageId};
pub use crate::error::fault::{Fault, FaultKind, Phase, Sent};
use crate::printable::ShownUrl;
use crate::unpack::{Progress, UnpackPolicy, Unpacked};

/// The id of an effect, unique within an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub u64);

/// An operation that a driver performs.
///
/// `Debug` shows method, URL without its query, and lengths, never a header or a body.
pub enum Effect {
    /// Send the request and read the whole answer, whatever its status. Redirects are not followed.
    Http(http::Request<Bytes>, Limits),
    /// Send the request and stream the body of a 200 to its destination while it arrives. Any other answer is read as a
    /// whole, at most [`Limits::max_body`] bytes of it.
    Fetch(http::Request<Bytes>, Limits, Dest),
    /// Open an event stream with a `GET`. If the answer is 200 and [is a stream](watch::check_stream), each piece of its
    /// body is an [`Outcome::Part`] as soon as it arrives. The end of the stream is a fault, in whatever way it ends. An
    /// answer with another status is read as a whole, at most [`Limits::max_body`] bytes of it.
    ///
    /// The stream has a connection of its own, which carries no other request and is closed at its end. It is read no
    /// faster than the machine takes its pieces. A cancel ends it promptly, wherever it waits.
    Watch(http::Request<Bytes>, Limits),
    /// Offer a message to the application's handler.
    Handle(Handle),
    /// An operation on the agent's store or its plugins, performed by `molecule-host`.
    Host(HostOp),
    /// Decode a large answer, with the session unlocked and on a thread that no other work waits for.
    Decode(Decode),
}

/// The number of a request within its call. Every request of a machine carries it as an extension, for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The call's operation, as [`Error::operation`](crate::Error::operation) names it.
    pub operation: &'static str,
    /// The number of the request, counted from 1.
    pub number: u32,
}

/// The destination of a fetched body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dest {
    /// A staging directory of this plugin; an [`Unpacker`](crate::unpack::Unpacker) with this policy fills it.
    Unpack(PluginName, UnpackPolicy),
}

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
    /// The journal of the inbox, to which records are appended: `.inbox`. It may become large, up to
    /// [`max_content`](Self::max_content).
    Inbox,
    /// The key from which the ids of replies are made, as 32 bytes: `.reply_key`.
    ReplyKey,
}

impl Slot {
    /// All slots. The checks of privacy, the sweeps and the tests go through this list.
    pub const ALL: &'static [Self] = &[Self::Token, Self::InboundSecret, Self::Inbox, Self::ReplyKey];

    /// Returns the name of the slot's file; those of the credentials are the same as in the Python SDK. Other stores may
    /// use it as a key.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Token => ".auth_token",
            Self::InboundSecret => ".platform_inbound_secret",
            Self::Inbox => ".inbox",
            Self::ReplyKey => ".reply_key",
        }
    }

    /// Returns the most bytes of content that are read from the slot, or that an append may make of it: 64 MiB for the
    /// journal, else 64 KiB. A token has 43 bytes, and at most 4096.
    pub fn max_content(self) -> u64 {
        match self {
            Self::Token | Self::InboundSecret | Self::ReplyKey => 64 * 1024,
            Self::Inbox => 64 * 1024 * 1024,
        }
    }
}

/// The id of a lock that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockId(pub u64);

/// The outcome of an effect.
///
/// `Debug` shows status and lengths, never a header or a body.
pub enum Outcome {
    /// An answer, whatever its status.
    Response(http::Response<Bytes>),
    /// A fetched answer of status 200, whose body was unpacked completely.
    Staged(StageId, Staged),
    /// The progress of a fetch. It is not the final outcome.
    Progress(Progress),
    /// The next bytes of a [watched](Effect::Watch) stream, 1 to [`MAX_PART`](watch::MAX_PART) of them. They may be cut
    /// anywhere, also within a character. It is not the final outcome.
    Part(Bytes),
    /// The handler has returned without an error. An error or a panic is a fault.
    Handled(Handled),
    /// An operation of the host succeeded.
    Host(HostResult),
    /// The result of [`Effect::Decode`].
    Decoded(Decoded),
    /// No answer came, or the operation failed.
    Failed(Fault),
}

/// A fetched answer and a summary of what was unpacked from its body.
#[derive(Debug)]
pub struct Staged {
    /// The answer's head.
    pub head: http::Response<()>,
    /// The summary of the archive.
    pub unpacked: Unpacked,
}

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

impl Outcome {
    /// Returns whether the effect is over with this outcome. [`Progress`](Self::Progress) and [`Part`](Self::Part) come
    /// before the final one.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Progress(_) | Self::Part(_) => false,
            Self::Response(_)
            | Self::Staged(..)
            | Self::Handled(_)
            | Self::Host(_)
            | Self::Decoded(_)
            | Self::Failed(_) => true,
        }
    }
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(request, limits) => {
                let url = request.uri().to_string();
                write!(f, "Http({} {}, {} bytes", request.method(), ShownUrl(&url), request.body().len())?;
                write!(f, ", at most {} bytes back)", limits.max_body)
            }
            Self::Fetch(request, _, dest) => {
                let Dest::Unpack(name, _) = dest;
                let url = request.uri().to_string();
                write!(f, "Fetch({} {}, unpack {name})", request.method(), ShownUrl(&url))
            }
            Self::Watch(request, _) => {
                let url = request.uri().to_string();
                write!(f, "Watch({} {})", request.method(), ShownUrl(&url))
            }
            Self::Handle(handle) => handle.fmt(f),
            Self::Host(op) => write!(f, "Host({op:?})"),
            Self::Decode(decode) => decode.fmt(f),
        }
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
            Self::Lock => f.write_str("Lock"),
            Self::Unlock(LockId(id)) => write!(f, "Unlock({id})"),
            Self::Plugin(op) => op.fmt(f),
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Response(answer) => write!(f, "Response({}, {} bytes)", answer.status(), answer.body().len()),
            Self::Staged(StageId(id), staged) => {
                write!(f, "Staged({id}, {} files, {} bytes)", staged.unpacked.files, staged.unpacked.bytes)
            }
            Self::Progress(progress) => write!(f, "Progress({} bytes received)", progress.received),
            Self::Part(bytes) => write!(f, "Part({} bytes)", bytes.len()),
            Self::Handled(handled) => write!(f, "Handled({handled:?})"),
            Self::Host(result) => write!(f, "Host({result:?})"),
            Self::Decoded(decoded) => decoded.fmt(f),
            Self::Failed(fault) => {
                write!(f, "Failed({:?}", fault.kind)?;
                if let Some(head) = &fault.head {
                    write!(f, " at {}", head.status())?;
                }
                write!(f, ", sent: {:?})", fault.sent)
            }
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
            Slot::Token | Slot::InboundSecret | Slot::Inbox | Slot::ReplyKey => Slot::ALL.contains(&slot),
        };
        assert!([Slot::Token, Slot::InboundSecret, Slot::Inbox, Slot::ReplyKey].into_iter().all(listed));
        let names: BTreeSet<_> = Slot::ALL.iter().map(|slot| slot.file_name()).collect();
        assert_eq!(names.len(), Slot::ALL.len());
    }
}
