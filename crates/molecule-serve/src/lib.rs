//! The inbound A2A server of Molecule AI remote agents: the platform and other agents call the agent, and get its answer in
//! the same exchange.
//!
//! See [`A2aServe`]: it adds servers to the agents of `molecule-async` (feature `async`, on by default) and of `molecule-blocking`
//! (feature `blocking`), whose users see no runtime.
//!
//! # What it serves
//! Calls of A2A 0.3 over JSON-RPC (`POST`) at exactly the path of the registered URL; the agent's card at
//! `/.well-known/agent-card.json`, at the origin and behind that path; `/healthz`; and files that the platform hands over, which it
//! stores in the agent's directory ([`HandedOver`]). Nobody without the platform's inbound secret, or a direct peer's token, is
//! served anything else, and no byte of their bodies is read.
//!
//! # Limits
//! Each is an option of [`ServerLimits`]. The server keeps a connection open that is idle, at the cost of a few kilobytes, and says
//! with the last answer that it is closed. Above the limits of connections it makes room by closing idle ones.
//!
//! # TLS
//! Most agents stand behind a proxy or a tunnel that ends TLS. With the feature `rustls` the server does it itself
//! ([`ServerOptions::tls`]).

#![cfg_attr(docsrs, feature(doc_cfg))]
// With neither facade there is nobody to serve for.
#![cfg_attr(not(any(feature = "async", feature = "blocking")), allow(dead_code, unused_imports))]

mod agents;
mod alarm;
mod answer;
#[cfg(feature = "async")]
mod asynchronous;
#[cfg(feature = "blocking")]
pub mod blocking;
mod body;
mod budget;
mod calls;
mod chunked;
mod connection;
mod connections;
mod date;
mod driver;
mod exchange;
mod facade;
mod head;
mod ingest;
mod listen;
mod place;
mod race;
mod server;
mod service;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod threads;
#[cfg_attr(not(feature = "rustls"), path = "no_tls.rs")]
mod tls;
mod wire;

pub use agents::{A2aServe, Delivery, HandedOver, OtherCalls};
#[cfg(feature = "async")]
pub use asynchronous::A2aServer;
#[doc(no_inline)]
pub use molecule_core::{ServerLimits, ServerOptions};

/// The programs of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
