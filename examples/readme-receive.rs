//! The README's program that receives messages.

// The program prints for the person who started it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

include!(concat!(env!("OUT_DIR"), "/readme-receive.rs"));
