//! Peers: who they are, and where they are called. Outside semver, as far as the crate's root does not name it again.

mod call;
mod direct;
mod discover;
mod list;
mod outcome;
mod outgoing;
mod proxy;

use molecule_proto::{IdError, WorkspaceId};

use crate::error::{Error, Result};

pub use crate::session::peer_cache::{CAPACITY, Known, NEGATIVE_TTL, PeerCache, TTL};
pub use crate::session::peer_url::PeerUrl;
pub use call::CallPeer;
pub use discover::DiscoverPeer;
pub use list::ListPeers;
pub use outcome::CallOutcome;
pub use outgoing::{PeerCall, Route};
pub(crate) use proxy::LONGEST_REPLY;

/// Reads the id of a workspace that somebody gave.
pub(crate) fn workspace_id(operation: &'static str, id: impl AsRef<str>) -> Result<WorkspaceId> {
    id.as_ref().trim().parse().map_err(|error: IdError| {
        Error::config(error.to_string(), "use the id that the list of peers shows for the workspace").during(operation)
    })
}
