//! Public types that may grow: a field or a variant more must break nobody, so each is `#[non_exhaustive]`.

use super::source::code;
use super::tree::Tree;
use super::{Finding, finding};

/// Where every public type may grow: what users and server authors build, match and read. What is left out in the core is
/// for drivers alone, outside semver, and is matched there without a wildcard so that nothing is forgotten.
const ROOMS: [&str; 11] = [
    "crates/molecule-proto/src/",
    "crates/molecule-platform/src/",
    "crates/molecule-host/src/",
    "crates/molecule-core/src/config.rs",
    "crates/molecule-core/src/delegation",
    "crates/molecule-core/src/endpoint",
    "crates/molecule-core/src/health.rs",
    "crates/molecule-core/src/options.rs",
    "crates/molecule-core/src/peer/outgoing.rs",
    "crates/molecule-core/src/register.rs",
    "crates/molecule-core/src/report.rs",
];

/// Types in those rooms that stay as they are, and why.
const CLOSED: [(&str, &str); 3] = [
    ("Dialect", "the servers that are played: whoever plays one more wants to see each place that tells them apart"),
    ("Now", "two clocks, read together; a third is another protocol between a server and its driver"),
    ("Wake", "when and why; a third is another protocol between a server and its driver"),
];

/// Looks at public structs with public fields, and at public enums.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let sources = tree.files().filter(|(path, _)| path.ends_with(".rs"));
    let rooms = sources.filter(|(path, _)| ROOMS.iter().any(|room| path.starts_with(room)));
    rooms.flat_map(|(path, text)| check_text(path, text)).collect()
}

fn check_text(path: &str, text: &str) -> Vec<Finding> {
    let text = code(text);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut findings = Vec::new();
    let mut is_open = false;
    for (number, line) in lines.iter().enumerate() {
        if line.starts_with("#[") {
            is_open |= line.contains("non_exhaustive");
            continue;
        }
        let named = ["pub struct ", "pub enum "].iter().find_map(|word| Some((*word, line.strip_prefix(word)?)));
        if let Some((word, rest)) = named
            && rest.ends_with('{')
        {
            let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            let body = lines[number + 1..].iter().take_while(|line| **line != "}");
            let grows = word == "pub enum " || body.clone().any(|line| line.starts_with("pub "));
            if grows && !is_open && !CLOSED.iter().any(|(closed, _)| *closed == name) {
                let sentence = format!(
                    "`{name}` cannot grow; make it `#[non_exhaustive]`, with `new` and a method for each option"
                );
                findings.push(finding(path, number + 1, sentence));
            }
        }
        // What stands between an attribute and its type is empty, since comments are.
        is_open &= line.is_empty();
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<usize> {
        check(&Tree::of(&[("crates/molecule-proto/src/a.rs", text)])).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_type_that_cannot_grow_is_found() {
        assert_eq!(found("/// A.\n#[derive(Debug)]\npub struct A {\n    pub a: u8,\n}\n"), [3]);
        assert_eq!(found("pub enum A {\n    B,\n}\n"), [1]);
        assert_eq!(found("#[non_exhaustive]\npub enum A {\n    B,\n}\npub struct C {\n    pub d: u8,\n}\n"), [5]);
    }

    #[test]
    fn what_may_grow_or_shows_nothing_is_not() {
        assert!(found("#[derive(Debug)]\n#[non_exhaustive]\n/// A.\npub struct A {\n    pub a: u8,\n}\n").is_empty());
        assert!(found("pub struct A {\n    a: u8,\n}\npub struct B(pub u8);\nenum C {\n    D,\n}\n").is_empty());
        assert!(found("pub struct Now {\n    pub mono: u8,\n}\n").is_empty());
        let driver = Tree::of(&[("crates/molecule-core/src/effect.rs", "pub enum Effect {\n    Http,\n}\n")]);
        assert_eq!(check(&driver), []);
    }
}
