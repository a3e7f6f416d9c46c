//! Checks of the tree that neither the compiler nor a test makes.

mod arrows;
mod blocking;
mod commands;
mod contract;
mod dependencies;
mod drivers;
mod line_ends;
mod machines;
mod manifests;
mod mentions;
mod openness;
mod packages;
mod paths;
mod purity;
mod reexports;
mod rooms;
mod rust_version;
mod sizes;
mod source;
mod tree;
mod twins;
mod vendored;
mod words;

use std::fmt;
use std::path::Path;

use crate::Failure;
use blocking::Blocking;
use rooms::Rooms;
use tree::Tree;

/// A broken rule: where, and what to do about it.
#[derive(Clone, Debug, PartialEq)]
struct Finding {
    path: String,
    line: usize,
    sentence: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.sentence)
    }
}

fn finding(path: &str, line: usize, sentence: impl Into<String>) -> Finding {
    Finding { path: path.to_owned(), line, sentence: sentence.into() }
}

/// Prints the figures and every finding of the tree under `root`.
///
/// # Errors
///
/// The number of findings, or why the tree could not be read.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let tree = Tree::read(root)?;
    let metadata = dependencies::metadata(root)?;
    let blocking = Blocking::read(root)?;
    for figure in drivers::figures(&tree) {
        println!("{figure}");
    }
    println!("{}", blocking.figure());
    let rooms = Rooms::read(&tree);
    println!("{}", rooms.figure());
    let findings = [
        source::check(&tree),
        purity::check(&tree),
        reexports::check(&tree),
        dependencies::check(&tree, &metadata),
        blocking.check(),
        drivers::check(&tree),
        rust_version::check(&tree),
        manifests::check_reasons(&tree),
        manifests::check_members(&tree),
        words::check(&tree),
        paths::check(&tree),
        line_ends::check(&tree),
        openness::check(&tree),
        machines::check(&tree),
        packages::check(&tree, &metadata),
        contract::check(&tree),
        commands::check(&tree),
        mentions::check(&tree),
        mentions::check_invariants(&tree),
        twins::check(&tree),
        vendored::check(&tree),
        rooms.check(),
    ]
    .concat();
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => Err("`cargo xtask tidy`: 1 finding".to_owned()),
        count => Err(format!("`cargo xtask tidy`: {count} findings")),
    }
}

/// Prints the figures by which two checkouts are compared: the lines of each crate and the longest functions, both
/// without tests, each arrow of the core against the order of its rooms, and each arrow in a knot.
///
/// # Errors
///
/// Why the tree could not be read.
pub(crate) fn house(root: &Path) -> Result<(), Failure> {
    let tree = Tree::read(root)?;
    for figure in sizes::figures(&tree) {
        println!("{figure}");
    }
    let rooms = Rooms::read(&tree);
    for finding in rooms.all() {
        println!("{finding}");
    }
    println!("{}", rooms.figure());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_like_a_compilers() {
        assert_eq!(finding("a/b.rs", 3, "say why").to_string(), "a/b.rs:3: say why");
    }
}
