//! The README's first program, async.

// A program speaks to whoever started it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

include!(concat!(env!("OUT_DIR"), "/readme-async.rs"));
