//! What machines ask for, and what comes of it. It may change in any release, but for what the facades' module `extend`
//! re-exports.

pub mod connection;
pub(crate) mod decode;
pub(crate) mod limits;
pub mod plugin;
pub(crate) mod setup;

use std::fmt;

use bytes::Bytes;
use molecule_proto::PluginName;
use zeroize::Zeroizing;

pub use crate::effect::decode::{Decode, Decoded};
pub use crate::effect::limits::Limits;
use crate::effect::plugin::{PluginOp, PluginResult, StageId};
pub use crate::error::fault::{Fault, FaultKind, Phase, Sent};
use crate::printable::ShownUrl;
use crate::unpack::{Progress, UnpackPolicy, Unpacked};

/// The name of one effect, unique within an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub u64);

/// An act that a driver performs.
///
/// `Debug` shows method, URL without its query, and lengths, never a header or a body.
pub enum Effect {
    /// Send the request and read the whole answer, whatever its status. Redirects are not followed.
    Http(http::Request<Bytes>, Limits),
    /// Send the request and let a 200's body flow to its destination, piece by piece, while it arrives; any other answer is
    /// read as a whole, at most [`Limits::max_body`] bytes of it.
    Fetch(http::Request<Bytes>, Limits, Dest),
    /// An act on the agent's own store or its plugins, performed by `molecule-host`.
    Host(HostOp),
    /// Read a large answer, with the session unlocked and on no thread that others wait for.
    Decode(Decode),
}

/// Which request of a call this is: an extension of every request that a machine asks for, for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// What the call does, as [`Error::operation`](crate::Error::operation) names it.
    pub operation: &'static str,
    /// Counted from 1.
    pub number: u32,
}

/// Where the body of a fetched answer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dest {
    /// Into a staging directory of this plugin, by an [`Unpacker`](crate::unpack::Unpacker) with this policy.
    Unpack(PluginName, UnpackPolicy),
}

/// An act on the agent's store.
///
/// `Debug` shows lengths, never content.
#[derive(PartialEq, Eq)]
pub enum HostOp {
    /// Make sure that the store exists, is private, and can be written right now: before a token is minted.
    Prepare,
    /// Read a slot.
    Load(Slot),
    /// Replace a slot's content as a whole and durably: the old or the new content survives a crash, never a mixture.
    Replace(Slot, Zeroizing<Vec<u8>>),
    /// Keep a damaged slot's content under another name and leave the slot empty.
    SetAside(Slot),
    /// Take the agent's advisory lock.
    Lock,
    /// Give it back, or a plugin's lock ([`PluginOp::Lock`]).
    Unlock(LockId),
    /// An act on the agent's plugins.
    Plugin(PluginOp),
}

impl HostOp {
    /// Which results answer this act.
    pub(crate) fn fitting(&self) -> fn(&HostResult) -> bool {
        match self {
            Self::Prepare => |result| matches!(result, HostResult::Prepared | HostResult::SetRight(_)),
            Self::Load(_) => |result| matches!(result, HostResult::Loaded(_)),
            Self::Replace(..) => |result| matches!(result, HostResult::Replaced),
            Self::SetAside(_) => |result| matches!(result, HostResult::SetAside(_)),
            Self::Lock => |result| matches!(result, HostResult::Locked(_)),
            Self::Unlock(_) => |result| matches!(result, HostResult::Unlocked),
            Self::Plugin(op) => op.fitting(),
        }
    }
}

/// What is kept for an agent, each in a file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Slot {
    /// The workspace's bearer token, as raw text: `.auth_token`.
    Token,
    /// The platform's inbound secret, as raw text: `.platform_inbound_secret`.
    InboundSecret,
}

impl Slot {
    /// All of them: what is private, what is swept and what is judged goes over this list.
    pub const ALL: &'static [Self] = &[Self::Token, Self::InboundSecret];

    /// The name of the slot's file, as the Python SDK has it; other stores may take it for a key.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Token => ".auth_token",
            Self::InboundSecret => ".platform_inbound_secret",
        }
    }
}

/// The name of a lock that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockId(pub u64);

/// What came of an effect.
///
/// `Debug` shows status and lengths, never a header or a body.
pub enum Outcome {
    /// An answer, whatever its status.
    Response(http::Response<Bytes>),
    /// A fetched answer of status 200 whose body is unpacked, as a whole.
    Staged(StageId, Staged),
    /// How far a fetch has come; it is not its final outcome.
    Progress(Progress),
    /// A host's act that succeeded.
    Host(HostResult),
    /// Of [`Effect::Decode`].
    Decoded(Decoded),
    /// No answer, or an act that failed.
    Failed(Fault),
}

/// A fetched answer and what was unpacked from its body.
#[derive(Debug)]
pub struct Staged {
    /// The answer's head.
    pub head: http::Response<()>,
    /// What was in the archive.
    pub unpacked: Unpacked,
}

/// What came of an act on the store.
///
/// `Debug` shows lengths, never content.
#[derive(PartialEq, Eq)]
pub enum HostResult {
    /// Of [`HostOp::Prepare`].
    Prepared,
    /// The same, where something was not as private as it has to be: a sentence for each thing that was set right.
    SetRight(Vec<String>),
    /// Of [`HostOp::Load`]: the content, or `None` where nothing is stored.
    Loaded(Option<Stored>),
    /// Of [`HostOp::Replace`].
    Replaced,
    /// Of [`HostOp::SetAside`]: where the content is now, for people.
    SetAside(String),
    /// Of [`HostOp::Lock`].
    Locked(LockId),
    /// Of [`HostOp::Unlock`].
    Unlocked,
    /// Of [`HostOp::Plugin`].
    Plugin(PluginResult),
}

/// A slot's content.
#[derive(PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The bytes as they are kept.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Where they are kept, for people: a path, or a keyring's name.
    pub place: String,
}

impl Stored {
    /// A slot's content, and where it is kept, for people.
    pub fn new(bytes: impl Into<Zeroizing<Vec<u8>>>, place: impl Into<String>) -> Self {
        Self { bytes: bytes.into(), place: place.into() }
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
        // A slot that is added breaks this match, so that nobody forgets the list.
        let listed = |slot| match slot {
            Slot::Token | Slot::InboundSecret => Slot::ALL.contains(&slot),
        };
        assert!([Slot::Token, Slot::InboundSecret].into_iter().all(listed));
        let names: BTreeSet<_> = Slot::ALL.iter().map(|slot| slot.file_name()).collect();
        assert_eq!(names.len(), Slot::ALL.len());
    }
}
