//! Checks that links have targets, that the files named on the pages for contributors exist, and that each invariant of
//! ARCHITECTURE.md names the file that keeps it and the test that shows it.

use super::tree::Tree;
use super::{Finding, finding};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const PAGES: [&str; 2] = [ARCHITECTURE, "CONTRIBUTING.md"];
/// Endings by which a name without a directory is recognised as a file.
const EXTENSIONS: [&str; 3] = [".rs", ".md", ".toml"];

/// Checks every path between backquotes in the pages, and every link within the tree in any Markdown text.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in PAGES {
        let Some(text) = tree.text(page) else {
            findings.push(finding(page, 1, "the page is missing; write it"));
            continue;
        };
        let missing = spans(text).into_iter().filter_map(|(line, named)| Some((line, missing(tree, &named)?)));
        findings.extend(missing.map(|(line, sentence)| finding(page, line, sentence)));
    }
    for (page, text) in tree.files().filter(|(path, _)| path.ends_with(".md")) {
        let dead = links(text).into_iter().filter(|(_, link)| !is_there(tree, &from(page, link)));
        findings
            .extend(dead.map(|(line, link)| finding(page, line, format!("the link to {link} leads nowhere; mend it"))));
    }
    findings
}

/// Checks that every item below `## Invariants` says `Kept by` a file, and `shown by` a test (`file.rs::its_name`).
pub(super) fn check_invariants(tree: &Tree) -> Vec<Finding> {
    let items = items(tree.text(ARCHITECTURE).unwrap_or_default(), "## Invariants");
    if items.is_empty() {
        return vec![finding(ARCHITECTURE, 1, "there is no list below `## Invariants`; write what always holds")];
    }
    let lacking = items.into_iter().filter_map(|(line, item)| {
        let (_, proof) = item.split_once("Kept by ").unwrap_or_default();
        let (kept, shown) = proof.split_once("shown by ").unwrap_or_default();
        let names_file = spans(kept).iter().any(|(_, span)| is_path(span) && span.contains("/src/"));
        let names_test = spans(shown).iter().any(|(_, span)| is_path(span) && span.contains(".rs::"));
        let sentence = "this invariant does not say who keeps and who shows it; end it with \"Kept by `crate/src/file.rs`, shown by \
                        `crate/tests/file.rs::test`.\"";
        (!names_file || !names_test).then(|| finding(ARCHITECTURE, line, sentence))
    });
    lacking.collect()
}

/// The texts between backquotes with their lines, without code blocks.
fn spans(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_block = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
        } else if !is_block {
            found.extend(line.split('`').skip(1).step_by(2).map(|span| (number + 1, span.to_owned())));
        }
    }
    found
}

/// The targets of a page's links within the tree, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") {
                found.push((number + 1, target.to_owned()));
            }
        }
    }
    found
}

/// The items of the list below a heading, each with its first line.
fn items(text: &str, heading: &str) -> Vec<(usize, String)> {
    let mut items: Vec<(usize, String)> = Vec::new();
    let lines = text.lines().enumerate().skip_while(|(_, line)| *line != heading).skip(1);
    for (number, line) in lines.take_while(|(_, line)| !line.starts_with("## ")) {
        if let Some(first) = line.strip_prefix("- ") {
            items.push((number + 1, first.to_owned()));
        } else if let Some((_, item)) = items.last_mut() {
            item.push(' ');
            item.push_str(line.trim());
        }
    }
    items
}

fn is_path(span: &str) -> bool {
    let file = span.split("::").next().unwrap_or_default();
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-./<>*".contains(c);
    let is_named = EXTENSIONS.iter().any(|extension| file.ends_with(extension)) || file.contains('/');
    is_named && file.chars().all(is_word) && !file.starts_with('/') && (file == span || file.ends_with(".rs"))
}

/// The fault of a path that a page names; `None` for a text that is no path.
fn missing(tree: &Tree, named: &str) -> Option<String> {
    if !is_path(named) {
        return None;
    }
    let (file, test) = named.split_once("::").map_or((named, None), |(file, test)| (file, Some(test)));
    // Of a path with a placeholder, only the part before it is checked.
    let fixed = file.find(['<', '*']).map_or(file, |at| &file[..file[..at].rfind('/').unwrap_or(0)]);
    let Some(path) = place(tree, fixed) else {
        return Some(format!("`{file}` is not there; name the file that has its content now"));
    };
    let test = test.filter(|test| !tree.text(&path).is_some_and(|text| has_test(text, test)))?;
    Some(format!("`{file}` has no test `{test}`; name one that shows the same"))
}

