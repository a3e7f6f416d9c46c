//! Acts on the directory of an agent's plugins, which `molecule-host` performs.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use molecule_plugin::MAX_RECEIPT_BYTES;
use molecule_plugin::Tree;
use molecule_proto::PluginName;

use crate::effect::setup::SetupOutcome;
use crate::effect::{HostResult, LockId};

/// What of a plugin survives a power cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// Whatever the operating system has written by then: files of a plugin that was just installed may be empty. It can be
    /// fetched again.
    #[default]
    None,
    /// All of it: everything is written to the disk before the plugin is put in its place, and its place before the install
    /// ends.
    Sync,
}

/// An act on the directory of an agent's plugins.
///
/// `Debug` shows lengths, never content.
#[derive(Clone, PartialEq, Eq)]
pub enum PluginOp {
    /// Look whether anything of the plugin is there: itself, its receipt, or what an interrupted act left of it. Makes nothing.
    Look(PluginName),
    /// Take the plugin's lock, without waiting: the fault is `Locked` where it is held. Given back by
    /// [`HostOp::Unlock`](crate::effect::HostOp::Unlock).
    Lock(PluginName),
    /// Remove what an earlier act left, or put an earlier version back that lost its place. The lock is held.
    Sweep(PluginName),
    /// Put a stage in the plugin's place, as a whole, with `Sync` only once its files are on the disk. The lock is held.
    Commit(StageId, Durability),
    /// Remove a stage.
    Discard(StageId),
    /// Replace the plugin's receipt as a whole, with `Sync` so that it and what was committed before survive a power cut.
    WriteReceipt(PluginName, Vec<u8>, Durability),
    /// Run the plugin's `setup.sh`. The lock is held.
    Setup(PluginName, SetupPlan),
    /// Look at what is installed, and at what interrupted acts left.
    List,
    /// Hash what is installed.
    Hash(PluginName),
    /// Remove a plugin and its receipt. The lock is held.
    Remove(PluginName),
}

impl PluginOp {
    /// Which results answer this act.
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

/// The name of a staging directory that holds a whole plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageId(pub u64);

/// How a `setup.sh` is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupPlan {
    /// How long it may take before it is killed.
    pub timeout: Duration,
    /// How many bytes of the end of each of its outputs are kept.
    pub output_bytes: usize,
    /// Names of variables that it sees besides those that every one sees.
    pub env: Vec<String>,
}

impl SetupPlan {
    /// Whether any `setup.sh` may see a variable of this name. None sees what holds credentials of this SDK, nor what makes bash
    /// or the dynamic loader run something else.
    pub fn may_show(name: &str) -> bool {
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        // Windows takes names in any case.
        let upper = name.to_ascii_uppercase();
        let steers = ["BASH_ENV", "ENV", "PYTHONSTARTUP", "SHELLOPTS", "BASHOPTS", "PS4", "IFS"]
            .contains(&upper.as_str())
            || ["LD_", "DYLD_", "BASH_FUNC_"].iter().any(|prefix| upper.starts_with(prefix));
        let secret = upper.starts_with("MOLECULE_") || upper == "ADMIN_TOKEN";
        is_name && !steers && !secret
    }
}

/// What came of an act on the directory of plugins.
///
/// `Debug` shows lengths, never content.
#[derive(Clone, PartialEq, Eq)]
pub enum PluginResult {
    /// Of [`PluginOp::Look`].
    Looked {
        /// Whether there is anything.
        exists: bool,
    },
    /// Of [`PluginOp::Lock`].
    Locked(LockId),
    /// Of [`PluginOp::Sweep`].
    Swept(Swept),
    /// Of [`PluginOp::Commit`].
    Committed(Committed),
    /// Of [`PluginOp::Discard`].
    Discarded,
    /// Of [`PluginOp::WriteReceipt`].
    ReceiptWritten,
    /// Of [`PluginOp::Setup`].
    SetUp(SetupOutcome),
    /// Of [`PluginOp::List`].
    Listed(Listed),
    /// Of [`PluginOp::Hash`]: `None` where no such plugin is installed.
    Hashed(Option<Hashed>),
    /// Of [`PluginOp::Remove`].
    Removed {
        /// Whether there was such a plugin.
        existed: bool,
    },
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Whether an earlier version was put back in its place.
    pub restored: bool,
    /// How many directories of interrupted acts were removed.
    pub removed: u32,
    /// Whether the plugin is in its place now.
    pub installed: bool,
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Whether an earlier version was replaced.
    pub replaced: bool,
    /// Where the plugin is.
    pub path: PathBuf,
}

/// Why a commit failed that could not put the earlier version back: it is whole, in this place. The source of the fault's own
/// source, or that itself; a sweep tries again to put it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Displaced(pub PathBuf);

impl fmt::Display for Displaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the earlier version is whole in {}, and not in its place", self.0.display())
    }
}

impl StdError for Displaced {}

/// What is in the directory of plugins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// What is installed, sorted by name.
    pub found: Vec<Found>,
    /// The plugins of which an interrupted act, or one under way, left something: a sweep tidies them. Sorted, each once.
    pub left: Vec<PluginName>,
}

/// A plugin's directory, and its receipt if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: PluginName,
    /// Where it is.
    pub path: PathBuf,
    /// The receipt's content, or why it cannot be read, in a sentence.
    pub receipt: Result<Option<Vec<u8>>, String>,
}

/// What is installed, hashed, and the receipt of what was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// The files that are there now.
    pub tree: Tree,
    /// What is neither a file nor a directory, or has a name that no archive could give it, by path.
    pub others: Vec<String>,
    /// Whether this system says which files may be executed. Where it does not, `tree` says it of none.
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
