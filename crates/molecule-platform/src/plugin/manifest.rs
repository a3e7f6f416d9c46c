//! `plugin.yaml`: the fields that the lists show, and the violations of its schema.

use molecule_proto::AvailablePlugin;
use serde_json::{Map, Value};

use super::yaml;

/// The name of the manifest, which is in the root of the plugin's folder.
pub(super) const FILE: &str = "plugin.yaml";
/// A longer manifest is not checked.
const MOST_BYTES: usize = 1 << 20;
/// The most violations that the server reports.
const MOST_VIOLATIONS: usize = 20;

/// The runtimes that a plugin can name. A recorded refusal lists them.
const RUNTIMES: [&str; 7] = ["claude-code", "codex", "hermes", "openclaw", "crewai", "external", "claude_code"];
const REQUIRED: [&str; 3] = ["name", "version", "description"];
const TEXTS: [&str; 8] = ["name", "version", "description", "publisher", "author", "kind", "entrypoint", "sha256"];
const LISTS: [&str; 5] = ["tags", "runtimes", "skills", "hooks", "rules"];
const OBJECTS: [&str; 2] = ["engines", "contributes"];

/// The list entry of a plugin; without a readable manifest it has only the name.
pub(super) fn listed(name: &str, manifest: Option<&[u8]>) -> AvailablePlugin {
    let mut listed = AvailablePlugin::new(name);
    let Some(Value::Object(manifest)) = manifest.and_then(|bytes| read(bytes).ok()) else { return listed };
    let text = |key| manifest.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let texts = |key| {
        let items = manifest.get(key)?.as_array()?;
        let texts: Vec<String> = items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        (!texts.is_empty()).then_some(texts)
    };
    listed.version = text("version");
    listed.description = text("description");
    listed.author = text("author");
    listed.tags = texts("tags");
    listed.skills = texts("skills");
    listed.runtimes = texts("runtimes");
    listed
}

/// Returns whether a listed plugin supports a runtime; `-` and `_` are equal.
pub(super) fn suits(listed: &AvailablePlugin, runtime: &str) -> bool {
    let same = |one: &str| one.replace('-', "_") == runtime.replace('-', "_");
    listed.runtimes.as_ref().is_none_or(|runtimes| runtimes.iter().any(|one| same(one)))
}

/// The violations of a manifest, for people: at most 20, or none.
///
/// The contract names the rule, but not the schema. The platform checks the required keys, the types of the keys that
/// the server reads, the form of a version and the names of runtimes. It does not check the content of `contributes`.
pub(super) fn violations(manifest: &[u8]) -> Vec<String> {
    if manifest.len() > MOST_BYTES {
        return Vec::new();
    }
    let manifest = match read(manifest) {
        Ok(Value::Object(manifest)) => manifest,
        Ok(other) => return vec![format!("at /: got {}, want object", kind(&other))],
        Err(error) => return vec![format!("plugin.yaml is not valid YAML: {error}")],
    };
    let mut found = Vec::new();
    missing(&manifest, &mut found);
    for (key, value) in &manifest {
        let key = key.as_str();
        if TEXTS.contains(&key) {
            text(key, value, &mut found);
        } else if LISTS.contains(&key) {
            list(key, value, &mut found);
        } else if OBJECTS.contains(&key) && !value.is_object() {
            found.push(format!("at /{key}: got {}, want object", kind(value)));
        } else if key == "privileged" && !value.is_boolean() {
            found.push(format!("at /{key}: got {}, want boolean", kind(value)));
        }
    }
    found.truncate(MOST_VIOLATIONS);
    found
}

fn read(manifest: &[u8]) -> Result<Value, String> {
    yaml::read(std::str::from_utf8(manifest).map_err(|_| "it is not UTF-8".to_owned())?)
}

