//! The server of an agent, on both facades: each test is run with both.

#![allow(clippy::unwrap_used, unreachable_pub)]

mod any;
mod client;
mod world;

mod delivery;
mod files;
mod handlers;
mod serves;
mod stops;
#[cfg(feature = "rustls")]
mod tls;
