//! Peers: who they are, and where they are called. Outside semver, as far as the crate's root does not name it again.

mod call;
mod direct;
mod discover;
mod list;
mod outcome;
mod outgoing;
mod proxy;

pub use crate::config::route::Route;
pub use crate::session::peer_cache::{CAPACITY, Known, NEGATIVE_TTL, PeerCache, TTL};
pub use crate::session::peer_url::PeerUrl;
pub use call::CallPeer;
pub use discover::DiscoverPeer;
pub use list::ListPeers;
pub use outcome::CallOutcome;
pub use outgoing::PeerCall;
pub(crate) use proxy::LONGEST_REPLY;
