//! Clients that mean harm, or behave as if: each against a server on a real socket. After each one a good call is
//! answered.
//!
//! What is asserted here are answers, closed connections and runs of the handler. How long a good call takes is
//! measured by the benchmark `inbound`, since a busy machine would break such a test.

#![allow(clippy::unwrap_used)]

#[path = "../raw/mod.rs"]
mod raw;

mod burst_that_ends_at_once;
mod early_close;
mod endless_bodies;
mod equal_message_ids;
mod garbage;
mod pipelined_requests;
mod secret_rotated_under_load;
mod silent_clients;
mod slow_bodies;
mod slow_heads;
mod smuggling;
mod tls_hello;
