//! Checks that the published crates compile with the lowest versions that their manifests allow. Cargo.lock has the
//! newest versions, so no other check would notice that a newer one is used.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{Failure, cargo_says, ci};

/// Copies the published crates below `target/floors`, takes the lowest version of each direct dependency, and checks them.
///
/// # Errors
///
/// Why the copy could not be made, or the command that failed.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let said = cargo_says(root, &["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: Value =
        serde_json::from_str(&said).map_err(|error| format!("`cargo metadata` printed no JSON: {error}"))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let published: Vec<&str> = packages
        .filter(|package| package["publish"].is_null())
        .filter_map(|package| package["name"].as_str())
        .collect();
    let copy = root.join("target").join("floors");
    for name in &published {
        let from = root.join("crates").join(name);
        let to = copy.join("crates").join(name);
        // The copy of an earlier run may contain files that the tree no longer has.
        let _ = std::fs::remove_dir_all(&to);
        copy_all(&from.join("src"), &to.join("src"))?;
        let manifest = read(&from.join("Cargo.toml"))?;
        write(&to.join("Cargo.toml"), &without_dev_dependencies(&manifest))?;
        write(&to.join("README.md"), &read(&from.join("README.md"))?)?;
    }
    let members: Vec<String> = published.iter().map(|name| format!("\"crates/{name}\"")).collect();
    write(&copy.join("Cargo.toml"), &with_members(&read(&root.join("Cargo.toml"))?, &members.join(", "))?)?;
    let _ = std::fs::remove_file(copy.join("Cargo.lock"));
    let resolve = ["run", "nightly", "cargo", "generate-lockfile", "-Z", "direct-minimal-versions"];
    let shown = format!("rustup {}", resolve.join(" "));
    match Command::new("rustup").args(resolve).current_dir(&copy).status() {
        Ok(status) if status.success() => {}
        Ok(status) => {
            return Err(format!("`{shown}` ended with {status}; a floor is lower than what another crate needs"));
        }
        Err(error) => {
            return Err(format!("`{shown}` could not be started: {error}; it needs rustup and a nightly toolchain"));
        }
    }
    let target = copy.join("target");
    let target = target.to_str().ok_or("the directory of the project is no Unicode")?;
    ci::command(&copy, &["check", "--workspace", "--all-features", "--locked"], &[("CARGO_TARGET_DIR", target)])
}

/// Removes the dev-dependencies from a crate's manifest, because the newer versions that they need would raise the
/// floors.
fn without_dev_dependencies(manifest: &str) -> String {
    let mut kept = String::new();
    let mut is_kept = true;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_kept = !line.ends_with("dev-dependencies]");
        }
        if is_kept {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The workspace's manifest with these members only.
fn with_members(manifest: &str, members: &str) -> Result<String, Failure> {
    let line = manifest.lines().find(|line| line.starts_with("members = "));
    let line = line.ok_or("Cargo.toml has no line that begins with `members = `")?;
    Ok(manifest.replacen(line, &format!("members = [{members}]"), 1))
}

fn copy_all(from: &Path, to: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("{} could not be copied: {error}", from.display());
    std::fs::create_dir_all(to).map_err(failed)?;
    for entry in std::fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(failed)?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target).map_err(failed)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| format!("{} could not be read: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| format!("{} could not be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_do_not_raise_the_floors() {
        let manifest = "[dependencies]\na = \"1\"\n\n[dev-dependencies]\n# Why.\nb = \"1\"\n\n[target.'cfg(unix)'.dev-dependencies]\nc = \"1\"\n[target.'cfg(unix)'.dependencies]\nd = \"1\"\n";
        let kept = without_dev_dependencies(manifest);
        assert_eq!(kept, "[dependencies]\na = \"1\"\n\n[target.'cfg(unix)'.dependencies]\nd = \"1\"\n");
    }

    #[test]
    fn only_what_is_published_is_a_member() {
        let manifest = "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\", \"e2e\"]\n";
        let kept = with_members(manifest, "\"crates/a\"").unwrap();
        assert_eq!(kept, "[workspace]\nresolver = \"3\"\nmembers = [\"crates/a\"]\n");
        assert!(with_members("[workspace]\n", "").is_err());
    }
}
