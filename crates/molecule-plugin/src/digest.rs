//! The content hash of plugins, computed as in the Python SDK: the value of `sha256` in a `plugin.yaml`.
//!
//! It is the SHA-256 of a JSON text in ASCII, `[["a.md", "<64 hex>"], ["b/c.md", "<64 hex>"]]`: every regular file but the
//! `plugin.yaml` at the root, sorted by path in code point order. It covers neither modes nor empty directories nor `plugin.yaml`
//! itself; a [`TreeDigest`] covers modes and `plugin.yaml`.
//!
//! ```
//! use molecule_plugin::digest::ContentDigest;
//!
//! let of_rules = [0x5a; 32]; // the SHA-256 of the file's content
//! let digest = ContentDigest::of([("rules.md", of_rules), ("plugin.yaml", [0; 32])]);
//! assert_eq!(digest, ContentDigest::of([("rules.md", of_rules)]));
//! assert_eq!(ContentDigest::of::<&str>([]).to_string(), "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945");
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::tree::hex;
use crate::{DigestError, Tree, TreeDigest};

/// The file at the root that the hash leaves out.
const MANIFEST: &[u8] = b"plugin.yaml";

/// The content hash of a plugin, as text 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentDigest(pub [u8; 32]);

impl ContentDigest {
    /// The hash of these files, in any order. A path is relative to the plugin's root, with `/` between components; the
    /// other value is the SHA-256 of the content. Paths may be other than UTF-8: each invalid byte counts as a lone
    /// surrogate, as in Python.
    pub fn of<P: AsRef<[u8]>>(files: impl IntoIterator<Item = (P, [u8; 32])>) -> Self {
        let mut files: Vec<(P, [u8; 32])> = files.into_iter().collect();
        files.sort_by(|(one, _), (other, _)| code_points(one.as_ref()).cmp(code_points(other.as_ref())));
        Self::of_sorted(files.iter().map(|(path, sha256)| (path.as_ref(), sha256)))
    }

    /// The hash of a tree's files.
    pub fn of_tree(tree: &Tree) -> Self {
        // The bytes of UTF-8 sort as their code points do.
        Self::of_sorted(tree.files().map(|(path, line)| (path.as_bytes(), line.sha256)))
    }

    fn of_sorted<'a, H: std::borrow::Borrow<[u8; 32]>>(files: impl Iterator<Item = (&'a [u8], H)>) -> Self {
        let mut hash = Sha256::new();
        let mut text = String::new();
        hash.update("[");
        for (number, (path, sha256)) in files.filter(|(path, _)| *path != MANIFEST).enumerate() {
            text.clear();
            text.push_str(if number == 0 { "[\"" } else { ", [\"" });
            code_points(path).for_each(|point| push_json(&mut text, point));
            text.push_str("\", \"");
            hash.update(&text);
            hash.update(hex(sha256.borrow()));
            hash.update("\"]");
        }
        hash.update("]");
        Self(hash.finalize().into())
    }
}

/// The SHA-256 of these bytes, in 64 lower-case hexadecimal digits. The core derives idempotency keys with it.
#[doc(hidden)]
pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes).into()).map(char::from).iter().collect()
}

/// The code points of a path as Python's `surrogateescape` reads it.
fn code_points(path: &[u8]) -> impl Iterator<Item = u32> {
    path.utf8_chunks().flat_map(|chunk| {
        chunk.valid().chars().map(u32::from).chain(chunk.invalid().iter().map(|byte| 0xdc00 + u32::from(*byte)))
    })
}

/// Adds a code point to a JSON string as Python's `json.dumps` writes it.
fn push_json(text: &mut String, point: u32) {
    match point {
        0x22 => text.push_str("\\\""),
        0x5c => text.push_str("\\\\"),
        0x08 => text.push_str("\\b"),
        0x09 => text.push_str("\\t"),
        0x0a => text.push_str("\\n"),
        0x0c => text.push_str("\\f"),
        0x0d => text.push_str("\\r"),
        0x20..=0x7e => text.extend(char::from_u32(point)),
        0x1_0000.. => {
            let above = point - 0x1_0000;
            push_escape(text, 0xd800 + (above >> 10));
            push_escape(text, 0xdc00 + (above & 0x3ff));
        }
        _ => push_escape(text, point),
    }
}

fn push_escape(text: &mut String, unit: u32) {
    text.push_str("\\u");
    text.extend([12, 8, 4, 0].iter().filter_map(|shift| char::from_digit((unit >> shift) & 15, 16)));
}

impl FromStr for ContentDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.parse::<TreeDigest>().map(|digest| Self(digest.0))
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TreeDigest(self.0).fmt(f)
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentDigest({self})")
    }
}

/// Writes the digest as text.
impl Serialize for ContentDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
