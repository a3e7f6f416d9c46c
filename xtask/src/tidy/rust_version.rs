//! Checks that every place that names the minimum Rust version agrees with the workspace's manifest.

use super::tree::Tree;
use super::{Finding, finding};

const MANIFEST: &str = "Cargo.toml";
const README: &str = "README.md";

/// Compares README.md and every `clippy.toml` with the manifest. A README without a version is a finding.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let manifest = tree.text(MANIFEST).unwrap_or_default();
    let Some((_, due)) = said(manifest, "rust-version").into_iter().next() else {
        return vec![finding(MANIFEST, 1, "`rust-version` is missing; set it in [workspace.package]")];
    };
    let Some(readme) = tree.text(README) else {
        return vec![finding(README, 1, format!("the file is missing; write it, and in it `Rust {due}`"))];
    };
    let in_readme: Vec<_> = [said(readme, "Rust "), said(readme, "rust-version")].concat();
    if in_readme.is_empty() {
        return vec![finding(README, 1, format!("the least Rust version is not told; say `Rust {due}`"))];
    }
    let in_readme = in_readme.into_iter().map(|(line, version)| (README, line, version));
    let clippy = tree.files().filter(|(path, _)| path.ends_with("clippy.toml"));
    let in_clippy = clippy
        .flat_map(|(path, text)| said(text, "msrv").into_iter().map(move |(line, version)| (path, line, version)));
    let wrong = in_readme.chain(in_clippy).filter(|(_, _, version)| *version != due);
    wrong
        .map(|(path, line, version)| finding(path, line, format!("{version} should be {due}, as in {MANIFEST}")))
        .collect()
}

/// Each version that follows `word` on its line, and the line's number; `1.89.0` is read as `1.89`.
fn said(text: &str, word: &str) -> Vec<(usize, String)> {
    let mut versions = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (at, _) in line.match_indices(word) {
            let rest = line[at + word.len()..].trim_start_matches([' ', '=', ':', '"', '`', '*']);
            let version = &rest[..rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len())];
            let parts: Vec<_> = version.trim_end_matches('.').split('.').collect();
            if let [major, minor, ..] = parts[..] {
                versions.push((number + 1, format!("{major}.{minor}")));
            }
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(readme: &str, msrv: &str) -> Vec<Finding> {
        let clippy = format!("msrv = \"{msrv}\"\n");
        check(&Tree::of(&[
            (MANIFEST, "[workspace.package]\nrust-version = \"1.89\"\n"),
            (README, readme),
            ("a/clippy.toml", &clippy),
        ]))
    }

    #[test]
    fn all_places_say_the_same() {
        assert_eq!(found("Needs Rust 1.89.\n`rust-version`: **1.89.0**", "1.89"), []);
        assert_eq!(
            found("\nNeeds Rust 1.88 or later", "1.89"),
            [finding(README, 2, "1.88 should be 1.89, as in Cargo.toml")]
        );
        assert_eq!(found("Needs Rust 1.89. `rust-version = \"1.90\"`", "1.89").len(), 1);
        assert_eq!(
            found("Needs Rust 1.89", "1.85"),
            [finding("a/clippy.toml", 1, "1.85 should be 1.89, as in Cargo.toml")]
        );
    }

    #[test]
    fn silence_is_a_finding() {
        assert_eq!(found("An SDK in Rust 2024 for agents.", "1.89").len(), 1);
        assert_eq!(check(&Tree::of(&[(MANIFEST, "rust-version = \"1.89\"")])).len(), 1);
        assert_eq!(check(&Tree::of(&[(README, "Rust 1.89")])).len(), 1);
    }
}
