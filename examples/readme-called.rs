//! The README's program that is called.

// The program prints for the person who started it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

include!(concat!(env!("OUT_DIR"), "/readme-called.rs"));
