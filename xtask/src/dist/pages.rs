//! The man pages and completions, which the program writes itself.

use std::path::Path;
use std::process::Command;

use super::build::Built;
use super::entries::Entries;
use super::read;
use crate::Failure;

/// The shells, and the names of their files.
const SHELLS: [(&str, &str); 4] =
    [("bash", "molecule.bash"), ("zsh", "_molecule"), ("fish", "molecule.fish"), ("powershell", "_molecule.ps1")];

/// The pages as `man/NAME.1`, and the completions as `completions/NAME`.
pub(super) fn write(root: &Path, built: &Built) -> Result<Entries, Failure> {
    let mut entries = Entries::default();
    for (shell, file) in SHELLS {
        entries.file(&format!("completions/{file}"), 0o644, run(built, &["completions", shell])?);
    }
    // Pages of commands that are no more would be packed.
    let directory = root.join("target").join("man");
    let _ = std::fs::remove_dir_all(&directory);
    let path = directory.to_str().ok_or("the directory of the project is no Unicode")?;
    run(built, &["man", path])?;
    let failed = |error| format!("{}: {error}", directory.display());
    for entry in std::fs::read_dir(&directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        entries.file(&format!("man/{name}"), 0o644, read(&path)?);
    }
    Ok(entries)
}

/// Runs the program, which must be one for this machine.
pub(super) fn run(built: &Built, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
    let shown = format!("`{} {}`", built.path.display(), arguments.join(" "));
    // Nothing of this machine's environment may get into a page.
    let output = Command::new(&built.path).args(arguments).env_clear().output();
    let output = output.map_err(|error| {
        format!("{shown}: {error}; a program for another processor is packed on a machine that can run it")
    })?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => {
            Err(format!("{shown} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
        }
    }
}
