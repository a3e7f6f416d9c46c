//! The platform's endpoints: what each sends, what it may answer, and whether it may be sent again.
//!
//! `agent.send(&endpoint)` takes any [`Endpoint`], so that everything in the platform's contract can be called. An ordinary one is
//! a short declaration, a [`JsonEndpoint`]; the facades' module `extend` has what an implementation needs. All of it is inside
//! semantic versioning:
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
//! One whose refusals are answers too, or whose limits are its own, is an [`Endpoint`] itself.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use molecule_proto::WorkspaceId;

use crate::config::Timeouts;
pub use crate::effect::Limits;
pub use crate::effect::connection::{Reach, Repeat};
use crate::effect::plugin::StageId;
use crate::effect::{Dest, Staged};
use crate::error::{Error, Result};
pub use crate::session::{Auth, Draft};

mod delegation;
mod json;
mod peer;
mod plugin;
pub(crate) mod refusal;
mod registry;
mod token;
mod workspace;

pub use delegation::*;
pub use json::{JsonEndpoint, Mismatch, json, rows};
pub use peer::*;
pub(crate) use plugin::DownloadPlugin;
pub use plugin::*;
pub use registry::*;
pub use token::*;
pub use workspace::*;

/// An endpoint: one request, and how its answer reads. A large answer is read on another thread than the call's.
pub trait Endpoint: Send + Sync + 'static {
    /// What a good answer is.
    type Answer: Send + 'static;
    /// What the call does, for errors: `pull secrets`.
    const OPERATION: &'static str;
    /// Whether a request that may have arrived may be sent again.
    const REPEAT: Repeat;
    /// The shape of a good answer, for the error when it has another one: `an object with a status`.
    const SHAPE: &'static str;
    /// The largest answer in bytes.
    const MAX_BODY: u64 = 64 * 1024;
    /// Whether the status may be a peer's, relayed: a 401 or 429 then says nothing about this client.
    const RELAYED: bool = false;

    /// Whether every platform has this route: a 404 of a mere router is then that of another base URL, not of an older server.
    const EVERYWHERE: bool = false;

    /// Whether a 500 passes: the answer of the open view while the database is down.
    const REPEATS_500: bool = false;

    /// Whether it makes sense without a bearer: only where the server mints one, or takes the silence of one.
    const WITHOUT_BEARER: bool = false;

    /// Whether its answer may carry a token that is shown once.
    const MINTS: Mints = Mints::Never;

    /// The request, for the agent's own workspace.
    ///
    /// # Errors
    /// `Config` if a value cannot be sent.
    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft>;

    /// How long one request may take, of which `left` is left of its call.
    fn limits(&self, timeouts: &Timeouts, left: Duration) -> Limits {
        timeouts.limits(left, Self::MAX_BODY)
    }

    /// How long the call may take with all its requests and waits.
    fn deadline(&self, timeouts: &Timeouts) -> Duration {
        timeouts.call
    }

    /// Whether the status of this answer may be a peer's, relayed.
    fn is_relayed(&self, _: &Response<Bytes>) -> bool {
        Self::RELAYED
    }

    /// Where a 200's body goes instead of into memory. For endpoints of the SDK's own, outside semantic versioning.
    #[doc(hidden)]
    fn dest(&self) -> Option<Dest> {
        None
    }

    /// Takes what came of such a body; gives it back unless [`dest`](Self::dest) asked for it.
    #[doc(hidden)]
    fn staged(&self, id: StageId, staged: Staged) -> Result<Self::Answer, (StageId, Staged)> {
        Err((id, staged))
    }

    /// What an answer with this head amounts to whose body passes the cap; `None` if it is an error.
    fn too_large(&self, _: &Response<()>) -> Option<Self::Answer> {
        None
    }

    /// Whether this is an answer to decode; every other one is an error, and perhaps sent again.
    fn accepts(&self, answer: &Response<Bytes>) -> bool {
        answer.status().is_success()
    }

    /// Whether a server may give this answer because its database is down, so that the open view is asked before it is believed
    /// (April's server, whose look-ups that fail deny).
    fn is_doubtful(&self, _: &Response<Bytes>) -> bool {
        false
    }

    /// What a refusal amounts to here, where the endpoint knows more than its status says.
    fn refine(&self, error: Error) -> Error {
        error
    }

    /// Whether an accepted answer is about this workspace; one that is not comes from something else than the platform.
    fn is_about(&self, _: &WorkspaceId, _: &Response<Bytes>) -> bool {
        true
    }

    /// Reads an accepted answer.
    ///
    /// # Errors
    /// [`Mismatch`] if it is not of [`SHAPE`](Self::SHAPE).
    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch>;
}

/// Whether the server makes a token for a request. Its answer is the only place where that is shown, and a client that gives up
/// before it comes is locked out: such a request gets all the time that its call has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mints {
    /// It does not.
    Never,
    /// It does for one without a bearer.
    WithoutBearer,
    /// It does.
    Always,
}
