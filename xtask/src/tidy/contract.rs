//! Checks that every contract section cited in code is a heading of its page.

use std::collections::BTreeSet;

use super::tree::Tree;
use super::{Finding, finding};

const CURRENT: &str = "docs/contract/current.md";
const APRIL: &str = "docs/contract/april.md";

/// Checks the comments of every Rust file below `crates/`, `e2e/`, `examples/` and `fuzz/`.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let [current, april] = [CURRENT, APRIL].map(|page| headings(tree.text(page).unwrap_or_default()));
    let rooms = ["crates/", "e2e/", "examples/", "fuzz/"];
    let sources =
        tree.files().filter(|(path, _)| path.ends_with(".rs") && rooms.iter().any(|room| path.starts_with(room)));
    let mut findings = Vec::new();
    for (path, text) in sources {
        for (line, page, section) in cited(text) {
            let known = if page == APRIL { &april } else { &current };
            if !known.contains(&section) {
                findings.push(finding(
                    path,
                    line,
                    format!("{page} has no section {section}; write it, or cite another one"),
                ));
            }
        }
    }
    findings
}

/// The numbers at the beginning of the headings.
fn headings(page: &str) -> BTreeSet<String> {
    let titles = page.lines().filter_map(|line| Some(line.strip_prefix("##")?.trim_start_matches('#').trim_start()));
    titles.filter_map(|title| Some(number(title)?.0.to_owned())).collect()
}

/// Every section that a comment cites, with its line: `contract section 9.4`, `contract sections 9.1 to 9.3, 12`,
/// `April 5.2`.
fn cited(text: &str) -> Vec<(usize, &'static str, String)> {
    let mut found = Vec::new();
    // Lines of prose break anywhere, so a whole comment is read as one text.
    let mut prose = String::new();
    let mut starts = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some((_, comment)) = line.split_once("//") else {
            // Code separates two comments.
            prose.push_str("\n\n");
            continue;
        };
        starts.push((prose.len(), index + 1));
        prose.push_str(comment.trim_start_matches(['/', '!']).trim());
        prose.push(' ');
    }
    let line_of = |at: usize| starts.iter().rev().find(|(start, _)| *start <= at).map_or(1, |(_, line)| *line);
    let words = [("contract section ", CURRENT), ("contract sections ", CURRENT), ("April ", APRIL)];
    for (word, page) in words {
        for (at, _) in prose.match_indices(word) {
            let is_aprils = prose[..at].ends_with("April ") || prose[..at].ends_with("April's ");
            let page = if is_aprils { APRIL } else { page };
            let mut rest = &prose[at + word.len()..];
            while let Some((section, behind)) = number(rest) {
                found.push((line_of(at), page, section.to_owned()));
                let next = [" to ", " and ", ", "].iter().find_map(|between| behind.strip_prefix(between));
                let Some(next) = next else { break };
                rest = next;
            }
        }
    }
    // A year or a duration after `April` is no section.
    found.retain(|(_, _, section)| section.split('.').all(|part| part.len() <= 2));
    found
}

/// The dotted number at the beginning of a text, and the rest of the text.
fn number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number = text[..end].trim_end_matches('.');
    let behind = &text[number.len()..];
    let is_measure = [" s", " MiB", " ms", " minutes"].iter().any(|unit| behind.starts_with(unit));
    (!number.is_empty() && !is_measure).then_some((number, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES: [(&str, &str); 2] = [
        (CURRENT, "# Title\n## 4. Register\n### 4.1 Request\n## 12. Feed\n"),
        (APRIL, "## 5. State\n### 5.2 Secrets\n"),
    ];

    fn found(source: &str) -> Vec<(usize, String)> {
        let tree = Tree::of(&[PAGES[0], PAGES[1], ("crates/a/src/lib.rs", source)]);
        check(&tree).into_iter().map(|finding| (finding.line, finding.sentence)).collect()
    }

    #[test]
    fn a_section_that_is_not_there_is_found() {
        let missing = |line: usize, page: &str, section: &str| {
            vec![(line, format!("{page} has no section {section}; write it, or cite another one"))]
        };
        assert_eq!(found("/// A (contract section 4.2).\n"), missing(1, CURRENT, "4.2"));
        assert_eq!(found("\n// See contract sections 4 and\n// 13.\n"), missing(2, CURRENT, "13"));
        assert_eq!(found("//! Secrets (contract section 4; April 5.3).\n"), missing(1, APRIL, "5.3"));
        assert_eq!(found("/// April contract section 12.\n"), missing(1, APRIL, "12"));
    }

    #[test]
    fn what_is_there_and_what_is_no_section_are_not() {
        assert_eq!(found("/// A (contract sections 4.1 to 4, 12; April 5.2).\n"), []);
        assert_eq!(found("/// In April 2026, after April 90 s.\nlet text = \"contract section 99\";\n"), []);
    }

    #[test]
    fn without_its_pages_everything_is_missing() {
        assert_eq!(check(&Tree::of(&[("crates/a/src/lib.rs", "// contract section 4\n")])).len(), 1);
    }
}
