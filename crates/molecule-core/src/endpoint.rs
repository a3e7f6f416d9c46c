//! The platform's endpoints: the request of each, its possible answers, and whether it may be sent again.
//!
//! `agent.send(&endpoint)` takes any [`Endpoint`], so that an agent can call everything in the platform's contract. An
//! ordinary endpoint is a short declaration, a [`JsonEndpoint`]; the facades' module `extend` has what an
//! implementation needs. All of it is inside semantic versioning:
//!
//! ```
//! use std::borrow::Cow;
//! use std::collections::BTreeMap;
//!
//! use molecule_core::endpoint::{Auth, Endpoint, JsonEndpoint, Repeat};
//! use molecule_core::proto::WorkspaceId;
//!
//! /// `GET /health`, by which an operator's probe asks whether the server is up.
//! #[derive(Clone)]
//! struct Up;
//!
//! impl JsonEndpoint for Up {
//!     type Answer = BTreeMap<String, String>;
//!     const OPERATION: &'static str = "health";
//!     const REPEAT: Repeat = Repeat::Always;
//!     const SHAPE: &'static str = "an object with a status";
//!
//!     fn path(&self, _: &WorkspaceId) -> Cow<'static, str> {
//!         "/health".into()
//!     }
//!
//!     fn auth(&self) -> Auth {
//!         Auth::Open
//!     }
//! }
//!
//! let answer = http::Response::new(bytes::Bytes::from_static(br#"{"status":"ok"}"#));
//! assert_eq!(Up.decode(&answer)?["status"], "ok");
//! # Ok::<(), molecule_core::endpoint::Mismatch>(())
//! ```
//!
//! An endpoint whose refusals are answers too, or that has its own limits, implements [`Endpoint`] itself.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use molecule_proto::WorkspaceId;

use crate::config::Timeouts;
pub use crate::effect::Limits;
pub use crate::effect::connection::{Reach, Repeat};
use crate::effect::plugin::StageId;
use crate::effect::{Dest, Saved, Staged, Upload};
use crate::error::{Error, Result};
pub use crate::session::{Auth, Draft};

mod activity;
pub(crate) mod date;
mod delegation;
mod json;
mod memory;
mod memory_entry;
mod notify;
mod peer;
mod plugin;
pub(crate) mod refusal;
mod registry;
mod token;
mod upload;
mod workspace;

pub use activity::*;
pub use delegation::*;
pub use json::{JsonEndpoint, Mismatch, json, rows};
pub use memory::{CommitMemory, Memories};
pub use memory_entry::{MemoryWrite, ReadMemory, SetMemory};
pub use notify::NotifyOnce;
pub use peer::*;
pub(crate) use plugin::DownloadPlugin;
pub use plugin::*;
pub use registry::*;
pub use token::*;
pub use upload::*;
pub(crate) use upload::{MAX_FILE, SavePendingFile, UPLOAD, UploadFiles};
pub use workspace::*;

/// An endpoint: one request, and the decoder of its answer. A large answer is decoded on another thread than the
/// call's.
pub trait Endpoint: Send + Sync + 'static {
    /// The type of a good answer.
    type Answer: Send + 'static;
    /// The operation's name for errors, such as `pull secrets`.
    const OPERATION: &'static str;
    /// Whether a request that may have arrived may be sent again.
    const REPEAT: Repeat;
    /// The shape of a good answer, such as `an object with a status`, for the error if the answer has another shape.
    const SHAPE: &'static str;
    /// The cap of an answer's body in bytes.
    const MAX_BODY: u64 = 64 * 1024;
    /// Whether the status may be relayed from a peer. A 401 or 429 then says nothing about this client.
    const RELAYED: bool = false;

    /// Whether every platform has this route. A router's 404 then means a wrong base URL, not an older server.
    const EVERYWHERE: bool = false;

    /// Whether a 500 is retried: the open view answers it while the database is down.
    const REPEATS_500: bool = false;

    /// Whether the request may be sent without a bearer: only if the server then mints one, or accepts a missing one.
    const WITHOUT_BEARER: bool = false;

    /// Whether the answer may carry a token, which is shown only once.
    const MINTS: Mints = Mints::Never;

    /// Returns the request for the agent's own workspace.
    ///
    /// # Errors
    /// `Config` if a value cannot be sent.
    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft>;

    /// Returns the limits of one request. `left` is what is left of the call's time.
    fn limits(&self, timeouts: &Timeouts, left: Duration) -> Limits {
        timeouts.limits(left, Self::MAX_BODY)
    }

    /// Returns the time limit of the call with all its requests and waits.
    fn deadline(&self, timeouts: &Timeouts) -> Duration {
        timeouts.call
    }

    /// Returns whether the status of this answer may be relayed from a peer.
    fn is_relayed(&self, _: &Response<Bytes>) -> bool {
        Self::RELAYED
    }

    /// Returns the destination to which the body of a 200 is streamed; `None` if it is read into memory. For endpoints
    /// of the SDK's own, outside semantic versioning.
    #[doc(hidden)]
    fn dest(&self) -> Option<Dest> {
        None
    }

    /// Returns the files of which the request's body is made; `None` if the [draft](Self::draft) has the body. For
    /// endpoints of the SDK's own, outside semantic versioning.
    #[doc(hidden)]
    fn upload(&self) -> Option<Upload> {
        None
    }

    /// Takes the result of a streamed body. Gives it back unless [`dest`](Self::dest) asked for it.
    #[doc(hidden)]
    fn staged(&self, id: StageId, staged: Staged) -> Result<Self::Answer, (StageId, Staged)> {
        Err((id, staged))
    }

    /// Takes the result of a body that was saved to a file. Gives it back unless [`dest`](Self::dest) asked for it.
    #[doc(hidden)]
    fn saved(&self, saved: Saved) -> Result<Self::Answer, Saved> {
        Err(saved)
    }

    /// Returns the meaning of an answer with this head whose body is longer than the cap; `None` if it is an error.
    fn too_large(&self, _: &Response<()>) -> Option<Self::Answer> {
        None
    }

    /// Returns whether the answer is to be decoded. Every other answer is an error, and perhaps the request is sent
    /// again.
    fn accepts(&self, answer: &Response<Bytes>) -> bool {
        answer.status().is_success()
    }

    /// Returns whether a server may give this answer only because its database is down: look-ups that fail on April's
    /// server deny. The call then asks the open view before it accepts the answer.
    fn is_doubtful(&self, _: &Response<Bytes>) -> bool {
        false
    }

    /// Changes the error of a refusal if the endpoint knows more than its status says.
    fn refine(&self, error: Error) -> Error {
        error
    }

    /// Returns whether an accepted answer is about this workspace. If it is not, it does not come from the platform.
    fn is_about(&self, _: &WorkspaceId, _: &Response<Bytes>) -> bool {
        true
    }

    /// Decodes an accepted answer.
    ///
    /// # Errors
    /// [`Mismatch`] if it does not have the [`SHAPE`](Self::SHAPE).
    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch>;
}

/// Whether the server mints a token for a request. The answer is the only place where the token is shown, and a client
/// that gives up before it comes is locked out. Such a request therefore gets all the time that its call has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mints {
    /// The server mints no token.
    Never,
    /// The server mints a token for a request without a bearer.
    WithoutBearer,
    /// The server mints a token.
    Always,
}
