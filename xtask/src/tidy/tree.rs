//! The paths and the text files of the tree, held in memory, so that a check is a function and its tests need no disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::Failure;

/// Paths relative to the root, with `/`, and what the files say.
pub(super) struct Tree {
    files: BTreeMap<String, String>,
    paths: BTreeSet<String>,
}

impl Tree {
    /// Every file that git tracks, or would if it were added; what is not UTF-8 is no text and is left out.
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listed = Command::new("git").args(arguments).current_dir(root).output();
        let listed = listed.map_err(|error| format!("`git ls-files` could not be started: {error}"))?;
        if !listed.status.success() {
            return Err(format!("`git ls-files` failed: {}", String::from_utf8_lossy(&listed.stderr).trim()));
        }
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        let names = || names.split('\0').filter(|name| !name.is_empty());
        let texts = names().filter_map(|name| {
            // A file that was deleted, but not yet from the index, cannot be read either.
            let text = std::fs::read_to_string(root.join(name)).ok()?;
            Some((name.to_owned(), text))
        });
        let paths = names().filter(|name| root.join(name).symlink_metadata().is_ok()).map(str::to_owned);
        Ok(Self { files: texts.collect(), paths: paths.collect() })
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Every path, also of what is no text.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let texts = files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned()));
        let paths = files.iter().map(|&(path, _)| path.to_owned());
        Self { files: texts.collect(), paths: paths.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_this_project_holds_this_file() {
        let tree = Tree::read(&crate::root()).unwrap();
        assert!(tree.text("xtask/src/tidy/tree.rs").is_some_and(|text| text.contains("holds_this_file")));
        assert!(tree.text("target/.rustc_info.json").is_none());
    }
}
