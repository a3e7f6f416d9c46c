//! Operations on the directory of an agent's plugins, which `molecule-host` performs.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use molecule_plugin::MAX_RECEIPT_BYTES;
use molecule_plugin::Tree;
use molecule_proto::PluginName;

use crate::effect::durability::Durability;
use crate::effect::host::{HostResult, LockId};
use crate::effect::setup::SetupOutcome;

/// An operation on the directory of an agent's plugins.
///
/// `Debug` shows lengths, never content.
#[derive(Clone, PartialEq, Eq)]
pub enum PluginOp {
    /// Check whether anything of the plugin exists: the plugin, its receipt, or what an interrupted operation left of
    /// it. Creates nothing.
    Look(PluginName),
    /// Take the plugin's lock without waiting. The fault is `Locked` if another holder has it.
    /// [`HostOp::Unlock`](crate::effect::HostOp::Unlock) releases it.
    Lock(PluginName),
    /// Remove what an earlier operation left, or put an earlier version back that was moved from its place. The lock is
    /// held.
    Sweep(PluginName),
    /// Put a staging directory in the plugin's place atomically; with `Sync` only after its files are on the disk. The
    /// lock is held.
    Commit(StageId, Durability),
    /// Remove a staging directory.
    Discard(StageId),
    /// Replace the plugin's receipt atomically; with `Sync` so that the receipt and what was committed before survive a
    /// power cut.
    WriteReceipt(PluginName, Vec<u8>, Durability),
    /// Run the plugin's `setup.sh`. The lock is held.
    Setup(PluginName, SetupPlan),
    /// List the installed plugins and what interrupted operations left.
    List,
    /// Hash the installed files of a plugin.
    Hash(PluginName),
    /// Remove a plugin and its receipt. The lock is held.
    Remove(PluginName),
}

impl PluginOp {
    /// Returns the predicate of the results that answer this operation.
    pub(crate) fn fitting(&self) -> fn(&HostResult) -> bool {
        use HostResult::Plugin;
        match self {
            Self::Look(_) => |result| matches!(result, Plugin(PluginResult::Looked { .. })),
            Self::Lock(_) => |result| matches!(result, Plugin(PluginResult::Locked(_))),
            Self::Sweep(_) => |result| matches!(result, Plugin(PluginResult::Swept(_))),
            Self::Commit(..) => |result| matches!(result, Plugin(PluginResult::Committed(_))),
            Self::Discard(_) => |result| matches!(result, Plugin(PluginResult::Discarded)),
            Self::WriteReceipt(..) => |result| matches!(result, Plugin(PluginResult::ReceiptWritten)),
            Self::Setup(..) => |result| matches!(result, Plugin(PluginResult::SetUp(_))),
            Self::List => |result| matches!(result, Plugin(PluginResult::Listed(_))),
            Self::Hash(_) => |result| matches!(result, Plugin(PluginResult::Hashed(_))),
            Self::Remove(_) => |result| matches!(result, Plugin(PluginResult::Removed { .. })),
        }
    }
}

/// The id of a staging directory that holds a complete plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageId(pub u64);

/// How to run a `setup.sh`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupPlan {
    /// How long the script may take before it is killed.
    pub timeout: Duration,
    /// How many bytes of the end of each output are kept.
    pub output_bytes: usize,
    /// The names of variables that the script sees in addition to those that every script sees.
    pub env: Vec<String>,
}

impl SetupPlan {
    /// Returns whether a `setup.sh` may see a variable of this name. No script sees variables that hold credentials of
    /// this SDK or that make bash or the dynamic loader run other code.
    pub fn may_show(name: &str) -> bool {
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        // On Windows the case of a name does not count.
        let upper = name.to_ascii_uppercase();
        let steers = ["BASH_ENV", "ENV", "PYTHONSTARTUP", "SHELLOPTS", "BASHOPTS", "PS4", "IFS"]
            .contains(&upper.as_str())
            || ["LD_", "DYLD_", "BASH_FUNC_"].iter().any(|prefix| upper.starts_with(prefix));
        let secret = upper.starts_with("MOLECULE_") || upper == "ADMIN_TOKEN";
        is_name && !steers && !secret
    }
}

