//! The blocking driver against scripted peers on the loopback interface, through the public facade.
#![allow(clippy::unwrap_used)]

mod answers;
mod common;
mod dead_connections;
mod events;
mod faults;
mod limits;
mod names;
mod pool;
mod proxy;
mod stop;
#[cfg(any(feature = "rustls", feature = "platform-verifier"))]
mod tls;
