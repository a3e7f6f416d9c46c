//! The page in a real browser: Chromium, driven over WebDriver. Pictures of all views are written to `target/screenshots`.
//!
//! WebDriver is JSON over HTTP, and some ten of its commands are used here: a client library would bring a dozen crates that
//! nothing else in the workspace needs.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod agent;
mod browser;
mod driver;
mod judges;
mod story;
mod views;
mod watched;
