//! The server's half of A2A, a scenario a file.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod both;
mod busy;
mod card;
mod claims;
mod drained;
mod failures;
mod files;
mod heads;
mod once;
mod options;
mod random;
mod send;
mod senders;
mod shapes;
mod tasks;
mod waited_in_feed;
