//! The record of an install, in a file beside the plugin: `plugins/.receipts/<name>.json`.

use molecule_proto::{PluginName, UnixTime};
use serde::{Deserialize, Serialize};

use crate::manifest::Verified;
use crate::refusal::Refusal;
use crate::rule::Rule;
use crate::tree::{Tree, TreeDigest};
use crate::unpack::Unpacked;

/// The most bytes of a receipt that is written or read: twice as many as the largest plugin within the default limits
/// needs.
pub const MAX_RECEIPT_BYTES: u64 = 16 * 1024 * 1024;

/// A plugin's receipt. Its file is outside the plugin's directory, so that no archive can contain its own receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    tree_sha256: String,
    manifest_sha256: String,
    /// Whether the plugin's own manifest declared that digest.
    declared: bool,
    /// Seconds since 1970.
    installed_at: i64,
    files: u64,
    bytes: u64,
    #[serde(default)]
    skipped_links: u64,
    /// The tree, a line for each file.
    tree: Vec<String>,
}

impl Receipt {
    /// The receipt of a plugin that was unpacked and verified. `source` is the source that the platform resolved, or
    /// else the one that was requested.
    pub fn of(
        name: &PluginName,
        source: Option<String>,
        unpacked: &Unpacked,
        verified: &Verified,
        installed_at: UnixTime,
    ) -> Self {
        Self {
            name: name.to_string(),
            version: verified.manifest.version.clone(),
            source,
            tree_sha256: verified.tree.to_string(),
            manifest_sha256: verified.content.digest().to_string(),
            declared: verified.content.is_declared(),
            installed_at: installed_at.as_secs(),
            files: unpacked.files,
            bytes: unpacked.bytes,
            skipped_links: unpacked.skipped_links.count,
            tree: unpacked.tree.to_string().lines().map(str::to_owned).collect(),
        }
    }

    /// Reads a receipt's bytes; `None` if they are not a receipt of this plugin, or the digest in them is not that of
    /// their tree.
    pub fn read(name: &PluginName, bytes: &[u8]) -> Option<(Self, Tree)> {
        let receipt: Self = molecule_proto::json::read(bytes).ok()?;
        let lines: String = receipt.tree.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        let tree: Tree = lines.parse().ok()?;
        let digest: TreeDigest = receipt.tree_sha256.parse().ok()?;
        (receipt.name == name.as_str() && tree.digest() == digest).then_some((receipt, tree))
    }

    /// The receipt's bytes: a JSON object and a line end.
    ///
    /// # Errors
    /// A refusal by `receipt-bytes` if there are more than [`MAX_RECEIPT_BYTES`]: such a plugin could not be verified
    /// later.
    pub fn write(&self) -> Result<Vec<u8>, Refusal> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("text keys and whole numbers are JSON");
        bytes.push(b'\n');
        if bytes.len() as u64 > MAX_RECEIPT_BYTES {
            let detail = format!(
                "the plugin has so many files, or names so long, that its receipt would have {} bytes, more than \
                 {MAX_RECEIPT_BYTES}; lower max_entries and max_names_bytes to their defaults, and ask for a smaller plugin",
                bytes.len()
            );
            return Err(Refusal::new(Rule::ReceiptBytes, detail));
        }
        Ok(bytes)
    }

    /// The version in the plugin's manifest, as in the receipt.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The plugin's source, as in the receipt.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// When the plugin was installed.
    pub fn installed_at(&self) -> UnixTime {
        UnixTime::from_secs(self.installed_at)
    }
}
