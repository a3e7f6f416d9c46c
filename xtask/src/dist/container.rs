//! The context of a container image: `podman build` or `docker build` need nothing else.

use std::path::Path;

use super::build::Built;
use super::entries::Entries;
use super::read;
use crate::Failure;

/// The Containerfile and what it copies.
pub(super) fn context(root: &Path, built: &Built) -> Result<Entries, Failure> {
    let mut entries = Entries::default();
    let containerfile = read(&root.join("crates/molecule-cli/packaging/Containerfile"))?;
    entries.file("Containerfile", 0o644, containerfile);
    entries.file("rootfs/usr/bin/molecule", 0o755, built.binary.clone());
    if built.has_mcp() {
        entries.link("rootfs/usr/bin/molecule-mcp", "molecule");
    }
    // A directory of the agent's own user, of which an image without a shell can make none.
    entries.directory("home", 0o700);
    Ok(entries)
}

#[cfg(test)]
mod tests {
    /// What the Containerfile copies must be in the context, and the user must be nobody of the machine.
    #[test]
    fn the_containerfile_is_for_this_context() {
        let text = include_str!("../../../crates/molecule-cli/packaging/Containerfile");
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        assert_eq!(lines.first(), Some(&"FROM scratch"));
        for line in ["COPY rootfs/ /", "COPY --chown=65532:65532 home/ /var/lib/molecule/", "USER 65532:65532"] {
            assert!(lines.contains(&line), "{line} is missing");
        }
    }
}
