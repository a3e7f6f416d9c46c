//! `cargo xtask systems`: checks that the crates compile for systems on which the tests do not run.
//!
//! It needs rustup, which installs the standard libraries of those systems. TLS is left out, because ring is partly C
//! and needs a C compiler for every system.

use std::path::Path;
use std::process::Command;

use crate::Failure;
use crate::ci::command;

const SYSTEMS: [&str; 3] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin", "x86_64-unknown-freebsd"];

/// The crates whose tests need no TLS and are compiled as well.
const TESTED: [&str; 8] =
    ["-p", "molecule-proto", "-p", "molecule-plugin", "-p", "molecule-core", "-p", "molecule-host"];

const OTHERS: [&str; 8] =
    ["-p", "molecule-platform", "-p", "molecule-blocking", "-p", "molecule-async", "-p", "molecule-serve"];

/// Checks every crate for each system.
///
/// # Errors
///
/// The first command that fails.
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
