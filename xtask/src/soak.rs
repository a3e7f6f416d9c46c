//! `cargo xtask soak --minutes N`: simulated worlds that were never seen before, in release mode.

use std::path::Path;

use crate::{Failure, cargo};

/// Turns made-up worlds for so many minutes. The program says how many there were, or which seed failed and where its
/// scenario was written.
///
/// # Errors
///
/// A scenario that broke an invariant, or a number of minutes that is none.
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
