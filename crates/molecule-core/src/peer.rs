//! Peers: their list, their URLs, and the calls that send messages to them.

mod call;
mod direct;
mod discover;
mod list;
mod outcome;
mod outgoing;
mod proxy;
mod queue;
mod reach;

pub use call::CallPeer;
pub use discover::DiscoverPeer;
pub use list::ListPeers;
pub use outcome::CallOutcome;
pub use outgoing::PeerCall;
pub(crate) use proxy::LONGEST_REPLY;
pub use queue::{QueueOutcome, QueuedItem};
pub(crate) use reach::REACHABILITY;
pub use reach::{CheckReachable, ReachFailure, Reachability};
