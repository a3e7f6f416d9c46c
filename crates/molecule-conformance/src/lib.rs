//! What drivers and disks are judged by, and the scripted peer that serves all tests.
//!
//! A [`Case`] is data: what a scripted peer on this machine does with each connection, what is asked of it under which
//! limits, and what may come of that. Mostly one thing may; where one client cannot know what another knows, the case
//! lists both with the reason. [`run`] performs a case on a [`Driver`] and judges it, [`Report`] performs [`all`]. Whatever a
//! list says, a fault with [`Sent::No`](molecule_core::effect::Sent) is a lie if the peer saw a byte of the request: it
//! counts them.
//!
//! [`SEEN`] is the other direction: the faults that real drivers gave here. A simulated network may produce these and
//! no others. The module [`host`] does the same for acts on the store.
//!
//! A [`ScriptedPeer`] does what a script says: it drips, stalls, cuts, floods, speaks TLS with any [`Certificate`], stands for a
//! proxy, and keeps what it received. Tests of drivers and facades that are about something else than a case use it too.

mod act;
mod case;
mod cases;
mod certificate;
mod facades;
pub mod host;
mod peer;
mod report;
mod run;
mod seen;
mod wire;

pub use act::{Certificate, PeerAction};
pub use case::{Case, CaseOutcome, CaseRequest, Names, Proxy};
pub use cases::all;
pub use certificate::trusted;
pub use facades::{ID, Once, mint, welcome};
pub use peer::{ClosedPort, Connection, Log, Received, ScriptedPeer, Watch};
pub use report::Report;
pub use run::{Driver, Lookup, Sighting, run};
pub use seen::SEEN;
