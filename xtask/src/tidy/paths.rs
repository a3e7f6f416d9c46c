//! Checks that every system can check out every path: Git for Windows refuses the whole checkout because of one path
//! that it cannot write.

use std::collections::BTreeMap;

use super::tree::Tree;
use super::{Finding, finding};

/// Device names of Windows, with any extension.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// Characters that no path may contain there, besides control characters.
const FORBIDDEN: &str = "<>:\"|?*\\";

/// Checks every path, including those of binary files, and the directories in it.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let paths: Vec<&str> = tree.paths().collect();
    let bad = paths.iter().flat_map(|path| {
        let reasons = path.split('/').filter_map(|part| Some((part, refusal(part)?)));
        reasons.map(|(part, reason)| finding(path, 1, format!("{part:?} {reason}; give it another name"))).take(1)
    });
    bad.chain(twins(&paths)).collect()
}

/// The reason why some system cannot write a component of a path.
fn refusal(part: &str) -> Option<&'static str> {
    if part.chars().any(char::is_control) {
        return Some("has a control character in it");
    }
    if part.contains(|c| FORBIDDEN.contains(c)) {
        return Some("has one of <>:\"|?*\\ in it, which Windows does not allow");
    }
    if part.ends_with(['.', ' ']) {
        return Some("ends with a dot or a blank, which Windows drops");
    }
    let stem = part.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    is_device(&stem).then_some("is the name of a device on Windows, whatever its extension")
}

fn is_device(stem: &str) -> bool {
    let numbered = || {
        let number = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"))?;
        let mut digits = number.chars();
        let digit = digits.next()?;
        Some(digits.next().is_none() && (digit.is_ascii_digit() || matches!(digit, '¹' | '²' | '³')))
    };
    DEVICES.contains(&stem) || numbered().unwrap_or(false)
}

/// Files or directories whose names differ only by case: macOS and Windows keep one of them.
fn twins(paths: &[&str]) -> Vec<Finding> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut findings = Vec::new();
    for path in paths {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for name in ends.map(|end| &path[..end]) {
            let first = *seen.entry(name.to_lowercase()).or_insert(name);
            if first != name {
                findings.push(finding(path, 1, format!("{name:?} differs from {first:?} by case alone; rename one")));
                break;
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(paths: &[&str]) -> Vec<String> {
        let files: Vec<_> = paths.iter().map(|path| (*path, "")).collect();
        check(&Tree::of(&files)).iter().map(|finding| finding.path.clone()).collect()
    }

    #[test]
    fn a_path_that_windows_cannot_write_is_found() {
        for path in [
            "src/nul.rs",
            "NUL",
            "a/Con.tar.gz",
            "aux/mod.rs",
            "prn .txt",
            "com1.rs",
            "LPT9",
            "com0",
            "lpt³.md",
            "conin$",
            "a<b",
            "a>b",
            "a:b",
            "a\"b",
            "a|b",
            "a?b",
            "a*b",
            "a\\b",
            "a\tb",
            "a\u{7f}b",
            "a\u{85}b",
            "dir./a",
            "dir /a",
            "a.",
            "a ",
        ] {
            assert_eq!(found(&["fine.rs", path]), [path]);
        }
    }

    #[test]
    fn other_paths_are_fine() {
        let fine = ["src/no_nul.rs", "console.rs", "com10.rs", "com.rs", "lpt", ".ci/run", "a b/c-d_e.f", "größe.md"];
        assert!(found(&fine).is_empty());
    }

    #[test]
    fn names_that_differ_by_case_alone_are_found() {
        assert_eq!(found(&["README.md", "readme.md"]), ["readme.md"]);
        assert_eq!(found(&["Docs/a.md", "docs/b.md"]), ["docs/b.md"], "directories too");
        assert_eq!(found(&["GRÖSSE.md", "grösse.md"]), ["grösse.md"]);
        assert!(found(&["docs/a.md", "docs/b.md", "src/a.md"]).is_empty());
    }
}
