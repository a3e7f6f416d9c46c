//! The official SDK of A2A, in Python.
//!
//! What uses it needs Python and packages from PyPI, so an ordinary run of the tests leaves it out. The gate asks for it:
//! `cargo xtask interop DIRECTORY`, where the directory has the virtual environments `a2a-0.3.26` and `a2a-1.3.0`.
//! Without these it fails.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A script of `interop`, in the environment with a version of the SDK.
pub(crate) fn script(name: &str, version: &str) -> Command {
    let environments = std::env::var_os("MOLECULE_INTEROP").unwrap_or_else(|| {
        panic!("MOLECULE_INTEROP must name the directory of the environments; `cargo xtask interop DIRECTORY` sets it")
    });
    let python = PathBuf::from(environments).join(format!("a2a-{version}/bin/python"));
    assert!(python.is_file(), "no {}: make an environment with a2a-sdk {version}", python.display());
    let mut command = Command::new(python);
    command
        .arg(name)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("A2A_BEARER");
    command
}
