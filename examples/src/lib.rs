//! The common parts of both demos, and the README's programs as doctests.
//!
//! A demo's own file shows how to write an agent. This crate has the rest: the settings, the embedded platform with its
//! owner, the output, and the exit status.

pub mod embedded;
pub mod fleet;
pub mod settings;
pub mod story;

pub use settings::Settings;

/// The README, whose programs CI compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The program that the page of `molecule dev` gives to authors on tokio; the one for threads is the README's.
#[cfg(doctest)]
#[doc = concat!("```no_run\n", include_str!("../../crates/molecule-dev/assets/snippets/async.rs"), "```")]
struct Snippet;
