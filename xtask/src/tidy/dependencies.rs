//! Checks which crate of the workspace may depend on which, and the short lists of third-party crates for proto, plugin
//! and core.

use std::path::Path;

use serde_json::Value;

use super::tree::Tree;
use super::{Finding, finding};
use crate::{Failure, cargo_says};

/// Each crate of the workspace, with the workspace's crates that it may depend on.
const HOUSE: [(&str, &[&str]); 12] = [
    ("molecule-proto", &[]),
    ("molecule-plugin", &["molecule-proto"]),
    ("molecule-core", &["molecule-plugin", "molecule-proto"]),
    ("molecule-host", &["molecule-core", "molecule-proto"]),
    ("molecule-blocking", &["molecule-core", "molecule-host", "molecule-proto"]),
    ("molecule-async", &["molecule-core", "molecule-host", "molecule-proto"]),
    ("molecule-serve", &["molecule-async", "molecule-blocking", "molecule-core", "molecule-host", "molecule-proto"]),
    ("molecule-platform", &["molecule-proto"]),
    ("molecule-dev", &["molecule-platform", "molecule-proto"]),
    ("molecule-conformance", &["molecule-core", "molecule-host"]),
    ("molecule-sim", &["molecule-core", "molecule-host", "molecule-platform", "molecule-proto"]),
    (
        "molecule-cli",
        &["molecule-async", "molecule-core", "molecule-dev", "molecule-host", "molecule-proto", "molecule-serve"],
    ),
];

/// All dependencies that the crates for any target may have. The list replaces a build for `wasm32-unknown-unknown`.
const ALLOWED: [(&str, &[&str]); 3] = [
    ("molecule-proto", &["bytes", "http", "httparse", "serde", "serde_json", "thiserror", "zeroize"]),
    (
        "molecule-plugin",
        &["flate2", "http", "molecule-proto", "saphyr-parser", "serde", "serde_json", "sha2", "thiserror"],
    ),
    (
        "molecule-core",
        &[
            "base64",
            "bytes",
            "fastrand",
            "http",
            "httpdate",
            "ipnet",
            "molecule-plugin",
            "molecule-proto",
            "percent-encoding",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "zeroize",
        ],
    ),
];

/// Crates whose tests may depend only on the same crates of the workspace, so that they build and fuzz without the
/// machines.
const ALONE: [&str; 1] = ["molecule-plugin"];

const FACADES: [&str; 2] = ["molecule-blocking", "molecule-async"];

/// The metadata of the workspace's members, by cargo.
pub(super) fn metadata(root: &Path) -> Result<Value, Failure> {
    let said = cargo_says(root, &["metadata", "--no-deps", "--format-version", "1"])?;
    serde_json::from_str(&said).map_err(|error| format!("`cargo metadata` printed no JSON: {error}"))
}

/// Checks the dependencies of every member below `crates/`.
pub(super) fn check(tree: &Tree, metadata: &Value) -> Vec<Finding> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let members = packages.filter_map(|package| Some((package["name"].as_str()?, package)));
    let members = members.filter(|(_, package)| {
        package["manifest_path"].as_str().is_some_and(|path| path.replace('\\', "/").contains("/crates/"))
    });
    members.flat_map(|(name, package)| check_member(tree, name, package)).collect()
}

