//! Unpacking: the rules by which an archive is taken or refused, each named by its tests.

mod genuine;
mod manifest;
mod support;
