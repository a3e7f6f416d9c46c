//! What the benchmarks stand on: a server in a child process, bare clients with the same limits, and the meters.

pub mod bare;
pub mod child;
pub mod meter;
pub mod server;

/// The workspace of every benchmark; the server answers for any.
pub const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

/// A token that nobody checks.
pub const TOKEN: &str = "bench-token-bench-token-bench-token-bench-0";