fn check_member(tree: &Tree, name: &str, package: &Value) -> Vec<Finding> {
    let path = format!("crates/{name}/Cargo.toml");
    let Some((_, below)) = HOUSE.iter().find(|(known, _)| *known == name) else {
        return vec![finding(
            &path,
            1,
            format!("`{name}` has no place in the house yet; give it one in xtask's `HOUSE`"),
        )];
    };
    let allowed = ALLOWED.iter().find(|(known, _)| *known == name).map(|(_, allowed)| *allowed);
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    let judged = dependencies.filter_map(|dependency| {
        let on = dependency["name"].as_str()?;
        let for_tests = dependency["kind"] == "dev";
        let wrong = if FACADES.contains(&name) && FACADES.contains(&on) {
            Some("neither facade stands on the other; move what they share below both")
        } else if for_tests && !(ALONE.contains(&name) && is_ours(on)) {
            None
        } else if is_ours(on) && !below.contains(&on) {
            Some("dependencies point one way (proto, plugin, core, host, facades); move what is needed down")
        } else if allowed.is_some_and(|allowed| !allowed.contains(&on)) {
            Some("this crate must compile for any target; do without, or argue for a place in xtask's `ALLOWED`")
        } else {
            None
        }?;
        let written = dependency["rename"].as_str().unwrap_or(on);
        let line = line_of(tree.text(&path).unwrap_or_default(), written);
        Some(finding(&path, line, format!("`{name}` may not depend on `{on}`: {wrong}")))
    });
    judged.collect()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("molecule-") || name == "xtask"
}

/// The first line of the manifest that sets this key, in any table.
fn line_of(manifest: &str, key: &str) -> usize {
    let gives =
        |line: &str| line.trim().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', '.']));
    manifest.lines().position(gives).map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(name: &str, on: &str, kind: Option<&str>) -> Vec<Finding> {
        let manifest = format!("/x/crates/{name}/Cargo.toml");
        let dependency = json!({"name": on, "kind": kind, "rename": null});
        let metadata = json!({"packages": [{"name": name, "manifest_path": manifest, "dependencies": [dependency]}]});
        let text = format!("[dependencies]\n{on} = {{ workspace = true }}\n");
        check(&Tree::of(&[(&format!("crates/{name}/Cargo.toml"), &text)]), &metadata)
    }

    #[test]
    fn dependencies_point_one_way() {
        for (name, on) in [
            ("molecule-proto", "molecule-core"),
            ("molecule-core", "molecule-host"),
            ("molecule-proto", "molecule-plugin"),
            ("molecule-host", "molecule-async"),
            ("molecule-platform", "molecule-core"),
            ("molecule-blocking", "molecule-platform"),
        ] {
            let findings = found(name, on, None);
            assert_eq!(findings.len(), 1, "{name} on {on}");
            assert_eq!(findings[0].line, 2);
            assert_eq!(found(name, on, Some("build")).len(), 1, "{name} on {on}");
            assert_eq!(found(name, on, Some("dev")), [], "{name} on {on}");
        }
        assert_eq!(found("molecule-core", "molecule-proto", None), []);
        assert_eq!(found("molecule-blocking", "molecule-host", None), []);
        assert_eq!(found("molecule-platform", "hyper", None), []);
    }

    #[test]
    fn the_plugin_crate_knows_no_machine_even_in_tests() {
        for kind in [None, Some("dev"), Some("build")] {
            assert_eq!(found("molecule-plugin", "molecule-core", kind).len(), 1, "{kind:?}");
            assert_eq!(found("molecule-plugin", "molecule-proto", kind), [], "{kind:?}");
        }
        assert_eq!(found("molecule-plugin", "tar", Some("dev")), []);
        assert_eq!(found("molecule-core", "molecule-plugin", None), []);
    }

    #[test]
    fn neither_facade_stands_on_the_other_even_in_tests() {
        assert_eq!(found("molecule-blocking", "molecule-async", Some("dev")).len(), 1);
        assert_eq!(found("molecule-async", "molecule-blocking", None).len(), 1);
    }

    #[test]
    fn proto_plugin_and_core_keep_to_their_lists() {
        assert_eq!(found("molecule-core", "tokio", None).len(), 1);
        assert_eq!(found("molecule-core", "proptest", Some("dev")), []);
        assert_eq!(found("molecule-core", "bytes", None), []);
        assert_eq!(found("molecule-core", "tar", None).len(), 1);
        assert_eq!(found("molecule-plugin", "sha2", None), []);
        assert_eq!(found("molecule-plugin", "bytes", None).len(), 1);
        assert_eq!(found("molecule-proto", "flate2", None).len(), 1);
        assert_eq!(found("molecule-host", "rustix", None), []);
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        assert_eq!(found("molecule-new", "serde", None).len(), 1);
    }
}