/// The result of an operation on the directory of plugins.
///
/// `Debug` shows lengths, never content.
#[derive(Clone, PartialEq, Eq)]
pub enum PluginResult {
    /// The result of [`PluginOp::Look`].
    Looked {
        /// Whether anything exists.
        exists: bool,
    },
    /// The result of [`PluginOp::Lock`].
    Locked(LockId),
    /// The result of [`PluginOp::Sweep`].
    Swept(Swept),
    /// The result of [`PluginOp::Commit`].
    Committed(Committed),
    /// The result of [`PluginOp::Discard`].
    Discarded,
    /// The result of [`PluginOp::WriteReceipt`].
    ReceiptWritten,
    /// The result of [`PluginOp::Setup`].
    SetUp(SetupOutcome),
    /// The result of [`PluginOp::List`].
    Listed(Listed),
    /// The result of [`PluginOp::Hash`]: `None` if no such plugin is installed.
    Hashed(Option<Hashed>),
    /// The result of [`PluginOp::Remove`].
    Removed {
        /// Whether the plugin existed.
        existed: bool,
    },
}

/// The result of a sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Whether an earlier version was put back in its place.
    pub restored: bool,
    /// How many directories of interrupted operations were removed.
    pub removed: u32,
    /// Whether the plugin is in its place now.
    pub installed: bool,
}

/// The result of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Whether an earlier version was replaced.
    pub replaced: bool,
    /// Where the plugin is.
    pub path: PathBuf,
}

/// The commit failed and could not put the earlier version back, which is complete in this path. This error is the
/// source of the fault, or the source of that source. A later sweep tries again to put the version back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Displaced(pub PathBuf);

impl fmt::Display for Displaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the earlier version is whole in {}, and not in its place", self.0.display())
    }
}

impl StdError for Displaced {}

/// The content of the directory of plugins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The installed plugins, sorted by name.
    pub found: Vec<Found>,
    /// The plugins of which an interrupted or a running operation left something, sorted, each once. A sweep removes
    /// it.
    pub left: Vec<PluginName>,
}

/// A plugin's directory, and its receipt if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The plugin's name.
    pub name: PluginName,
    /// The plugin's directory.
    pub path: PathBuf,
    /// The receipt's content, or a sentence that says why it cannot be read.
    pub receipt: Result<Option<Vec<u8>>, String>,
}

/// The hashes of an installed plugin's files, and its receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// The files that exist now.
    pub tree: Tree,
    /// The paths of what is neither a file nor a directory, or has a name that no archive could give it.
    pub others: Vec<String>,
    /// Whether this operating system knows which files are executable. If it does not, `tree` marks none.
    pub tells_executables: bool,
    /// The receipt's content.
    pub receipt: Option<Vec<u8>>,
}

impl fmt::Debug for PluginOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Look(name) => write!(f, "LookForPlugin({name})"),
            Self::Lock(name) => write!(f, "LockPlugin({name})"),
            Self::Sweep(name) => write!(f, "SweepPlugin({name})"),
            Self::Commit(StageId(id), durability) => write!(f, "CommitPlugin({id}, {durability:?})"),
            Self::Discard(StageId(id)) => write!(f, "DiscardPlugin({id})"),
            Self::WriteReceipt(name, bytes, durability) => {
                write!(f, "WriteReceipt({name}, {} bytes, {durability:?})", bytes.len())
            }
            Self::Setup(name, plan) => write!(f, "SetUpPlugin({name}, {:?})", plan.timeout),
            Self::List => f.write_str("ListPlugins"),
            Self::Hash(name) => write!(f, "HashPlugin({name})"),
            Self::Remove(name) => write!(f, "RemovePlugin({name})"),
        }
    }
}

impl fmt::Debug for PluginResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Looked { exists } => write!(f, "Looked(exists: {exists})"),
            Self::Locked(LockId(id)) => write!(f, "Locked({id})"),
            Self::Swept(Swept { restored, removed, .. }) => write!(f, "Swept({removed} removed, restored: {restored})"),
            Self::Committed(Committed { replaced, .. }) => write!(f, "Committed(replaced: {replaced})"),
            Self::Discarded => f.write_str("Discarded"),
            Self::ReceiptWritten => f.write_str("ReceiptWritten"),
            Self::SetUp(outcome) => write!(f, "SetUp({outcome:?})"),
            Self::Listed(listed) => write!(f, "Listed({} plugins)", listed.found.len()),
            Self::Hashed(hashed) => write!(f, "Hashed(found: {})", hashed.is_some()),
            Self::Removed { existed } => write!(f, "Removed(existed: {existed})"),
        }
    }
}
