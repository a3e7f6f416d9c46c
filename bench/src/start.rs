//! Measures the time from the start of a process to a registered agent with its files on the disk.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::child::Role;
use crate::meter::median;
use crate::{ID, Outcome, TOKEN, base, runtime};

/// The facades, by their names on the command line.
pub const FACADES: [&str; 2] = ["blocking", "async"];

/// The time until the agent is registered: the median of fifteen processes.
///
/// # Errors
/// The errors of the process.
pub fn time(facade: &str, port: u16) -> Outcome<Duration> {
    let once = |_| -> Outcome<Duration> {
        let started = Instant::now();
        let mut role = Role::start(&["start", facade, &port.to_string()])?;
        role.line()?;
        Ok(started.elapsed())
    };
    Ok(median((0..15).map(once).collect::<Outcome<_>>()?))
}

/// The child's side.
///
/// # Errors
/// The errors of the clients.
pub fn run(facade: &str, port: u16) -> Outcome {
    let home = std::env::temp_dir().join(format!("molecule-bench-{}", std::process::id()));
    let storage = molecule_blocking::Storage::Dir(home.clone());
    if facade == FACADES[0] {
        molecule_blocking::Agent::builder(base(port), ID).token(TOKEN).storage(storage).build()?.register()?;
    } else {
        runtime()?.block_on(async {
            molecule_async::Agent::builder(base(port), ID).token(TOKEN).storage(storage).build()?.register().await
        })?;
    }
    writeln!(io::stdout(), "registered")?;
    let _ = std::fs::remove_dir_all(home);
    Ok(())
}
