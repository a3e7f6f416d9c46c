//! `plugin.yaml`, which is refused where two readers of YAML may understand it differently.

mod yaml;

use molecule_proto::PluginName;
use molecule_proto::printable::line;
use serde::Serialize;

use crate::digest::ContentDigest;
use crate::refusal::{Refusal, escaped};
use crate::rule::Rule;
use crate::tree::{Tree, TreeDigest};
use yaml::{Scalar, Value};

/// A longer version is left out.
const VERSION_BYTES: usize = 256;

/// The fields of a `plugin.yaml` that matter to an install. None of them becomes a part of a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginManifest {
    /// `name`.
    pub name: Option<String>,
    /// `version` as it is written, with control characters escaped; `None` also if it is not a plain value or is longer
    /// than 256 bytes.
    pub version: Option<String>,
    /// `sha256`: the digest of the content that the manifest declares.
    pub sha256: Option<ContentDigest>,
}

/// A plugin whose manifest and digests were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The plugin's `plugin.yaml`.
    pub manifest: PluginManifest,
    /// The content hash as the Python SDK computes it.
    pub content: ContentSha256,
    /// The digest of the whole tree, which a caller can pin.
    pub tree: TreeDigest,
}

/// The digest of a plugin's content, and whether its `plugin.yaml` declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ContentSha256 {
    /// `plugin.yaml` declares it, and the content has it.
    Declared(ContentDigest),
    /// `plugin.yaml` declares none; the content has this one.
    Computed(ContentDigest),
}

impl PluginManifest {
    /// Reads a `plugin.yaml`: one YAML document in UTF-8, a mapping without duplicate keys, at most 64 levels deep, whose aliases
    /// stand for at most 10,000 nodes. If there is a `name`, it is a plain value; if there is a `sha256`, it is a text of 64
    /// lower-case hexadecimal digits. Other keys are ignored.
    ///
    /// # Errors
    /// A refusal by one of the rules `manifest-…`.
    ///
    /// ```
    /// use molecule_plugin::{PluginManifest, Rule};
    ///
    /// let manifest = PluginManifest::parse(b"name: my-plugin\nversion: 1.10\n")?;
    /// assert_eq!(manifest.name.as_deref(), Some("my-plugin"));
    /// assert_eq!(manifest.version.as_deref(), Some("1.10"));
    ///
    /// // YAML reads this as a number, and keeps only its first digits.
    /// let unquoted = format!("sha256: {}", "1".repeat(64));
    /// assert_eq!(PluginManifest::parse(unquoted.as_bytes()).unwrap_err().rule(), Rule::ManifestDigest);
    /// # Ok::<(), molecule_plugin::Refusal>(())
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut manifest = Self::default();
        for (key, value) in yaml::root(bytes)? {
            match &*key {
                "name" => manifest.name = Some(name(value)?),
                "version" => manifest.version = version(value),
                "sha256" => manifest.sha256 = Some(sha256(value)?),
                other if other.eq_ignore_ascii_case("sha256") => {
                    let detail = format!("the key `{}` is not spelled `sha256`", escaped(other.as_bytes()));
                    return Err(Refusal::new(Rule::ManifestDigest, detail));
                }
                _ => {}
            }
        }
        Ok(manifest)
    }

    /// Compares the manifest with the requested plugin and the unpacked tree: the name if it has one, the digest of the
    /// content if it declares one, and the digest of the tree if the caller pinned one.
    ///
    /// # Errors
    /// A refusal by `manifest-name`, `content-mismatch` or `tree-mismatch`, in that order.
    pub fn verify(self, name: &PluginName, tree: &Tree, pin: Option<&TreeDigest>) -> Result<Verified, Refusal> {
        if let Some(other) = self.name.as_deref().filter(|other| *other != name.as_str()) {
            let detail = format!("`plugin.yaml` is that of `{}`, not of `{name}`", escaped(other.as_bytes()));
            return Err(Refusal::new(Rule::ManifestName, detail));
        }
        let computed = ContentDigest::of_tree(tree);
        let content = match self.sha256 {
            Some(declared) if declared == computed => ContentSha256::Declared(declared),
            Some(declared) => {
                let detail = format!("`plugin.yaml` declares the content {declared}, and it is {computed}");
                return Err(Refusal::new(Rule::ContentMismatch, detail));
            }
            None => ContentSha256::Computed(computed),
        };
        let digest = tree.digest();
        if let Some(pinned) = pin.filter(|pinned| **pinned != digest) {
            let detail = format!("the tree {pinned} was pinned, and {digest} was sent");
            return Err(Refusal::new(Rule::TreeMismatch, detail));
        }
        Ok(Verified { manifest: self, content, tree: digest })
    }
}

impl ContentSha256 {
    /// The digest.
    pub fn digest(self) -> ContentDigest {
        match self {
            Self::Declared(digest) | Self::Computed(digest) => digest,
        }
    }

    /// Whether `plugin.yaml` declares it.
    pub fn is_declared(self) -> bool {
        match self {
            Self::Declared(_) => true,
            Self::Computed(_) => false,
        }
    }
}

/// The refusal of a plugin without a `plugin.yaml`.
pub(crate) fn missing(tree: &Tree) -> Refusal {
    let other = ["plugin.yml", "plugin.json"].into_iter().find(|other| tree.get(other).is_some());
    let detail = match other {
        Some(other) => format!("there is no `plugin.yaml` at the root, only a `{other}`"),
        None => "there is no `plugin.yaml` at the root".to_owned(),
    };
    Refusal::new(Rule::ManifestMissing, detail)
}

fn name(value: Value) -> Result<String, Refusal> {
    match value {
        Value::Scalar(scalar) if !scalar.is_null() && !scalar.has_other_tag() => Ok(scalar.text.to_string()),
        Value::Scalar(_) | Value::Collection => {
            Err(Refusal::new(Rule::ManifestName, "`name` in `plugin.yaml` is no text"))
        }
    }
}

fn version(value: Value) -> Option<String> {
    match value {
        Value::Scalar(scalar) if !scalar.is_null() && scalar.text.len() <= VERSION_BYTES => Some(line(&scalar.text)),
        Value::Scalar(_) | Value::Collection => None,
    }
}

fn sha256(value: Value) -> Result<ContentDigest, Refusal> {
    let refused = |what: &str| Refusal::new(Rule::ManifestDigest, format!("`sha256` in `plugin.yaml` {what}"));
    let scalar = match value {
        Value::Scalar(scalar) if scalar.is_null() => {
            return Err(refused("is empty: leave the key out, or declare the digest"));
        }
        Value::Scalar(scalar) if scalar.is_number() => return Err(refused("is a number to YAML: quote it")),
        Value::Scalar(scalar) if scalar.has_other_tag() => return Err(refused("is not tagged as text")),
        Value::Scalar(scalar) => scalar,
        Value::Collection => return Err(refused("is no text")),
    };
    let Scalar { text, .. } = scalar;
    text.parse().map_err(|_| refused("is not 64 lower-case hexadecimal digits"))
}