fn missing(manifest: &Map<String, Value>, found: &mut Vec<String>) {
    let missing: Vec<String> =
        REQUIRED.iter().filter(|key| !manifest.contains_key(**key)).map(|key| format!("'{key}'")).collect();
    match missing.as_slice() {
        [] => {}
        [one] => found.push(format!("at /: missing property {one}")),
        several => found.push(format!("at /: missing properties {}", several.join(", "))),
    }
}

fn text(key: &str, value: &Value, found: &mut Vec<String>) {
    let Some(text) = value.as_str() else {
        return found.push(format!("at /{key}: got {}, want string", kind(value)));
    };
    if text.is_empty() && REQUIRED.contains(&key) {
        found.push(format!("at /{key}: minLength: got 0, want 1"));
    }
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if key == "version" && !text.split('.').all(is_number) {
        found.push(format!("at /{key}: '{text}' is no numbers with dots between them"));
    }
}

fn list(key: &str, value: &Value, found: &mut Vec<String>) {
    let Some(items) = value.as_array() else {
        return found.push(format!("at /{key}: got {}, want array", kind(value)));
    };
    for (index, item) in items.iter().enumerate() {
        match item.as_str() {
            None => found.push(format!("at /{key}/{index}: got {}, want string", kind(item))),
            Some(text) if key == "runtimes" && !RUNTIMES.contains(&text) => {
                let known = RUNTIMES.map(|known| format!("'{known}'")).join(", ");
                found.push(format!("at /{key}/{index}: value must be one of {known}"));
            }
            Some(_) => {}
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "name: a\nversion: 1.0.2\ndescription: d\n";

    fn found(manifest: &str) -> Vec<String> {
        violations(manifest.as_bytes())
    }

    #[test]
    fn a_good_manifest_has_no_violation() {
        assert_eq!(found(GOOD), [""; 0]);
        let more =
            "author: me\ntags: [x]\nskills: []\nruntimes: [external, claude_code]\nlater: {}\nprivileged: false\n";
        assert_eq!(found(&format!("{GOOD}{more}contributes: {{themes: 7}}\n")), [""; 0]);
    }

    #[test]
    fn each_rule_has_its_violation() {
        assert_eq!(found("{}"), ["at /: missing properties 'name', 'version', 'description'"]);
        assert_eq!(found(""), ["at /: got null, want object"]);
        assert_eq!(found("- a"), ["at /: got array, want object"]);
        for (line, violation) in [
            ("tags: x", "at /tags: got string, want array"),
            ("hooks: [1]", "at /hooks/0: got number, want string"),
            ("author: 7", "at /author: got number, want string"),
            ("engines: []", "at /engines: got array, want object"),
            ("privileged: maybe", "at /privileged: got string, want boolean"),
        ] {
            assert_eq!(found(&format!("{GOOD}{line}\n")), [violation]);
        }
        assert_eq!(
            found("name: ''\nversion: 1.0\ndescription: d"),
            ["at /name: minLength: got 0, want 1", "at /version: got number, want string",]
        );
        assert_eq!(found("name: a\nversion: 1.0-rc\ndescription: d").len(), 1);
        assert_eq!(found(&format!("{GOOD}tags: [{}]", "1,".repeat(30))).len(), MOST_VIOLATIONS);
    }

    #[test]
    fn a_manifest_of_more_than_a_mebibyte_is_not_checked() {
        assert_eq!(found(&" ".repeat(MOST_BYTES + 1)), [""; 0]);
    }

    #[test]
    fn what_is_no_text_is_not_listed() {
        let listed = listed("a", Some(b"version: 1.0\nauthor: [x]\ntags: [a, 1]\nskills: []\nruntimes: external\n"));
        let mut expected = AvailablePlugin::new("a");
        expected.tags = Some(vec!["a".to_owned()]);
        assert_eq!(listed, expected);
    }

    #[test]
    fn a_runtime_is_the_same_with_either_dash() {
        let mut plugin = AvailablePlugin::new("a");
        assert!(suits(&plugin, "external"));
        plugin.runtimes = Some(vec!["claude_code".to_owned()]);
        assert!(suits(&plugin, "claude-code") && !suits(&plugin, "external"));
    }
}
