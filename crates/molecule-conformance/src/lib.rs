//! One suite of requests that every driver must pass, so that drivers agree on what came of a request.
//!
//! A [`Case`] is data: what a scripted peer on this machine does with each connection, what is asked of it under which
//! limits, and what may come of that. Mostly one thing may; where one client cannot know what another knows, the case
//! lists both with the reason. [`run`] performs a case on a [`Driver`] and judges it. Whatever a list says, a fault with
//! [`Sent::No`](molecule_core::effect::Sent) is a lie if the peer saw a byte of the request: it counts them.
//!
//! [`SEEN`] is the other direction: the faults that real drivers gave here. A simulated network may produce these and
//! no others. The module [`host`] does the same for acts on the store.

mod act;
mod case;
mod cases;
mod certificate;
pub mod host;
mod peer;
mod run;
mod seen;
mod wire;

pub use act::{Act, Certificate};
pub use case::{Ask, Case, Names, Proxy, Seen};
pub use cases::all;
pub use certificate::trusted;
pub use run::{Driver, Lookup, Sighting, run, table};
pub use seen::SEEN;
