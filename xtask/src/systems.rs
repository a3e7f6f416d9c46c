//! `cargo xtask systems`: whether the crates compile for systems that the tests do not run on.
//!
//! It needs rustup, which brings the standard libraries of those systems when they are missing. TLS is left out: ring is
//! partly C, for which every system wants a compiler of its own.

use std::path::Path;
use std::process::Command;

use crate::Failure;
use crate::ci::command;

const SYSTEMS: [&str; 3] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin", "x86_64-unknown-freebsd"];

/// The crates whose tests need no TLS either.
const TESTED: [&str; 8] =
    ["-p", "molecule-proto", "-p", "molecule-plugin", "-p", "molecule-core", "-p", "molecule-host"];

const OTHERS: [&str; 6] = ["-p", "molecule-platform", "-p", "molecule-blocking", "-p", "molecule-async"];

/// Checks every crate for each system.
///
/// # Errors
///
/// The first command that failed.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    add(root)?;
    for system in SYSTEMS {
        println!("== {system}");
        let clippy = ["clippy", "--target", system];
        let strictly = ["--", "-D", "warnings"];
        command(root, &[&clippy[..], &TESTED, &["--all-targets"], &strictly].concat(), &[])?;
        command(root, &[&clippy[..], &OTHERS, &["--no-default-features"], &strictly].concat(), &[])?;
    }
    Ok(())
}

fn add(root: &Path) -> Result<(), Failure> {
    let status = Command::new("rustup").args(["target", "add"]).args(SYSTEMS).current_dir(root).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`rustup target add` ended with {status}")),
        Err(error) => Err(format!("`rustup target add` could not be started: {error}")),
    }
}
