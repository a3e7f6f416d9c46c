//! What is kept of an install beside the plugin: `plugins/.receipts/<name>.json`.

use molecule_proto::{PluginName, UnixTime};
use serde::{Deserialize, Serialize};

use super::tree::{Tree, TreeDigest};

/// A plugin's receipt. It lies outside the plugin, so that no archive can bring its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// As the platform resolved it, or as it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    pub(crate) tree_sha256: String,
    pub(crate) manifest_sha256: String,
    /// Whether the plugin's own manifest declared that digest.
    pub(crate) declared: bool,
    /// Seconds since 1970.
    pub(crate) installed_at: i64,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    #[serde(default)]
    pub(crate) skipped_links: u64,
    /// The tree, a line for each file.
    pub(crate) tree: Vec<String>,
}

impl Receipt {
    /// Reads a receipt's bytes; `None` if they are no receipt of this plugin or contradict themselves.
    pub(crate) fn read(name: &PluginName, bytes: &[u8]) -> Option<(Self, Tree)> {
        let receipt: Self = molecule_proto::json::read(bytes).ok()?;
        let lines: String = receipt.tree.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        let tree: Tree = lines.parse().ok()?;
        let digest: TreeDigest = receipt.tree_sha256.parse().ok()?;
        (receipt.name == name.as_str() && tree.digest() == digest).then_some((receipt, tree))
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("text keys and whole numbers are JSON");
        bytes.push(b'\n');
        bytes
    }

    pub(crate) fn time(&self) -> UnixTime {
        UnixTime::from_secs(self.installed_at)
    }
}
