//! What an agent makes of a peer that behaves as told, through the public facade. What the driver makes of it is in
//! `conformance.rs`.
#![allow(clippy::unwrap_used)]

mod common;
mod events;
mod names;
mod pool;
mod proxy;
#[cfg(any(feature = "rustls", feature = "platform-verifier"))]
mod tls;
#[cfg(not(any(feature = "rustls", feature = "platform-verifier")))]
mod without_tls;
