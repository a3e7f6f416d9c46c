//! Conformance suites for drivers and stores, and the scripted peer that all tests use.
//!
//! A [`Case`] is data: the script of a peer on this machine for each connection, the requests with their limits, and
//! the allowed outcomes. Most cases allow one outcome; where one client cannot know what another knows, the case allows
//! both and gives the reason. [`run`] performs a case on a [`Driver`] and judges it, [`Report`] performs [`all`]. A
//! fault with [`Sent::No`](molecule_core::effect::Sent) is a lie if the peer got a byte of the request, even if the
//! case allows the fault: the peer counts the bytes.
//!
//! The module [`files`] has the suite of bodies that are files, in both directions.
//!
//! [`SEEN`] lists the faults that real drivers reported here. A simulated network may report these and no others. The
//! module [`host`] has the same kind of suite for stores.
//!
//! A [`ScriptedPeer`] follows a script: it drips, stalls, cuts, floods, speaks TLS with any [`Certificate`], acts as a
//! proxy, and logs what it received. Tests of drivers and facades use it for other subjects than the cases, too.

mod act;
mod case;
mod cases;
mod certificate;
mod facades;
pub mod files;
pub mod host;
mod offers;
mod peer;
mod report;
mod run;
mod seen;
mod watcher;
mod wire;

pub use act::{Certificate, PeerAction};
pub use case::{Case, CaseOutcome, CaseRequest, Names, Proxy};
pub use cases::all;
pub use certificate::trusted;
pub use facades::{ID, Once, mint, welcome};
pub use offers::Offers;
pub use peer::{ClosedPort, Connection, Log, Received, ScriptedPeer, Watch};
pub use report::Report;
pub use run::{Driver, Lookup, Sighting, run};
pub use seen::SEEN;
pub use watcher::Watcher;
