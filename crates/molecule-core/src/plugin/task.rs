//! What is done with an installed plugin, under its lock.

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

/// One act on an installed plugin: its lock is taken, what an interrupted act left is cleared away, the act is done, the lock
/// given back. Where there is nothing of such a plugin, nothing is made either, not even a lock.
///
/// The act itself is short: once it is under way, a cancel changes nothing.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct PluginTask<T>(Flow<Result<T>>);

machine_of_flow!(PluginTask<T>, Result<T>);

/// How an installed plugin compares with what was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verification {
    /// Compared with the receipt of its install.
    Compared(TreeDiff),
    /// It has no receipt, or one that makes no sense: somebody else put it there, or an install was interrupted.
    NoReceipt,
}

impl Verification {
    /// Whether every file that was installed is there and as it was. Files that came since do not count against it: a
    /// `setup.sh` may have made them.
    pub fn is_intact(&self) -> bool {
        match self {
            Self::Compared(changes) => changes.changed.is_empty() && changes.missing.is_empty(),
            Self::NoReceipt => false,
        }
    }
}

impl PluginTask<bool> {
    /// Removes a plugin and its receipt; returns whether it was there.
    pub fn uninstall(name: &str) -> Self {
        Self::new("uninstall plugin", name, |line, name| async move { uninstall(&line, &name).await })
    }
}

impl PluginTask<Option<Verification>> {
    /// Compares a plugin with its receipt; `None` where it is not installed. On a disk that can only be read it does so without the
    /// plugin's lock.
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
            // On a disk that can only be read nothing is cleared away.
            let _ = acts::sweep(line, name).await;
            Some(lock)
        }
        // Where no lock can be taken, nobody else takes one to replace the plugin.
        Err(error) if error.kind() == ErrorKind::Storage => None,
        Err(error) => return Err(error),
    };
    let hashed = acts::hash(line, name).await?;
    Ok(hashed.map(|hashed| compare(name, hashed)))
}

/// Returns whether there is anything of the plugin.
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
