//! What an agent makes of a peer that behaves as told: one scenario a file, through the public facade. What the driver makes of
//! it is in `conformance.rs`.
#![allow(clippy::unwrap_used)]

mod support;

mod dropped_calls;
mod events;
mod hung_look_ups;
mod no_threads;
mod ordinary_life;
mod plugin_on_a_stuck_disk;
mod reused_connections;
mod runtimes;
mod stop;
#[cfg(not(any(feature = "rustls", feature = "platform-verifier")))]
mod without_tls;
