//! Support for the benchmarks: servers and agents in child processes, bare clients, and measurements.

pub mod appends;
pub mod bare;
pub mod bare_inbox;
pub mod bare_replies;
pub mod called;
pub mod calls;
pub mod child;
pub mod fleet;
pub mod idle;
pub mod memory;
pub mod meter;
pub mod plugins;
pub mod program;
pub mod receiving;
pub mod server;
pub mod start;
pub mod waiting;
pub mod watched;

/// The workspace of every benchmark; the server answers for any workspace.
pub const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

/// A token that nobody checks.
pub const TOKEN: &str = "bench-token-bench-token-bench-token-bench-0";

/// The result of a figure, or of a role.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The base URL of a benchmark's server.
#[must_use]
pub fn base(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// A blocking agent for the server on this port.
///
/// # Errors
/// The builder's errors.
pub fn blocking_agent(port: u16) -> Outcome<molecule_blocking::Agent> {
    let builder = molecule_blocking::Agent::builder(base(port), ID).token(TOKEN);
    Ok(builder.storage(molecule_blocking::Storage::Memory).build()?)
}

/// Async agents for the server on this port, which share one client and so one pool.
///
/// # Errors
/// The builder's errors.
pub fn async_agents(port: u16, count: u32) -> Outcome<Vec<molecule_async::Agent>> {
    let client = molecule_async::Client::new(&molecule_async::Transport::default())?;
    let agent = |_| {
        let builder = molecule_async::Agent::builder(base(port), ID).token(TOKEN);
        Ok(builder.storage(molecule_async::Storage::Memory).client(client.clone()).build()?)
    };
    (0..count).map(agent).collect()
}

/// The runtime of every async figure: it has one thread, since the server uses the machine's other core.
///
/// # Errors
/// The errors of the operating system.
pub fn runtime() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()?)
}
