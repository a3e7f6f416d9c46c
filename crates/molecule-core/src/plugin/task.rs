//! Operations on an installed plugin, under its lock.

use std::time::Duration;

use molecule_plugin::{Receipt, TreeDiff};
use molecule_proto::PluginName;
use serde::Serialize;

use super::lock::take_lock;
use super::{acts, order};
use crate::effect::plugin::Hashed;
use crate::error::{ErrorKind, Result};
use crate::flow::{Flow, Line, machine_of_flow};

/// How long to wait while an install of the plugin runs.
const WAIT: Duration = Duration::from_secs(300);

/// One operation on an installed plugin. The machine takes the plugin's lock, removes what an interrupted operation
/// left, performs the operation and releases the lock. If nothing of the plugin exists, nothing is created either, not
/// even a lock.
///
/// The operation is short: once it has started, a cancel does not change it.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct PluginTask<T>(Flow<Result<T>>);

machine_of_flow!(PluginTask<T>, Result<T>);

/// The comparison of an installed plugin with its receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verification {
    /// The plugin was compared with the receipt of its install.
    Compared(TreeDiff),
    /// The plugin has no receipt, or an invalid one: another program put the plugin there, or its install was
    /// interrupted.
    NoReceipt,
}

impl Verification {
    /// Returns whether every installed file exists and is unchanged. Files that were added since do not count: a
    /// `setup.sh` may have made them.
    pub fn is_intact(&self) -> bool {
        match self {
            Self::Compared(changes) => changes.changed.is_empty() && changes.missing.is_empty(),
            Self::NoReceipt => false,
        }
    }
}

impl PluginTask<bool> {
    /// Removes a plugin and its receipt. Returns whether it was installed.
    pub fn uninstall(name: &str) -> Self {
        Self::new("uninstall plugin", name, |line, name| async move { uninstall(&line, &name).await })
    }
}

impl PluginTask<Option<Verification>> {
    /// Compares a plugin with its receipt; `None` if it is not installed. On a read-only disk it needs no lock.
    pub fn verify(name: &str) -> Self {
        Self::new("verify plugin", name, |line, name| async move { verify(&line, &name).await })
    }
}

impl<T> PluginTask<T> {
    fn new<F>(operation: &'static str, name: &str, task: impl FnOnce(Line, PluginName) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let name = order::name(name).map_err(|error| error.during(operation));
        Self(Flow::new(operation, |line| async move { task(line, name?).await }))
    }
}

async fn uninstall(line: &Line, name: &PluginName) -> Result<bool> {
    if !exists(line, name).await? {
        return Ok(false);
    }
    let _lock = take_lock(line, name, WAIT).await?;
    line.check()?;
    acts::sweep(line, name).await?;
    acts::remove(line, name).await
}

async fn verify(line: &Line, name: &PluginName) -> Result<Option<Verification>> {
    if !exists(line, name).await? {
        return Ok(None);
    }
    let _lock = match take_lock(line, name, WAIT).await {
        Ok(lock) => {
            line.check()?;
            // On a read-only disk nothing is removed.
            let _ = acts::sweep(line, name).await;
            Some(lock)
        }
        // If no lock can be taken here, no other process can take one and replace the plugin.
        Err(error) if error.kind() == ErrorKind::Storage => None,
        Err(error) => return Err(error),
    };
    let hashed = acts::hash(line, name).await?;
    Ok(hashed.map(|hashed| compare(name, hashed)))
}

/// Returns whether anything of the plugin exists.
async fn exists(line: &Line, name: &PluginName) -> Result<bool> {
    line.check()?;
    let exists = acts::look(line, name).await?;
    line.check()?;
    Ok(exists)
}

fn compare(name: &PluginName, hashed: Hashed) -> Verification {
    let receipt = hashed.receipt.as_deref().and_then(|bytes| Receipt::read(name, bytes));
    let Some((_, mut installed)) = receipt else { return Verification::NoReceipt };
    if !hashed.tells_executables {
        installed.forget_executables();
    }
    let mut changes = installed.diff(&hashed.tree);
    changes.added.extend(hashed.others);
    changes.added.sort();
    Verification::Compared(changes)
}
