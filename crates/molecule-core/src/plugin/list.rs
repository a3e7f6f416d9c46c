//! What is installed.

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

/// An installed plugin, as its receipt tells; all but its name and place are unknown where there is no good one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InstalledPlugin {
    /// Its name.
    pub name: PluginName,
    /// Where it is.
    pub path: PathBuf,
    /// The version that its manifest stated.
    pub version: Option<String>,
    /// Where the platform took it from.
    pub source: Option<String>,
    /// The SHA-256 of its tree when it was installed.
    pub tree_sha256: Option<TreeDigest>,
    /// When it was installed.
    pub installed_at: Option<UnixTime>,
    /// What became of the receipt itself.
    pub receipt: ReceiptState,
}

/// What there is of a plugin's receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReceiptState {
    /// It is there and makes sense.
    Good,
    /// There is none: somebody else put the plugin there, or its install was interrupted.
    Missing,
    /// It cannot be read, or makes no sense; a [`Warning`](Event::Warning) said why.
    Unreadable,
}

impl InstalledPlugin {
    /// What is known of a plugin that was found, and what is wrong with its receipt, in a sentence.
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
        // An earlier release, or somebody else, may have written it.
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

/// Looks at what is installed, sorted by name. What interrupted installs left is cleared away first, unless an install of the
/// same plugin is under way. A receipt that cannot be read is a [`Warning`](Event::Warning), and hides no plugin.
///
/// A look is short: what is under way when it is cancelled is finished.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct ListPlugins(Flow<Result<Vec<InstalledPlugin>>>);

impl ListPlugins {
    /// A look.
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

/// Clears away what was left of these plugins, each under its lock.
async fn tidy(line: &Line, left: &[PluginName]) -> Result<()> {
    for name in left.iter().rev() {
        line.check()?;
        // A lock that somebody else holds, or that cannot be had, leaves the plugin as it is.
        if let Ok(lock) = take_lock(line, name, Duration::ZERO).await {
            // What could not be cleared away is left for the next install, which says why.
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
