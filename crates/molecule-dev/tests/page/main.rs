//! The page over a real socket: what is refused, what the views show, and the event stream.

#![allow(clippy::unwrap_used)]

mod client;
mod links;
mod security;
mod stream;
mod views;
