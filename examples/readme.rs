//! The README's first program, blocking.

include!(concat!(env!("OUT_DIR"), "/readme.rs"));
