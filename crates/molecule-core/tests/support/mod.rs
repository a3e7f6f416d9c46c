//! The common parts of the machines' tests: an agent on virtual time, a driver for any machine, answers, a store in
//! memory and a small platform.

#![allow(dead_code, unused_imports, clippy::unwrap_used, unreachable_pub)]

pub mod agent;
pub mod answer;
pub mod calls;
pub mod drive;
pub mod feed;
pub mod inbound;
pub mod looped;
pub mod machines;
pub mod persisted;
pub mod platform;
pub mod probe;
pub mod received;
pub mod shelf;
pub mod store;

pub use agent::{Agent, ID, MARK, ORIGIN, secret};
pub use answer::{Answer, Reply, fault, unsent};
pub use drive::{Driven, Next, Rest, performed, run, same};
pub use feed::{Feed, row_id};
pub use looped::Looped;
pub use machines::{Check, DRAINS, Setup, each_machine, reply};
pub use persisted::persisted;
pub use platform::{Platform, Seen};
pub use received::{Received, failed, replied, silent};
pub use shelf::Shelf;
pub use store::Store;

pub use std::time::Duration;

/// A duration of whole seconds.
pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A duration of seconds with a fraction.
pub fn secs_f64(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
