//! The host's acts on plugins, as a flow asks for them. They are short: each is finished, whether the caller is there or not.

use molecule_proto::PluginName;

use crate::effect::plugin::{Hashed, Listed, PluginOp, PluginResult, Swept};
use crate::effect::{Fault, HostOp, HostResult, LockId};
use crate::error::{Error, Result};
use crate::flow::Line;

/// Returns whether there is anything of a plugin.
pub(super) async fn look(line: &Line, name: &PluginName) -> Result<bool> {
    let looked = act(line, "look for the plugin", PluginOp::Look(name.clone()), |result| match result {
        PluginResult::Looked { exists } => Some(exists),
        _ => None,
    });
    looked.await.map_err(during(line))
}

/// Tries once to take a plugin's lock.
pub(super) async fn lock(line: &Line, name: &PluginName) -> Result<LockId, Fault> {
    let locked = act(line, "take the plugin's lock", PluginOp::Lock(name.clone()), |result| match result {
        PluginResult::Locked(lock) => Some(lock),
        _ => None,
    });
    locked.await
}

/// Clears away what an interrupted act left of a plugin.
pub(super) async fn sweep(line: &Line, name: &PluginName) -> Result<Swept> {
    let swept = act(line, "sweep", PluginOp::Sweep(name.clone()), |result| match result {
        PluginResult::Swept(swept) => Some(swept),
        _ => None,
    });
    swept.await.map_err(during(line))
}

/// Looks at all that is installed.
pub(super) async fn list(line: &Line) -> Result<Listed> {
    let listed = act(line, "list the plugins", PluginOp::List, |result| match result {
        PluginResult::Listed(listed) => Some(listed),
        _ => None,
    });
    listed.await.map_err(during(line))
}

/// Hashes an installed plugin; `None` where it is not installed.
pub(super) async fn hash(line: &Line, name: &PluginName) -> Result<Option<Hashed>> {
    let hashed = act(line, "hash the plugin", PluginOp::Hash(name.clone()), |result| match result {
        PluginResult::Hashed(hashed) => Some(hashed),
        _ => None,
    });
    hashed.await.map_err(during(line))
}

/// Removes a plugin and its receipt. Returns whether it was there.
pub(super) async fn remove(line: &Line, name: &PluginName) -> Result<bool> {
    let removed = act(line, "remove the plugin", PluginOp::Remove(name.clone()), |result| match result {
        PluginResult::Removed { existed } => Some(existed),
        _ => None,
    });
    removed.await.map_err(during(line))
}

/// `read`: the result of this act.
async fn act<T>(
    line: &Line,
    label: &'static str,
    op: PluginOp,
    read: fn(PluginResult) -> Option<T>,
) -> Result<T, Fault> {
    Ok(read_result(line.host_to_the_end(label, HostOp::Plugin(op)).await?, read))
}

fn read_result<T>(result: HostResult, read: fn(PluginResult) -> Option<T>) -> T {
    let result = if let HostResult::Plugin(result) = result { read(result) } else { None };
    result.expect("a flow takes the results that fit the act alone")
}

fn during(line: &Line) -> impl Fn(Fault) -> Error {
    let operation = line.operation();
    move |fault| Error::from_fault(operation, fault)
}
