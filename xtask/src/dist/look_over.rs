//! What other programs say of the packages: dpkg, systemd, man's formatter and the shells. One that is not installed is named,
//! and left out.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::build::{Built, is_on_path};
use super::{deb, pages, read};
use crate::Failure;

/// Looks at the packages in a directory.
pub(super) fn run(directory: &Path, built: &Built) -> Result<(), Failure> {
    let said = pages::run(built, &["--version"])?;
    let expected = format!("molecule {}\n", built.version);
    if said != expected.as_bytes() {
        return Err(format!("dist: the program calls itself {}", String::from_utf8_lossy(&said).trim()));
    }
    let unpacked = directory.with_file_name("packages-unpacked");
    let _ = std::fs::remove_dir_all(&unpacked);
    let looked = look(directory, &unpacked, built);
    let _ = std::fs::remove_dir_all(&unpacked);
    looked
}

fn look(directory: &Path, unpacked: &Path, built: &Built) -> Result<(), Failure> {
    with("sha256sum", || {
        quiet(Command::new("sha256sum").args(["--check", "--quiet", "SHA256SUMS"]).current_dir(directory))
    })?;
    let deb = directory.join(deb::file_name(built)?);
    let is_unpacked = with("dpkg-deb", || {
        quiet(Command::new("dpkg-deb").arg("--info").arg(&deb))?;
        quiet(Command::new("dpkg-deb").arg("--contents").arg(&deb))?;
        quiet(Command::new("dpkg-deb").arg("--raw-extract").arg(&deb).arg(unpacked))?;
        if read(&unpacked.join("usr/bin/molecule"))? != built.binary {
            return Err("dist: the program in the Debian package is another one".to_owned());
        }
        quiet(Command::new("md5sum").args(["--check", "--quiet", "DEBIAN/md5sums"]).current_dir(unpacked))
    })?;
    if !is_unpacked {
        return Ok(());
    }
    with("systemd-analyze", || unit(unpacked))?;
    let pages = unpacked.join("usr/share/man/man1");
    with("groff", || files(&pages)?.iter().try_for_each(|page| man_page(page)))?;
    let share = unpacked.join("usr/share");
    for (shell, option, script) in [
        ("bash", "-n", "bash-completion/completions/molecule"),
        ("zsh", "-n", "zsh/vendor-completions/_molecule"),
        ("fish", "--no-execute", "fish/vendor_completions.d/molecule.fish"),
    ] {
        with(shell, || quiet(Command::new(shell).arg(option).arg(share.join(script))))?;
    }
    Ok(())
}

/// Runs a look if its program is installed. Returns whether it is.
fn with(program: &str, look: impl FnOnce() -> Result<(), Failure>) -> Result<bool, Failure> {
    if !is_on_path(program) {
        println!("== {program}: skipped, it is not installed");
        return Ok(false);
    }
    look()?;
    println!("== {program}: no complaint");
    Ok(true)
}

/// Runs a command that must end well. What it prints is shown if it does not.
fn quiet(command: &mut Command) -> Result<(), Failure> {
    complaint(command, |_, _| false)
}

/// Runs a command that must end well, and print nothing that `is_complaint` finds in its two outputs.
fn complaint(command: &mut Command, is_complaint: impl Fn(&str, &str) -> bool) -> Result<(), Failure> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{shown}: {error}"))?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match output.status.success() && !is_complaint(&out, &err) {
        true => Ok(()),
        false => Err(format!("{shown} ended with {}: {}{}", output.status, out.trim(), err.trim())),
    }
}

/// systemd reads the unit as that of an instance, whose variables are in a file.
fn unit(unpacked: &Path) -> Result<(), Failure> {
    let template = unpacked.join("usr/lib/systemd/system/molecule@.service");
    let text = String::from_utf8_lossy(&read(&template)?).into_owned();
    // The program is where the package would put it.
    let text = text.replace("/usr/bin/molecule", &unpacked.join("usr/bin/molecule").to_string_lossy());
    let instance = unpacked.join("molecule@.service");
    std::fs::write(&instance, text).map_err(|error| format!("{}: {error}", instance.display()))?;
    let named = unpacked.join("molecule@one.service");
    complaint(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&named), |out, err| {
        [out, err].iter().any(|said| said.contains("molecule@"))
    })
}

/// groff formats a page without a warning.
fn man_page(page: &Path) -> Result<(), Failure> {
    let mut command = Command::new("sh");
    command.args(["-c", "gzip -dc \"$1\" | groff -man -Tutf8 -ww -z", "sh"]).arg(page);
    complaint(&mut command, |out, err| !out.is_empty() || !err.is_empty())
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error| format!("{}: {error}", directory.display());
    let entries = std::fs::read_dir(directory).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_shown_with_its_command() {
        let sh = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        assert_eq!(quiet(&mut sh("true")), Ok(()));
        let failure = quiet(&mut sh("echo said; echo warned >&2; exit 3")).unwrap_err();
        assert!(
            failure.contains("exit status: 3") && failure.contains("said") && failure.contains("warned"),
            "{failure}"
        );
        assert!(complaint(&mut sh("echo odd"), |out, _| out.contains("odd")).is_err());
    }

    #[test]
    fn what_is_not_installed_is_left_out() {
        assert_eq!(with("no-such-program-anywhere", || Err("looked".to_owned())), Ok(false));
        assert_eq!(with("sh", || Ok(())), Ok(true));
        assert!(with("sh", || Err("looked".to_owned())).is_err());
    }
}
