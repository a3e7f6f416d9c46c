//! Checks the files of others that are served as they are: each stands in a table with its package, version, licence and
//! SHA-256, and is what the table says.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::tree::Tree;
use super::{Finding, finding};

const FOLDER: &str = "crates/molecule-dev/assets/vendor/";
const TABLE: &str = "crates/molecule-dev/assets/vendor/README.md";

/// Compares the folder with its table.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut rows = rows(tree.text(TABLE).unwrap_or_default());
    let mut findings = Vec::new();
    let names = tree.paths().filter_map(|path| path.strip_prefix(FOLDER));
    for name in names.filter(|name| *name != "README.md" && !name.starts_with("LICENSE")) {
        let path = format!("{FOLDER}{name}");
        let Some((line, cells)) = rows.remove(name) else {
            findings.push(finding(&path, 1, format!("{TABLE} does not have it; say there whose it is")));
            continue;
        };
        let found = tree.text(&path).map(digest).unwrap_or_default();
        let [package, version, licence, expected] = cells;
        if found != expected {
            let sentence =
                format!("{name} has the SHA-256 {found}; take the file of the package, or correct the table");
            findings.push(finding(TABLE, line, sentence));
        }
        for (cell, what) in [(package, "package"), (version, "version")] {
            if cell.is_empty() {
                findings.push(finding(TABLE, line, format!("{name} has no {what}")));
            }
        }
        let text = licence.split('`').nth(1).unwrap_or_default();
        if tree.text(&format!("{FOLDER}{text}")).is_none_or(str::is_empty) || text.is_empty() {
            let sentence = format!("the licence of {name} names no file with its text; put one into the folder");
            findings.push(finding(TABLE, line, sentence));
        }
    }
    findings.extend(rows.into_iter().map(|(name, (line, _))| finding(TABLE, line, format!("there is no file {name}"))));
    findings
}

/// The rows of the table by their file: its line, package, version, licence and digest.
fn rows(table: &str) -> BTreeMap<&str, (usize, [&str; 4])> {
    let rows = table.lines().enumerate().filter_map(|(number, line)| {
        let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [file, package, version, licence, digest] = cells.as_slice() else { return None };
        let file = file.strip_prefix('`')?.strip_suffix('`')?;
        Some((file, (number + 1, [*package, *version, *licence, digest.trim_matches('`')])))
    });
    rows.collect()
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const FILE: &str = "crates/molecule-dev/assets/vendor/a.js";
    const LICENSE: &str = "crates/molecule-dev/assets/vendor/LICENSE-a";

    fn sentences(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files)).into_iter().map(|finding| finding.sentence).collect()
    }

    fn table(digest: &str) -> String {
        format!(
            "| file | package | version | licence | SHA-256 |\n|---|---|---|---|---|\n| `a.js` | `a` | 1 | MIT, `LICENSE-a` | `{digest}` |\n"
        )
    }

    #[test]
    fn a_file_that_is_what_the_table_says_passes() {
        assert_eq!(sentences(&[(FILE, "a"), (LICENSE, "MIT"), (TABLE, &table(&digest("a")))]), Vec::<String>::new());
        assert_eq!(sentences(&[]), Vec::<String>::new());
    }

    #[test]
    fn what_does_not_fit_the_table_is_found() {
        let good = table(&digest("a"));
        let found = |files: &[(&str, &str)]| sentences(files).join("\n");
        assert!(found(&[(FILE, "b"), (LICENSE, "MIT"), (TABLE, &good)]).contains(&digest("b")));
        assert!(found(&[(FILE, "a"), (TABLE, &good)]).contains("licence"));
        assert!(found(&[(LICENSE, "MIT"), (TABLE, &good)]).contains("no file a.js"));
        assert!(found(&[(FILE, "a")]).contains("does not have it"));
        assert!(found(&[(FILE, "a"), (LICENSE, "MIT"), (TABLE, &good.replace("| 1 |", "| |"))]).contains("no version"));
    }
}
