//! What is in the program: the crates that cargo compiled for it, with their licences and the digests of Cargo.lock.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::build::{Built, Compiled};
use super::{metadata, read};
use crate::Failure;

/// The crates of a build, sorted by name and version.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) components: Vec<Component>,
}

/// A crate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) version: String,
    /// Its licence, as an expression of SPDX.
    pub(super) license: Option<String>,
    pub(super) repository: Option<String>,
    /// The SHA-256 of its archive on the registry; the crates of this workspace have none.
    pub(super) sha256: Option<String>,
    /// The directory of its source.
    pub(super) directory: PathBuf,
    /// The file that holds its licence, if the manifest names one.
    pub(super) license_file: Option<String>,
    /// Whether it is in the program, and not only in what builds it.
    pub(super) is_linked: bool,
    /// The crates that it uses, as package URLs.
    pub(super) uses: BTreeSet<String>,
}

impl Component {
    /// Its package URL, which names it in a bill of materials.
    pub(super) fn purl(&self) -> String {
        purl(&self.name, &self.version)
    }
}

fn purl(name: &str, version: &str) -> String {
    // The build metadata of a version begins with `+`, which a URL cannot hold.
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

impl Inventory {
    pub(super) fn read(root: &Path, built: &Built) -> Result<Self, Failure> {
        let metadata = metadata(root, &["--filter-platform", &built.target])?;
        let lock = read(&root.join("Cargo.lock"))?;
        let lock = String::from_utf8(lock).map_err(|error| format!("Cargo.lock: {error}"))?;
        Self::of(&built.crates, &metadata, &lock)
    }

    fn of(compiled: &[Compiled], metadata: &Value, lock: &str) -> Result<Self, Failure> {
        let packages: BTreeMap<&str, &Value> =
            array(&metadata["packages"]).filter_map(|package| package["id"].as_str().map(|id| (id, package))).collect();
        let checksums = checksums(lock)?;
        let mut linked: BTreeMap<&str, bool> = BTreeMap::new();
        for one in compiled {
            *linked.entry(&one.package).or_default() |= one.is_linked;
        }
        let named = |id: &str| {
            let package = packages.get(id)?;
            Some((package["name"].as_str()?, package["version"].as_str()?))
        };
        let mut uses: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for node in array(&metadata["resolve"]["nodes"]) {
            // A dev-dependency is in no program.
            let is_used = |dependency: &&Value| array(&dependency["dep_kinds"]).any(|kind| kind["kind"] != "dev");
            let used = array(&node["deps"]).filter(is_used).filter_map(|dependency| dependency["pkg"].as_str());
            let used = used.filter(|id| linked.contains_key(id)).filter_map(named);
            uses.insert(
                node["id"].as_str().unwrap_or_default(),
                used.map(|(name, version)| purl(name, version)).collect(),
            );
        }
        let component = |(id, is_linked): (&&str, &bool)| -> Result<Component, Failure> {
            let package = packages.get(id).ok_or_else(|| format!("`cargo metadata` does not know {id}"))?;
            let text = |key: &str| package[key].as_str().map(str::to_owned);
            let (name, version) = named(id).ok_or_else(|| format!("{id} has no name or version"))?;
            let manifest = PathBuf::from(text("manifest_path").unwrap_or_default());
            Ok(Component {
                name: name.to_owned(),
                version: version.to_owned(),
                // Old manifests write `MIT/Apache-2.0`.
                license: text("license").map(|license| license.replace('/', " OR ").replace("  ", " ")),
                repository: text("repository"),
                sha256: checksums.get(&(name.to_owned(), version.to_owned())).cloned(),
                directory: manifest.parent().unwrap_or(Path::new("")).to_owned(),
                license_file: text("license_file"),
                is_linked: *is_linked,
                uses: uses.get(id).cloned().unwrap_or_default(),
            })
        };
        let mut components = linked.iter().map(component).collect::<Result<Vec<_>, _>>()?;
        components.sort();
        Ok(Self { components })
    }
}

/// The digests of archives in Cargo.lock, by name and version.
fn checksums(lock: &str) -> Result<BTreeMap<(String, String), String>, Failure> {
    let lock: toml::Table = lock.parse().map_err(|error| format!("Cargo.lock: {error}"))?;
    let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let entry = |package: &toml::Value| {
        let text = |key: &str| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        Some(((text("name")?, text("version")?), text("checksum")?))
    };
    Ok(packages.filter_map(entry).collect())
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A program that uses two crates, of which one only builds it; a third one is not compiled.
    pub(in crate::dist) fn inventory() -> Inventory {
        let package = |id: &str, name: &str, license: Value| {
            let manifest = format!("/source/{name}/Cargo.toml");
            json!({ "id": id, "name": name, "version": "1.0.0", "license": license, "manifest_path": manifest,
                "repository": format!("https://forge/{name}"), "license_file": null })
        };
        let packages = [
            package("d", "derive", json!("MIT/Apache-2.0")),
            package("m", "molecule-cli", json!("MIT OR Apache-2.0")),
            package("r", "ring", Value::Null),
            package("w", "windows", json!("MIT")),
        ];
        let uses = |id: &str, kind: Value| json!({ "pkg": id, "dep_kinds": [{ "kind": kind }] });
        let nodes = json!([
            { "id": "m", "deps": [uses("r", Value::Null), uses("d", json!("dev")), uses("w", Value::Null)] },
            { "id": "r", "deps": [uses("d", json!("build"))] },
        ]);
        let metadata = json!({ "packages": packages, "resolve": { "nodes": nodes } });
        let compiled = |package: &str, is_linked| Compiled { package: package.to_owned(), is_linked };
        let compiled = [compiled("r", false), compiled("r", true), compiled("m", true), compiled("d", false)];
        let lock = "[[package]]\nname = \"ring\"\nversion = \"1.0.0\"\nchecksum = \"abcd\"\n\n[[package]]\nname = \"molecule-cli\"\nversion = \"1.0.0\"\n";
        Inventory::of(&compiled, &metadata, lock).unwrap()
    }

    #[test]
    fn what_was_compiled_is_listed_and_nothing_else() {
        let all = inventory().components;
        let shown: Vec<_> = all.iter().map(|one| (&*one.name, one.is_linked, one.sha256.as_deref())).collect();
        assert_eq!(shown, [("derive", false, None), ("molecule-cli", true, None), ("ring", true, Some("abcd"))]);
        assert_eq!(all[0].license.as_deref(), Some("MIT OR Apache-2.0"));
        assert_eq!(all[1].uses, BTreeSet::from(["pkg:cargo/ring@1.0.0".to_owned()]));
        assert_eq!(all[2].uses, BTreeSet::from(["pkg:cargo/derive@1.0.0".to_owned()]));
    }

    #[test]
    fn a_version_with_metadata_is_a_url() {
        assert_eq!(purl("libfoo-sys", "1.2.3+4.5"), "pkg:cargo/libfoo-sys@1.2.3%2B4.5");
    }
}
