//! The README's first program, async.

include!(concat!(env!("OUT_DIR"), "/readme-async.rs"));
