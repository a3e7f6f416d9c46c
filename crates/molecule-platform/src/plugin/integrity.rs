//! `manifest.json`: a digest of the plugin that its author can add to it (April contract section 14).

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::tree::{Entry, PluginTree};

const FILE: &str = "manifest.json";

/// Returns whether a plugin has the digest in its `manifest.json`, or has no such file, or one without a digest.
///
/// It differs from the digests that clients compute: SHA-256 over each file's path, a NUL and its content, without
/// `manifest.json`, where path and NUL are sorted as whole strings.
pub(super) fn holds(tree: &PluginTree) -> bool {
    let manifest = match tree.entry(FILE) {
        None => return true,
        Some(Entry::File { bytes, .. }) => serde_json::from_slice::<Option<serde_json::Map<String, Value>>>(bytes),
        Some(Entry::Directory { .. } | Entry::Link { .. }) => return false,
    };
    match manifest.map(|manifest| manifest.and_then(|manifest| manifest.get("sha256").cloned())) {
        Ok(None) => true,
        Ok(Some(Value::String(declared))) => declared.eq_ignore_ascii_case(&digest(tree)),
        Ok(Some(_)) | Err(_) => false,
    }
}

fn digest(tree: &PluginTree) -> String {
    let mut files: Vec<_> = tree
        .entries()
        .filter_map(|(path, entry)| match entry {
            Entry::File { bytes, .. } if path != FILE => Some((path + "\0", bytes)),
            Entry::File { .. } | Entry::Directory { .. } | Entry::Link { .. } => None,
        })
        .collect();
    files.sort();
    let mut hash = Sha256::new();
    for (path, bytes) in files {
        hash.update(path.as_bytes());
        hash.update(bytes);
    }
    hex(&hash.finalize())
}

/// SHA-256 of some bytes, in lower-case hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two files in a different order as whole paths and as components: as whole paths `a.b` comes before `a/c`.
    fn tree(manifest: &str) -> PluginTree {
        PluginTree::new("x").file("a/c", "2").file("a.b", "1").file(FILE, manifest)
    }

    #[test]
    fn a_digest_must_be_that_of_the_files() {
        let right = sha256(b"a.b\x001a/c\x002");
        assert!(holds(&tree(&format!("{{\"sha256\":\"{right}\"}}"))));
        assert!(holds(&tree(&format!("{{\"sha256\":\"{}\"}}", right.to_uppercase()))));
        assert!(!holds(&tree(&format!("{{\"sha256\":\"{}\"}}", sha256(b"a/c\x002a.b\x001")))));
    }

    #[test]
    fn a_manifest_without_a_digest_declares_nothing_and_one_that_makes_no_sense_fails() {
        for manifest in ["{}", "null", "{\"SHA256\":\"x\"}"] {
            assert!(holds(&tree(manifest)), "{manifest}");
        }
        for manifest in ["", "[]", "{", "{\"sha256\":null}", "{\"sha256\":7}", "{\"sha256\":\"\"}"] {
            assert!(!holds(&tree(manifest)), "{manifest}");
        }
        assert!(holds(&PluginTree::new("x")));
        assert!(!holds(&PluginTree::new("x").directory(FILE)));
    }
}
