//! What both demos share, and the README's programs as doctests.
//!
//! A demo's own file shows how an agent is written. Here is what surrounds it: the settings, the embedded platform with its
//! owner, the story, and the way in which a program like this ends.

pub mod embedded;
pub mod fleet;
pub mod settings;
pub mod story;

pub use settings::Settings;

/// The README: its programs compile, or CI fails.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
