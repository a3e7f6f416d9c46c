//! What happens on a platform, and what happened: one scenario a file.

#![allow(clippy::unwrap_used)]

mod again;
mod api;
mod chaos;
mod clock;
mod common;
mod exchanges;
mod exports;
mod first_format;
mod mismatch;
mod restart;
mod scenario;
mod slider;
mod tails;
