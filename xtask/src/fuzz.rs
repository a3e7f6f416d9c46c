//! `cargo xtask fuzz --seconds N`: runs every fuzz target for a bounded time, and prints the number of executions.
//!
//! It needs cargo-fuzz on the path and a nightly toolchain; the gate only builds the targets.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Failure, cargo_says};

/// Runs every target for this many seconds, one after the other; the first finding ends the run.
///
/// # Errors
///
/// A target with a finding, with the command that reproduces it, or a tool that is missing.
pub(crate) fn run(root: &Path, seconds: &str) -> Result<(), Failure> {
    let seconds: u32 = seconds.parse().map_err(|_| format!("{seconds:?} is no number of seconds"))?;
    for target in targets(root)? {
        println!("== {target}: {seconds} s");
        println!("== {target}: {} executions, nothing found", fuzz(root, &target, seconds)?);
    }
    Ok(())
}

/// The names of the targets: the programs of the fuzz workspace.
fn targets(root: &Path) -> Result<Vec<String>, Failure> {
    let manifest = ["metadata", "--no-deps", "--format-version", "1", "--manifest-path", "fuzz/Cargo.toml"];
    let metadata: serde_json::Value =
        serde_json::from_str(&cargo_says(root, &manifest)?).map_err(|error| format!("cargo metadata: {error}"))?;
    let targets = metadata["packages"][0]["targets"].as_array().cloned().unwrap_or_default();
    let programs = targets.iter().filter(|target| target["kind"][0] == "bin");
    let names: Vec<String> = programs.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect();
    if names.is_empty() { Err("fuzz/Cargo.toml names no target".to_owned()) } else { Ok(names) }
}

fn fuzz(root: &Path, target: &str, seconds: u32) -> Result<u64, Failure> {
    let limit = format!("-max_total_time={seconds}");
    let arguments = ["fuzz", "run", target, "--", &limit, "-print_final_stats=1"];
    // This is rustup's cargo, which selects the toolchain by this variable.
    let output = Command::new("cargo")
        .args(arguments)
        .env("RUSTUP_TOOLCHAIN", "nightly")
        .env_remove("CARGO")
        .current_dir(root)
        .stdout(Stdio::inherit())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let last: Vec<&str> = said.lines().rev().take(30).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        return Err(format!(
            "`cargo +nightly {}` ended with {}:\n{}",
            arguments.join(" "),
            output.status,
            last.join("\n")
        ));
    }
    executions(&said).ok_or_else(|| format!("{target} did not say how many executions there were"))
}

/// The count in libFuzzer's closing statistics.
fn executions(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executions_are_read_from_the_closing_statistics() {
        let said = "INFO: seed corpus\n#9 DONE\nstat::number_of_executed_units: 158983\nstat::average_exec_per_sec:     6114\n";
        assert_eq!(executions(said), Some(158_983));
        assert_eq!(executions("#9 DONE"), None);
    }

    #[test]
    fn every_target_is_found() {
        let names = targets(&crate::root()).unwrap();
        assert_eq!(
            names,
            ["call", "feed_row", "inbound", "journal", "manifest", "run_loop", "store", "unpack", "wire"]
        );
    }
}
