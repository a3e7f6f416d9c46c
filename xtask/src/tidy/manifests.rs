//! Checks the manifests of the workspace: a reason for each dependency, versions in one place, the shared lints.

use super::tree::Tree;
use super::{Finding, finding};

const ROOT: &str = "Cargo.toml";

/// Checks that every group of `[workspace.dependencies]` begins with a comment. A group ends at an empty line.
pub(super) fn check_reasons(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut has_reason = false;
    for (line, text) in table(tree.text(ROOT).unwrap_or_default(), |name| name == "workspace.dependencies") {
        if text.is_empty() {
            has_reason = false;
        } else if text.starts_with('#') {
            has_reason = true;
        } else if let Some(key) = key(text)
            && !has_reason
        {
            findings.push(finding(
                ROOT,
                line,
                format!("`{key}` has no reason; say in a comment above it what it is for"),
            ));
        }
    }
    findings
}

/// Checks that every member inherits the shared lints, and its versions from the workspace.
pub(super) fn check_members(tree: &Tree) -> Vec<Finding> {
    let manifests = tree.files().filter(|(path, _)| path.ends_with("/Cargo.toml") && !path.starts_with("fuzz/"));
    manifests.flat_map(|(path, text)| check_member(path, text)).collect()
}

fn check_member(path: &str, text: &str) -> Vec<Finding> {
    let shares_lints = table(text, |name| name == "lints").any(|(_, line)| line.replace(' ', "") == "workspace=true");
    let lints =
        (!shares_lints).then(|| finding(path, 1, "the shared lints are not taken; add `[lints] workspace = true`"));
    let entries =
        table(text, |name| name.ends_with("dependencies")).filter_map(|(line, text)| Some((line, text, key(text)?)));
    let own = entries.filter(|(_, text, _)| {
        let text = text.replace(' ', "");
        !text.contains("workspace=true") && !text.contains("path=")
    });
    let own = own.map(|(line, _, key)| {
        finding(path, line, format!("`{key}` has a version of its own; set it in [workspace.dependencies]"))
    });
    lints.into_iter().chain(own).collect()
}

/// The trimmed lines, with their numbers, of each wanted table.
fn table(text: &str, is_wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = is_wanted(header);
            return None;
        }
        inside.then_some((number + 1, line))
    })
}

/// The key that a line sets; the inner lines of a value over several lines have none.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let name = key.trim().split('.').next()?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    fn reasons(text: &str) -> Vec<usize> {
        check_reasons(&Tree::of(&[(ROOT, text)])).iter().map(|finding| finding.line).collect()
    }

    fn member(text: &str) -> Vec<usize> {
        check_members(&Tree::of(&[("crates/a/Cargo.toml", text)])).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_group_has_one_reason() {
        assert_eq!(reasons("[workspace.dependencies]\n# Why.\na = \"1\"\nb = \"1\"\n\n# Why.\nc = \"1\"\n"), NONE);
        assert_eq!(reasons("[workspace.dependencies]\na = \"1\"\n# Why.\nb = \"1\"\n\nc.version = \"1\"\n"), [2, 6]);
        assert_eq!(
            reasons("[workspace.dependencies]\n# Why.\na = { version = \"1\", features = [\n  \"x\",\n] }\n"),
            NONE
        );
        assert_eq!(reasons("[workspace.lints.rust]\nunsafe_code = \"forbid\"\n"), NONE);
    }

    #[test]
    fn members_take_the_lints() {
        assert_eq!(member("[package]\n[lints]\nworkspace = true\n"), NONE);
        assert_eq!(member("[package]\nworkspace = true\n[lints.rust]\nunsafe_code = \"warn\"\n"), [1]);
    }

    #[test]
    fn members_take_their_versions() {
        let lints = "[lints]\nworkspace = true\n";
        assert_eq!(
            member(&format!(
                "{lints}[dependencies]\na = {{ workspace = true }}\nb.workspace = true\nc = {{ path = \"../c\" }}\n"
            )),
            NONE
        );
        assert_eq!(
            member(&format!(
                "{lints}[dev-dependencies]\na = \"1\"\n[target.'cfg(unix)'.dependencies]\nb = {{ version = \"1\" }}\n"
            )),
            [4, 6]
        );
    }
}