/// The path of a link's target, relative to the root.
fn from(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Resolves a path: from the root, from `crates/`, or anywhere if it is a file name without a directory.
fn place(tree: &Tree, path: &str) -> Option<String> {
    let path = path.trim_end_matches('/');
    let from_root = [path.to_owned(), format!("crates/{path}")];
    let anywhere = || {
        let name = format!("/{path}");
        tree.paths().find(|there| !path.contains('/') && there.ends_with(&name)).map(str::to_owned)
    };
    from_root.into_iter().find(|path| is_there(tree, path)).or_else(anywhere)
}

/// Returns whether a path is that of a file or a directory.
fn is_there(tree: &Tree, path: &str) -> bool {
    tree.paths().any(|there| there.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Returns whether a text has a test of this name: a function with a test attribute, or a scenario.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let scenario = format!("scenario!({name},");
    let function = format!("fn {name}(");
    lines.iter().enumerate().any(|(number, line)| {
        let mut above = lines[..number].iter().rev().take_while(|line| line.starts_with("#["));
        line.starts_with(&scenario) || line.contains(&function) && above.any(|attribute| attribute.contains("test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &str); 4] = [
        ("CONTRIBUTING.md", ""),
        ("crates/a/src/b.rs", "fn keeps() {}\n"),
        ("crates/a/tests/b.rs", "#[test]\n#[ignore = \"slow\"]\nfn shows() {}\n\nfn helps() {}\n"),
        ("e2e/tests/c.rs", "scenario!(a_life, [April], |stage| {});\n"),
    ];

    fn found(page: &str) -> Vec<(usize, String)> {
        let files = [&FILES[..], &[(ARCHITECTURE, page)]].concat();
        check(&Tree::of(&files)).into_iter().map(|finding| (finding.line, finding.sentence)).collect()
    }

    #[test]
    fn a_path_that_leads_nowhere_is_found_with_its_line() {
        assert_eq!(
            found("\n`a/src/c.rs`"),
            [(2, "`a/src/c.rs` is not there; name the file that has its content now".to_owned())]
        );
        for path in
            ["c.rs` and `x.rs", "d/", "crates/a/srcs", "crates/b/src/<name>.rs", "[page](docs/page.md) `", "LICENSE.md"]
        {
            assert_eq!(found(&format!("`{path}`")).len(), 1, "{path}");
        }
        assert_eq!(
            found("`a/tests/b.rs::helps`"),
            [(1, "`a/tests/b.rs` has no test `helps`; name one that shows the same".to_owned())]
        );
        assert_eq!(found("`a/tests/b.rs::show`").len(), 1);
        assert_eq!(found("`e2e/tests/c.rs::a_lif`").len(), 1);
    }

    #[test]
    fn what_is_there_and_what_is_no_path_are_not() {
        for path in [
            "a/src/b.rs",
            "crates/a/src/b.rs",
            "crates/a/src",
            "e2e/",
            "b.rs",
            "c.rs",
            "crates/a/src/<name>.rs",
            "a/tests/b.rs::shows",
            "e2e/tests/c.rs::a_life",
            "GET /workspaces/:id/budget",
            "/a2a",
            "a::b",
            "setup.sh",
            "cargo test -p a/b",
        ] {
            assert_eq!(found(&format!("`{path}`")), [], "{path}");
        }
        assert_eq!(found("```text\n`a/b/c`\n```\n"), []);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found_on_any_page() {
        let lines = |page: &str, text: &str| {
            let files = [&FILES[..], &[(ARCHITECTURE, ""), (page, text)]].concat();
            check(&Tree::of(&files)).into_iter().map(|finding| finding.line).collect::<Vec<_>>()
        };
        let good =
            "[a](../CONTRIBUTING.md#rules), [b](../crates/a), [c](./page.md)\n[d](https://example.com/a) [e](#rules)\n";
        assert_eq!(lines("docs/page.md", good), [0; 0]);
        assert_eq!(lines("docs/page.md", "\n[a](CONTRIBUTING.md)\n[b](../crates/b/)\n"), [2, 3]);
    }

    #[test]
    fn an_invariant_names_who_keeps_and_who_shows_it() {
        let lines = |list: &str| {
            let page = format!("- None.\n\n## Invariants\n\n{list}\n\n## More\n\n- None.\n");
            check_invariants(&Tree::of(&[(ARCHITECTURE, &page)]))
                .into_iter()
                .map(|finding| finding.line)
                .collect::<Vec<_>>()
        };
        assert_eq!(lines("- One\n  holds. Kept by `a/src/b.rs`,\n  shown by `a/tests/b.rs::shows`."), [0; 0]);
        assert_eq!(
            lines("- One.\n- Two. Kept by `a/src/b.rs`.\n- Three. Kept by `a/src/b.rs`, shown by `a/tests/b.rs`."),
            [5, 6, 7]
        );
        assert_eq!(lines("- One. Kept by `b`, shown by `a/tests/b.rs::shows`."), [5]);
        assert_eq!(lines(""), [1]);
    }
}
