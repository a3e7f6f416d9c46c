//! Tests of unpacking: the rules by which an archive is accepted or refused, each named by its tests.

#![allow(clippy::unwrap_used)]

mod blocks;
mod entries;
mod genuine;
mod gzip;
mod hostile;
mod limits;
mod manifest;
mod mutation;
mod random;
mod rules;
mod support;
