//! Checks what a published crate must contain: licence texts, a README with a tested program (or with tested commands, if
//! the crate is a program itself), and the manifest's keys for crates.io and docs.rs.

use serde_json::Value;

use super::tree::Tree;
use super::{Finding, finding};

const LICENSES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// Checks every member that may be published.
pub(super) fn check(tree: &Tree, metadata: &Value) -> Vec<Finding> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let published = packages.filter(|package| package["publish"].is_null());
    published
        .filter_map(|package| package["name"].as_str().map(|name| check_package(tree, name, package)))
        .flatten()
        .collect()
}

fn check_package(tree: &Tree, name: &str, package: &Value) -> Vec<Finding> {
    let at = |file: &str| format!("crates/{name}/{file}");
    let mut findings = Vec::new();
    for license in LICENSES {
        if tree.text(&at(license)).is_none_or(|text| Some(text) != tree.text(license)) {
            findings.push(finding(&at(license), 1, format!("it is not the text of {license}; copy that")));
        }
    }
    let is_program = tree.text(&at("src/main.rs")).is_some();
    let (fence, what) = if is_program { ("```console", "commands") } else { ("```rust", "a program in Rust") };
    if !tree.text(&at("README.md")).is_some_and(|text| text.contains(fence)) {
        findings.push(finding(&at("README.md"), 1, format!("there is no README with {what}; write one")));
    }
    let (test, tested) = if is_program {
        (at("tests/readme.rs"), "include_str!(\"../README.md\")")
    } else {
        (at("src/lib.rs"), "#[cfg(doctest)]\n#[doc = include_str!(\"../README.md\")]")
    };
    if !tree.text(&test).is_some_and(|text| text.contains(tested)) {
        let sentence = format!("the README is not tested; add `{}`, and what runs it", tested.replace('\n', " "));
        findings.push(finding(&test, 1, sentence));
    }
    let manifest = at("Cargo.toml");
    for key in ["description", "license", "repository", "documentation", "readme"] {
        if package[key].as_str().is_none_or(str::is_empty) {
            findings.push(finding(&manifest, 1, format!("`{key}` is missing; the package's page shows it")));
        }
    }
    let docs = &package["metadata"]["docs"]["rs"];
    if docs["all-features"] != true || docs["rustdoc-args"] != serde_json::json!(["--cfg", "docsrs"]) {
        let sentence =
            "`[package.metadata.docs.rs]` wants `all-features = true` and `rustdoc-args = [\"--cfg\", \"docsrs\"]`";
        findings.push(finding(&manifest, 1, sentence));
    }
    if !tree.text(&manifest).is_some_and(|text| text.contains("include.workspace = true")) {
        findings.push(finding(
            &manifest,
            1,
            "the package would hold tests that need the tree; add `include.workspace = true`",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package() -> Value {
        json!({"name": "a", "publish": null, "description": "d", "license": "l", "repository": "r", "documentation": "d",
               "readme": "README.md", "metadata": {"docs": {"rs": {"all-features": true, "rustdoc-args": ["--cfg", "docsrs"]}}}})
    }

    const FILES: [(&str, &str); 7] = [
        ("LICENSE-MIT", "mit"),
        ("LICENSE-APACHE", "apache"),
        ("crates/a/LICENSE-MIT", "mit"),
        ("crates/a/LICENSE-APACHE", "apache"),
        ("crates/a/README.md", "```rust\n```\n"),
        ("crates/a/src/lib.rs", "#[cfg(doctest)]\n#[doc = include_str!(\"../README.md\")]\nstruct Readme;\n"),
        ("crates/a/Cargo.toml", "include.workspace = true\n"),
    ];

    #[test]
    fn a_whole_package_and_an_unpublished_one_are_fine() {
        assert_eq!(check(&Tree::of(&FILES), &json!({"packages": [package()]})), []);
        assert_eq!(check(&Tree::of(&[]), &json!({"packages": [{"name": "a", "publish": []}]})), []);
    }

    #[test]
    fn a_program_has_a_readme_of_commands_that_a_test_runs() {
        let mut files: Vec<_> = FILES.into_iter().filter(|(path, _)| !path.contains("lib.rs")).collect();
        files.push(("crates/a/src/main.rs", "fn main() {}\n"));
        let found = |files: &[(&str, &str)]| {
            let findings = check(&Tree::of(files), &json!({"packages": [package()]}));
            findings.iter().map(|finding| finding.path.clone()).collect::<Vec<_>>()
        };
        assert_eq!(found(&files), ["crates/a/README.md", "crates/a/tests/readme.rs"]);
        files.retain(|(path, _)| *path != "crates/a/README.md");
        files.push(("crates/a/README.md", "```console\n```\n"));
        files.push(("crates/a/tests/readme.rs", "const README: &str = include_str!(\"../README.md\");\n"));
        assert_eq!(found(&files), [""; 0]);
    }

    #[test]
    fn each_missing_piece_is_found() {
        for (missing, (path, _)) in FILES.iter().enumerate().skip(2) {
            let files: Vec<_> =
                FILES.iter().enumerate().filter(|(n, _)| *n != missing).map(|(_, file)| *file).collect();
            let findings = check(&Tree::of(&files), &json!({"packages": [package()]}));
            assert_eq!(findings.iter().map(|finding| finding.path.as_str()).collect::<Vec<_>>(), [*path]);
        }
        for key in ["description", "license", "repository", "documentation", "readme", "metadata"] {
            let mut package = package();
            package[key] = Value::Null;
            assert_eq!(check(&Tree::of(&FILES), &json!({"packages": [package]})).len(), 1, "{key}");
        }
    }
}
