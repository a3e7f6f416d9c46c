//! Effects, which machines ask for, and their outcomes. The module may change in any release, except for what the
//! facades' module `extend` re-exports.

pub mod connection;
pub(crate) mod decode;
pub(crate) mod durability;
pub(crate) mod handle;
pub(crate) mod host;
pub(crate) mod limits;
pub mod plugin;
pub(crate) mod save;
pub(crate) mod setup;
pub(crate) mod upload;
pub mod watch;

use std::fmt;

use bytes::Bytes;
use molecule_proto::PluginName;

pub use crate::effect::decode::{Decode, Decoded};
pub use crate::effect::durability::Durability;
pub use crate::effect::handle::{Handle, Handled};
pub use crate::effect::host::{HostOp, HostResult, LockId, Slot, Stored};
pub use crate::effect::limits::Limits;
use crate::effect::plugin::StageId;
pub use crate::effect::save::{FileDest, Saved};
pub use crate::effect::upload::{FilePart, Upload};
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
    /// Send the request with a body that is made of files, read them piece by piece meanwhile, and read the whole answer,
    /// whatever its status. All files are opened and [checked](Upload::check) before a byte is sent; if one cannot be sent,
    /// the fault is [`FaultKind::File`]. The driver adds the `Content-Length`.
    Upload(http::Request<Bytes>, Limits, Upload),
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
    /// A file.
    File(FileDest),
}

/// The outcome of an effect.
///
/// `Debug` shows status and lengths, never a header or a body.
pub enum Outcome {
    /// An answer, whatever its status.
    Response(http::Response<Bytes>),
    /// A fetched answer of status 200, whose body was unpacked completely.
    Staged(StageId, Staged),
    /// A fetched answer of status 200, whose body was saved to a file completely.
    Saved(Saved),
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

impl Outcome {
    /// Returns whether the effect is over with this outcome. [`Progress`](Self::Progress) and [`Part`](Self::Part) come
    /// before the final one.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Progress(_) | Self::Part(_) => false,
            Self::Response(_)
            | Self::Staged(..)
            | Self::Saved(_)
            | Self::Handled(_)
            | Self::Host(_)
            | Self::Decoded(_)
            | Self::Failed(_) => true,
        }
    }
}

/// A fetched answer and a summary of what was unpacked from its body.
#[derive(Debug)]
pub struct Staged {
    /// The answer's head.
    pub head: http::Response<()>,
    /// The summary of the archive.
    pub unpacked: Unpacked,
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
                let url = request.uri().to_string();
                write!(f, "Fetch({} {}, ", request.method(), ShownUrl(&url))?;
                match dest {
                    Dest::Unpack(name, _) => write!(f, "unpack {name})"),
                    Dest::File(file) => write!(f, "save at most {} bytes)", file.max_bytes),
                }
            }
            Self::Upload(request, _, upload) => {
                let url = request.uri().to_string();
                write!(f, "Upload({} {}, {} files)", request.method(), ShownUrl(&url), upload.files.len())
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

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Response(answer) => write!(f, "Response({}, {} bytes)", answer.status(), answer.body().len()),
            Self::Staged(StageId(id), staged) => {
                write!(f, "Staged({id}, {} files, {} bytes)", staged.unpacked.files, staged.unpacked.bytes)
            }
            Self::Saved(saved) => write!(f, "Saved({} bytes)", saved.bytes),
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
