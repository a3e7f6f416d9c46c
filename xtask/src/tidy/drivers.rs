//! Checks the sizes of the drivers, because a driver that grows has begun to decide.

use super::tree::Tree;
use super::{Finding, finding};

/// Files of the facades and of the server, and the most lines that each may have, comments included.
const FILES: [(&str, usize); 5] = [
    ("crates/molecule-blocking/src/driver.rs", 250),
    ("crates/molecule-blocking/src/http.rs", 300),
    ("crates/molecule-async/src/driver.rs", 250),
    ("crates/molecule-async/src/http.rs", 300),
    ("crates/molecule-serve/src/driver.rs", 300),
];

/// One line for each file, for the terminal.
pub(super) fn figures(tree: &Tree) -> Vec<String> {
    let figures = FILES.iter().map(|(path, most)| match lines(tree, path) {
        Some(lines) => format!("{path}: {lines} lines, at most {most}"),
        None => format!("{path}: missing"),
    });
    figures.collect()
}

/// Reports a driver's file that is too long or missing.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let judged = FILES.iter().filter_map(|(path, most)| match lines(tree, path) {
        None => Some(finding(path, 1, "the file is missing; the driver is measured by this name")),
        Some(lines) if lines > *most => {
            Some(finding(path, lines, format!("{lines} lines are more than {most}; move decisions into a machine")))
        }
        Some(_) => None,
    });
    judged.collect()
}

fn lines(tree: &Tree, path: &str) -> Option<usize> {
    Some(tree.text(path)?.lines().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(driver: usize, http: usize) -> Tree {
        let (driver, http) = ("//\n".repeat(driver), "//\n".repeat(http));
        let texts = [driver.as_str(), http.as_str()];
        let files: Vec<_> = FILES.iter().zip(texts.iter().cycle()).map(|((path, _), text)| (*path, *text)).collect();
        Tree::of(&files)
    }

    #[test]
    fn the_limits_are_inclusive() {
        assert_eq!(check(&tree(250, 300)), []);
        assert_eq!(check(&tree(251, 300)).len(), 2);
        assert_eq!(check(&tree(250, 301)).len(), 2);
    }

    #[test]
    fn a_missing_driver_is_a_finding_and_a_figure() {
        assert_eq!(check(&Tree::of(&[])).len(), FILES.len());
        assert_eq!(figures(&Tree::of(&[]))[0], "crates/molecule-blocking/src/driver.rs: missing");
        assert_eq!(figures(&tree(7, 8))[3], "crates/molecule-async/src/http.rs: 8 lines, at most 300");
    }
}
