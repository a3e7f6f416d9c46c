//! All machines, for drivers. They may change in any release.
//!
//! A driver that polls one is polling a [`Machine`](crate::machine::Machine); what a machine ends with, and what it is made of,
//! are values at the crate's root.

pub use crate::call::Call;
pub use crate::call::wait::Wait;
pub use crate::delegation::{Delegate, DelegationOf, Delegations};
// The server's half of A2A: requests come in, so that it is no `Machine` either.
pub use crate::inbound::{
    Admission, Answer, Caller, Inbound, InboundCall, Ingest, IngestStep, LookUpId, Refusal, Ticket, Turn,
};
// The journal of the inbox is no machine: it is listed for its fuzz target.
pub use crate::inbox::journal::{Damaged, Journal};
pub use crate::inbox::{DeadLetters, Download, DownloadToMemory, ListInbox, Notify, ReplyTo, RetryDeadLetter};
pub use crate::life::beat::Beat;
pub use crate::life::recover::Recover;
pub use crate::life::register::Register;
pub use crate::peer::{CallPeer, CheckReachable, DiscoverPeer, ListPeers, QueuedItem};
pub use crate::plugin::install::Install;
pub use crate::plugin::list::ListPlugins;
pub use crate::plugin::task::PluginTask;
pub use crate::run::Run;
