//! The bill of materials: CycloneDX 1.6 as JSON. It is sorted and knows no time but that of the commit, so that it can be made
//! again and compared.

use serde_json::{Value, json};

use super::build::{Built, says};
use super::entries::Epoch;
use super::inventory::{Component, Inventory};
use super::sums::sha256;
use crate::Failure;

/// Writes the bill of materials of a build.
pub(super) fn write(inventory: &Inventory, built: &Built, epoch: Epoch) -> Result<String, Failure> {
    let program = inventory.components.iter().find(|one| one.name == "molecule-cli");
    let program = program.ok_or("dist: the program is not among the crates that were compiled")?;
    let facts = Facts {
        sha256: sha256(&built.binary),
        target: built.target.clone(),
        features: built.features.join(","),
        rustc: built.rustc.clone(),
        libc: libc(&built.target),
        time: epoch.rfc3339(),
    };
    let bill = bill(inventory, program, &facts);
    let mut text = serde_json::to_string_pretty(&bill).map_err(|error| format!("dist: {error}"))?;
    text.push('\n');
    Ok(text)
}

/// What no manifest says.
struct Facts {
    sha256: String,
    target: String,
    features: String,
    rustc: String,
    libc: (&'static str, Option<String>),
    time: String,
}

/// The C library in the program, and its version where that can be told: musl comes with Rust.
fn libc(target: &str) -> (&'static str, Option<String>) {
    if target.ends_with("-musl") {
        return ("musl", None);
    }
    let said = says("getconf", &["GNU_LIBC_VERSION"]).ok();
    ("glibc", said.and_then(|said| said.trim().strip_prefix("glibc ").map(str::to_owned)))
}

fn bill(inventory: &Inventory, program: &Component, facts: &Facts) -> Value {
    let mut root = component(program);
    root["type"] = json!("application");
    root["hashes"] = json!([{ "alg": "SHA-256", "content": facts.sha256 }]);
    root["properties"] = json!([
        { "name": "molecule:features", "value": facts.features },
        { "name": "molecule:rustc", "value": facts.rustc },
        { "name": "molecule:target", "value": facts.target },
    ]);
    let others = || inventory.components.iter().filter(|one| one.purl() != program.purl());
    // A static program brings its C library and Rust's own.
    let rust = facts.rustc.split_whitespace().nth(1).unwrap_or_default();
    let (libc, libc_version) = (facts.libc.0, facts.libc.1.as_deref());
    let mut components = vec![native("rust-std", Some(rust), "MIT OR Apache-2.0")];
    components.push(native(libc, libc_version, if libc == "musl" { "MIT" } else { "LGPL-2.1-or-later" }));
    components.extend(others().map(component));
    let mut dependencies: Vec<Value> = [program]
        .into_iter()
        .chain(others())
        .map(|one| json!({ "ref": one.purl(), "dependsOn": one.uses.iter().collect::<Vec<_>>() }))
        .collect();
    if let Some(used) = dependencies.first_mut().and_then(|first| first["dependsOn"].as_array_mut()) {
        used.extend(components[..2].iter().map(|one| one["bom-ref"].clone()));
    }
    let mut bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": facts.time,
            "lifecycles": [{ "phase": "build" }],
            "tools": { "components": [{ "type": "application", "name": "xtask", "version": program.version }] },
            "component": root,
        },
        "components": components,
        "dependencies": dependencies,
    });
    bill["serialNumber"] = json!(serial_number(&bill.to_string()));
    bill
}

fn component(one: &Component) -> Value {
    let mut value = json!({
        "type": "library",
        "bom-ref": one.purl(),
        "name": one.name,
        "version": one.version,
        "purl": one.purl(),
        // `excluded` is what is needed to build the program, and not in it.
        "scope": if one.is_linked { "required" } else { "excluded" },
    });
    if let Some(license) = &one.license {
        value["licenses"] = json!([{ "expression": license }]);
    }
    if let Some(sha256) = &one.sha256 {
        value["hashes"] = json!([{ "alg": "SHA-256", "content": sha256 }]);
    }
    if let Some(repository) = &one.repository {
        value["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    value
}

/// A library that no crate brings.
fn native(name: &str, version: Option<&str>, license: &str) -> Value {
    let mut value = json!({
        "type": "library",
        "bom-ref": format!("native:{name}"),
        "name": name,
        "scope": "required",
        "licenses": [{ "expression": license }],
    });
    if let Some(version) = version {
        value["version"] = json!(version);
    }
    value
}

/// A UUID of the content (version 8 of RFC 9562), so that the same bill has the same number.
fn serial_number(content: &str) -> String {
    let digest = sha256(content.as_bytes());
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
    format!("urn:uuid:{}-{}-8{}-a{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::inventory::tests::inventory;
    use super::*;

    fn facts() -> Facts {
        Facts {
            sha256: "ff00".to_owned(),
            target: "x86_64-unknown-linux-gnu".to_owned(),
            features: "mcp".to_owned(),
            rustc: "rustc 1.95.0 (abc 2026-04-14)".to_owned(),
            libc: ("glibc", Some("2.36".to_owned())),
            time: "2026-11-30T00:00:00Z".to_owned(),
        }
    }

    #[test]
    fn the_bill_tells_what_is_in_the_program_from_what_built_it() {
        let inventory = inventory();
        let program = &inventory.components[1];
        let bill = bill(&inventory, program, &facts());
        assert_eq!(bill["metadata"]["component"]["name"], "molecule-cli");
        assert_eq!(bill["metadata"]["component"]["hashes"][0]["content"], "ff00");
        let scopes = bill["components"].as_array().unwrap().iter();
        let scopes: Vec<_> =
            scopes.map(|one| (one["name"].as_str().unwrap(), one["scope"].as_str().unwrap())).collect();
        assert_eq!(
            scopes,
            [("rust-std", "required"), ("glibc", "required"), ("derive", "excluded"), ("ring", "required")]
        );
        assert_eq!(bill["components"][0]["version"], "1.95.0");
        assert_eq!(bill["components"][3]["hashes"][0]["content"], "abcd");
        assert!(bill["components"][3].get("licenses").is_none(), "ring's manifest names none");
    }

    #[test]
    fn each_reference_of_the_bill_is_to_a_component_of_it() {
        let inventory = inventory();
        let bill = bill(&inventory, &inventory.components[1], &facts());
        let components = bill["components"].as_array().unwrap().iter().chain([&bill["metadata"]["component"]]);
        let known: BTreeSet<&str> = components.map(|one| one["bom-ref"].as_str().unwrap()).collect();
        let dependencies = bill["dependencies"].as_array().unwrap();
        assert_eq!(dependencies.len(), 3);
        for dependency in dependencies {
            let used = dependency["dependsOn"].as_array().unwrap().iter();
            for reference in used.chain([&dependency["ref"]]) {
                assert!(known.contains(reference.as_str().unwrap()), "{reference}");
            }
        }
        assert_eq!(dependencies[0]["dependsOn"], json!(["pkg:cargo/ring@1.0.0", "native:rust-std", "native:glibc"]));
    }

    #[test]
    fn the_same_build_has_the_same_number_and_another_one_has_another() {
        let inventory = inventory();
        let number = |facts: &Facts| bill(&inventory, &inventory.components[1], facts)["serialNumber"].clone();
        let first = number(&facts());
        assert_eq!(first, number(&facts()));
        assert_ne!(first, number(&Facts { sha256: "ff01".to_owned(), ..facts() }));
        let first = first.as_str().unwrap().strip_prefix("urn:uuid:").unwrap();
        assert_eq!(first.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{first}");
    }
}
