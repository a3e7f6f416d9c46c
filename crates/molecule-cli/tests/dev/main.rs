//! `molecule dev` and `molecule trigger`, as their users start them.

#![cfg(all(unix, feature = "dev"))]
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod export;
mod guide;
mod server;
mod start;
mod trigger;
