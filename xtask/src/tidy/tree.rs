//! The paths and the text files of the tree in memory, so that a check is a function and its tests need no disk.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use super::source::Source;
use crate::Failure;

/// Paths relative to the root, with `/`, and the texts of the files.
pub(super) struct Tree {
    files: BTreeMap<String, File>,
    paths: BTreeSet<String>,
}

struct File {
    text: String,
    /// Parsed at the first use.
    source: OnceCell<Result<Source, (usize, String)>>,
}

impl File {
    fn new(text: String) -> Self {
        Self { text, source: OnceCell::new() }
    }
}

impl Tree {
    /// Reads every file that git tracks, or would track if it were added; files that are not UTF-8 count as binary, and
    /// only their paths are kept.
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
            // A deleted file that is still in the index cannot be read either.
            let text = std::fs::read_to_string(root.join(name)).ok()?;
            Some((name.to_owned(), File::new(text)))
        });
        let paths = names().filter(|name| root.join(name).symlink_metadata().is_ok()).map(str::to_owned);
        Ok(Self { files: texts.collect(), paths: paths.collect() })
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(|file| file.text.as_str())
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, file)| (path.as_str(), file.text.as_str()))
    }

    /// A parsed Rust file; `None` if it is missing or has a syntax error, which is a finding of its own.
    pub(super) fn source(&self, path: &str) -> Option<&Source> {
        let file = self.files.get(path)?;
        file.source.get_or_init(|| Source::parse(&file.text)).as_ref().ok()
    }

    /// The Rust files below `crates/`, without directories of tests.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.files.keys().filter(|path| is_source(path)).filter_map(|path| Some((path.as_str(), self.source(path)?)))
    }

    /// Rust files with syntax errors: path, line, reason.
    pub(super) fn unread(&self) -> Vec<(&str, usize, &str)> {
        let sources = self.files.iter().filter(|(path, _)| is_source(path));
        let unread = sources.filter_map(|(path, file)| {
            let (line, why) = file.source.get_or_init(|| Source::parse(&file.text)).as_ref().err()?;
            Some((path.as_str(), *line, why.as_str()))
        });
        unread.collect()
    }

    /// Every path, including those of binary files.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let texts = files.iter().map(|&(path, text)| (path.to_owned(), File::new(text.to_owned())));
        let paths = files.iter().map(|&(path, _)| path.to_owned());
        Self { files: texts.collect(), paths: paths.collect() }
    }
}

fn is_source(path: &str) -> bool {
    path.starts_with("crates/") && path.contains("/src/") && path.ends_with(".rs")
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
