//! The gate without the tests: a list of named and timed steps; the first that fails ends it.

use std::path::Path;
use std::time::Instant;

use crate::{Failure, cargo, demo, tidy};

/// Whether cargo-deny runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Deny {
    Asked,
    /// It is not installed on this machine.
    Skipped,
}

/// Runs every step in the directory `root`.
///
/// # Errors
///
/// One sentence about the first step that fails, with its command.
pub(crate) fn run(root: &Path, deny: Deny) -> Result<(), Failure> {
    let whole = Instant::now();
    step("format", || command(root, &["fmt", "--all", "--check"], &[]))?;
    step("tidy", || tidy::run(root))?;
    match deny {
        Deny::Asked => step("deny", || command(root, &["deny", "check", "bans", "licenses", "sources"], &[]))?,
        Deny::Skipped => println!("== deny: skipped: nobody looked at licences, sources and bans"),
    }
    step("clippy", || {
        command(root, &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"], &[])
    })?;
    step("clippy, facades without features", || {
        let facades = ["-p", "molecule-blocking", "-p", "molecule-async", "--no-default-features"];
        command(root, &[&["clippy"], &facades[..], &["--", "-D", "warnings"]].concat(), &[])
    })?;
    step("documentation", || command(root, &["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")]))?;
    step("fuzz targets", || {
        command(root, &["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"], &[])?;
        command(root, &["build", "--locked", "--manifest-path", "fuzz/Cargo.toml"], &[])?;
        // Fuzz targets that only take bytes must build without the machines.
        command(root, &["build", "--locked", "--no-default-features", "--manifest-path", "fuzz/Cargo.toml"], &[])
    })?;
    step("traces", || {
        command(root, &["test", "-q", "-p", "molecule-e2e", "--features", "tracing", "--test", "traces"], &[])
    })?;
    for example in ["remote-agent", "remote-agent-async", "inbound-agent", "inbound-agent-async"] {
        step(&format!("demo {example}"), || demo::run(root, example))?;
    }
    let but = if deny == Deny::Skipped { " but `deny`, which was skipped," } else { "" };
    println!("== ci: all steps{but} passed in {:.1} s", whole.elapsed().as_secs_f64());
    Ok(())
}

fn step(name: &str, act: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    println!("== {name}");
    let start = Instant::now();
    let done = act();
    let seconds = start.elapsed().as_secs_f64();
    match done {
        Ok(()) => {
            println!("== {name}: passed in {seconds:.1} s");
            Ok(())
        }
        Err(failure) => Err(format!("== {name}: failed after {seconds:.1} s: {failure}")),
    }
}

/// Runs cargo with these arguments and this environment in `root`; its output goes to the terminal.
pub(crate) fn command(root: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<(), Failure> {
    let shown = environment.iter().map(|(name, value)| format!("{name}='{value}'"));
    let shown: Vec<String> = shown.chain(["cargo".to_owned(), arguments.join(" ")]).collect();
    let shown = shown.join(" ");
    let status = cargo().args(arguments).envs(environment.iter().copied()).current_dir(root).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` ended with {status}")),
        Err(error) => Err(format!("`{shown}` could not be started: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(command(here, &["--version"], &[]), Ok(()));
        let failure = command(here, &["no-such-subcommand"], &[("NAME", "value")]).unwrap_err();
        assert!(failure.starts_with("`NAME='value' cargo no-such-subcommand` ended with "), "{failure}");
    }

    #[test]
    fn a_failing_step_keeps_its_sentence() {
        assert_eq!(step("good", || Ok(())), Ok(()));
        let failure = step("bad", || Err("`cargo x` ended with 1".to_owned())).unwrap_err();
        assert!(
            failure.starts_with("== bad: failed after") && failure.ends_with("`cargo x` ended with 1"),
            "{failure}"
        );
    }
}
