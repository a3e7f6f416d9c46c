//! The official SDKs of A2A and of the Model Context Protocol against this project. They are written in Python, so the tests
//! that use them are left out of an ordinary run.

use std::path::Path;

use crate::{Failure, ci};

/// Runs the tests that need the virtual environments of the SDKs, which are in `directory`.
///
/// # Errors
/// One sentence, if the directory is missing or a test fails.
pub(crate) fn run(root: &Path, directory: &str) -> Result<(), Failure> {
    let path = std::path::absolute(directory).map_err(|error| format!("{directory}: {error}"))?;
    if !path.is_dir() {
        return Err(format!("{} is no directory: .ci/run says how the environments are made", path.display()));
    }
    let path = path.to_str().ok_or_else(|| format!("{} is no UTF-8", path.display()))?;
    // The tests of a package do not build its examples.
    ci::command(root, &["build", "-p", "molecule-examples", "--example", "a2a-server"], &[])?;
    let tests = ["--test", "official_clients", "--test", "official_servers"];
    let tests = [&["test", "-p", "molecule-examples"], &tests[..], &["--", "--ignored"]].concat();
    ci::command(root, &tests, &[("MOLECULE_INTEROP", path)])?;
    let tests = ["test", "-p", "molecule-cli", "--test", "official_mcp_clients", "--", "--ignored"];
    ci::command(root, &tests, &[("MOLECULE_INTEROP", path)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_environments_it_fails() {
        let failure = run(Path::new(env!("CARGO_MANIFEST_DIR")), "no-such-directory").unwrap_err();
        assert!(failure.contains("no-such-directory is no directory"), "{failure}");
    }
}
