//! The README's first program, async.

// The program prints for the person who started it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

include!(concat!(env!("OUT_DIR"), "/readme-async.rs"));
