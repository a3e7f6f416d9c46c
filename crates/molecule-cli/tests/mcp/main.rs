//! `molecule mcp`: a server of the Model Context Protocol, as clients of each of its revisions use it.

#![cfg(all(unix, feature = "mcp"))]
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod answered;
mod client;
mod killed;
mod protocol;
mod push;
mod revisions;
mod several;
mod tools;
mod two_sessions;
