//! What the driver makes of a peer that behaves as told: one scenario a file, through the public facade.
#![allow(clippy::unwrap_used)]

mod peer;
mod support;
#[cfg(any(feature = "rustls", feature = "platform-verifier"))]
mod tls_peer;

mod body_too_large;
mod broken_connections;
mod dead_connections;
mod dropped_calls;
mod events;
mod hung_look_ups;
mod late_answers;
mod no_threads;
mod ordinary_life;
mod peers_names;
mod plugin_on_a_stuck_disk;
#[cfg(any(feature = "rustls", feature = "platform-verifier"))]
mod proxies;
mod request_on_the_wire;
mod reused_connections;
mod runtimes;
mod stop;
#[cfg(any(feature = "rustls", feature = "platform-verifier"))]
mod tls;
#[cfg(any(feature = "rustls", feature = "platform-verifier"))]
mod tls_sessions;
mod unreachable;
#[cfg(not(any(feature = "rustls", feature = "platform-verifier")))]
mod without_tls;
mod wrong_answers;
