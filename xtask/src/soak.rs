//! `cargo xtask soak --minutes N`: runs new random scenarios of the simulator in release mode.

use std::path::Path;

use crate::{Failure, cargo};

/// Runs random scenarios for this many minutes. The program prints their number, or the seed of the failure and the
/// path of its scenario.
///
/// # Errors
///
/// A scenario that broke an invariant, or an invalid number of minutes.
pub(crate) fn run(root: &Path, minutes: &str) -> Result<(), Failure> {
    let _: u32 = minutes.parse().map_err(|_| format!("{minutes:?} is no number of minutes"))?;
    let arguments =
        ["run", "--quiet", "--release", "--package", "molecule-sim", "--bin", "soak", "--", "--minutes", minutes];
    let status = cargo().args(arguments).current_dir(root).status();
    let status = status.map_err(|error| format!("the soak could not be started: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err("a simulated world broke an invariant; its scenario is told above".to_owned())
    }
}
