//! What proves the machines and their drivers.
//!
//! [`conformance`] holds one suite of requests that every driver passes, and one of acts on the store.

pub mod conformance;
