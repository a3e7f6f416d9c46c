//! The list of installed plugins.

use std::path::PathBuf;
use std::time::Duration;

use molecule_plugin::{Receipt, TreeDigest};
use molecule_proto::{PluginName, UnixTime};
use serde::Serialize;

use super::acts;
use super::lock::take_lock;
use crate::effect::plugin::Found;
use crate::error::Result;
use crate::event::Event;
use crate::flow::{Flow, Line, machine_of_flow};
use crate::printable::line;

const OPERATION: &str = "list plugins";

/// An installed plugin, as its receipt describes it. Without a good receipt only its name and path are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InstalledPlugin {
    /// The plugin's name.
    pub name: PluginName,
    /// The plugin's directory.
    pub path: PathBuf,
    /// The version that its manifest stated.
    pub version: Option<String>,
    /// The source from which the platform fetched the plugin.
    pub source: Option<String>,
    /// The SHA-256 of its tree when it was installed.
    pub tree_sha256: Option<TreeDigest>,
    /// When it was installed.
    pub installed_at: Option<UnixTime>,
    /// The state of the receipt.
    pub receipt: ReceiptState,
}

/// The state of a plugin's receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReceiptState {
    /// The receipt exists and is valid.
    Good,
    /// The plugin has no receipt: another program put it there, or its install was interrupted.
    Missing,
    /// The receipt cannot be read or is not valid; a [`Warning`](Event::Warning) said why.
    Unreadable,
}

impl InstalledPlugin {
    /// Returns what is known of a plugin, and a sentence about the fault of its receipt, if it has one.
    fn of(found: Found) -> (Self, Option<String>) {
        let name = &found.name;
        let (receipt, state, wrong) = match found.receipt {
            Ok(Some(bytes)) => match Receipt::read(name, &bytes) {
                Some(receipt) => (Some(receipt), ReceiptState::Good, None),
                None => {
                    (None, ReceiptState::Unreadable, Some("it makes no sense; install the plugin again".to_owned()))
                }
            },
            Ok(None) => (None, ReceiptState::Missing, None),
            Err(why) => (None, ReceiptState::Unreadable, Some(why)),
        };
        let wrong =
            wrong.map(|why| format!("nothing is known of the plugin {name} but its place, for its receipt: {why}"));
        let (receipt, tree) = receipt.unzip();
        // An earlier release or another program may have written the receipt.
        let shown = |text: fn(&Receipt) -> Option<&str>| receipt.as_ref().and_then(text).map(line);
        let (version, source) = (shown(Receipt::version), shown(Receipt::source));
        let installed_at = receipt.as_ref().map(Receipt::installed_at);
        let plugin = Self {
            name: found.name,
            path: found.path,
            version,
            source,
            tree_sha256: tree.map(|tree| tree.digest()),
            installed_at,
            receipt: state,
        };
        (plugin, wrong)
    }
}

/// Lists the installed plugins, sorted by name. It first removes what interrupted installs left, unless an install of
/// the same plugin is running. A receipt that cannot be read is a [`Warning`](Event::Warning) and hides no plugin.
///
/// The operations are short: after a cancel, the one in flight is finished.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct ListPlugins(Flow<Result<Vec<InstalledPlugin>>>);

impl ListPlugins {
    /// Makes a list of the installed plugins.
    pub fn new() -> Self {
        Self(Flow::new(OPERATION, |line| async move { list(&line).await }))
    }
}

machine_of_flow!(ListPlugins, Result<Vec<InstalledPlugin>>);

async fn list(line: &Line) -> Result<Vec<InstalledPlugin>> {
    let mut listed = acts::list(line).await?;
    if !listed.left.is_empty() {
        tidy(line, &listed.left).await?;
        listed = acts::list(line).await?;
    }
    let (plugins, wrong): (_, Vec<_>) = listed.found.into_iter().map(InstalledPlugin::of).unzip();
    wrong.into_iter().flatten().for_each(|why| line.tell(Event::Warning(why)));
    Ok(plugins)
}

/// Removes what interrupted operations left of these plugins, each under its lock.
async fn tidy(line: &Line, left: &[PluginName]) -> Result<()> {
    for name in left.iter().rev() {
        line.check()?;
        // If the lock is held or cannot be taken, the plugin stays as it is.
        if let Ok(lock) = take_lock(line, name, Duration::ZERO).await {
            // The next install removes what could not be removed now, or says why not.
            let _ = acts::sweep(line, name).await;
            lock.give_back().await;
        }
    }
    Ok(line.check()?)
}

impl Default for ListPlugins {
    fn default() -> Self {
        Self::new()
    }
}
