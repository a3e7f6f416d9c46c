//! The host's operations on plugins, as functions for flows. All except the script are short, and are finished although
//! the caller cancels.

use molecule_proto::PluginName;

use super::order::Order;
use crate::effect::durability::Durability;
use crate::effect::plugin::{Committed, Hashed, Listed, PluginOp, PluginResult, SetupPlan, StageId, Swept};
use crate::effect::setup::SetupOutcome;
use crate::effect::{Fault, HostOp, HostResult, LockId};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::flow::{Cancelled, Line};

/// Takes the only kind of result that answers an operation.
macro_rules! only {
    ($result:pat => $value:expr) => {
        |result| match result {
            $result => Some($value),
            _ => None,
        }
    };
}

/// Returns whether anything of a plugin exists.
pub(super) async fn look(line: &Line, name: &PluginName) -> Result<bool> {
    let op = PluginOp::Look(name.clone());
    act(line, "look for the plugin", op, only!(PluginResult::Looked { exists } => exists)).await.map_err(failed(line))
}

/// Tries once to take a plugin's lock.
pub(super) async fn lock(line: &Line, name: &PluginName) -> Result<LockId, Fault> {
    act(line, "take the plugin's lock", PluginOp::Lock(name.clone()), only!(PluginResult::Locked(lock) => lock)).await
}

/// Removes what an interrupted operation left of a plugin.
pub(super) async fn sweep(line: &Line, name: &PluginName) -> Result<Swept> {
    let op = PluginOp::Sweep(name.clone());
    act(line, "sweep", op, only!(PluginResult::Swept(swept) => swept)).await.map_err(failed(line))
}

/// Swaps a staging directory in.
pub(super) async fn commit(line: &Line, stage: StageId, durability: Durability) -> Result<Committed, Fault> {
    let op = PluginOp::Commit(stage, durability);
    act(line, "swap the plugin in", op, only!(PluginResult::Committed(committed) => committed)).await
}

/// Removes a staging directory.
pub(super) async fn discard(line: &Line, stage: StageId) -> Result<()> {
    let op = PluginOp::Discard(stage);
    act(line, "discard the stage", op, only!(PluginResult::Discarded => ())).await.map_err(failed(line))
}

/// Writes the receipt of a plugin that is in its place.
pub(super) async fn write_receipt(line: &Line, order: &Order, receipt: Vec<u8>) -> Result<()> {
    let op = PluginOp::WriteReceipt(order.name.clone(), receipt, order.durability);
    act(line, "write the receipt", op, only!(PluginResult::ReceiptWritten => ())).await.map_err(failed(line))
}

/// Runs a plugin's script, and reports the event when it starts. If the caller cancels, the script is told to end, and
/// its outcome is awaited.
///
/// # Errors
/// `Cancelled` if the caller cancelled before the script was started.
pub(super) async fn set_up(
    line: &Line,
    name: &PluginName,
    plan: &SetupPlan,
    begun: Event,
) -> Result<Result<SetupOutcome>, Cancelled> {
    let op = HostOp::Plugin(PluginOp::Setup(name.clone(), plan.clone()));
    let ran = line.host_until_told("run the script", op, begun).await?;
    Ok(ran.map(|result| read(result, only!(PluginResult::SetUp(outcome) => outcome))).map_err(failed(line)))
}

/// Lists the installed plugins.
pub(super) async fn list(line: &Line) -> Result<Listed> {
    let op = PluginOp::List;
    act(line, "list the plugins", op, only!(PluginResult::Listed(listed) => listed)).await.map_err(failed(line))
}

/// Hashes an installed plugin; `None` if it is not installed.
pub(super) async fn hash(line: &Line, name: &PluginName) -> Result<Option<Hashed>> {
    let op = PluginOp::Hash(name.clone());
    act(line, "hash the plugin", op, only!(PluginResult::Hashed(hashed) => hashed)).await.map_err(failed(line))
}

/// Removes a plugin and its receipt. Returns whether it was there.
pub(super) async fn remove(line: &Line, name: &PluginName) -> Result<bool> {
    let op = PluginOp::Remove(name.clone());
    act(line, "remove the plugin", op, only!(PluginResult::Removed { existed } => existed)).await.map_err(failed(line))
}

async fn act<T>(
    line: &Line,
    label: &'static str,
    op: PluginOp,
    only: fn(PluginResult) -> Option<T>,
) -> Result<T, Fault> {
    Ok(read(line.host_to_the_end(label, HostOp::Plugin(op)).await?, only))
}

fn read<T>(result: HostResult, only: fn(PluginResult) -> Option<T>) -> T {
    let result = if let HostResult::Plugin(result) = result { only(result) } else { None };
    result.expect("a flow takes the results that fit the act alone")
}

fn failed(line: &Line) -> impl Fn(Fault) -> Error {
    let operation = line.operation();
    move |fault| Error::from_fault(operation, fault)
}
