//! A server on a real socket, and a client that writes whatever bytes a test gives it.

#![allow(dead_code, unused_imports, reason = "each test program uses its part")]

mod connection;
mod world;

pub(crate) use connection::{Raw, wait_until};
pub(crate) use world::{World, assert_good};
