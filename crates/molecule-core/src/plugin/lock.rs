//! A plugin's lock, and the wait for it while somebody else holds it.

use std::time::Duration;

use molecule_proto::{PluginName, Wake};

use super::acts;
use crate::effect::FaultKind;
use crate::error::{Error, Result};
use crate::flow::{Line, LockGuard};

/// Between two tries to take a lock that is held: the host has no queue for it.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Takes the lock of a plugin, within a time.
///
/// A try that is under way when the caller goes is finished, and a lock that it took is returned all the same; none follows it.
///
/// # Errors
/// `Locked` if somebody else held it all that time, `Cancelled`, or the host's.
pub(super) async fn take_lock(line: &Line, name: &PluginName, wait: Duration) -> Result<LockGuard> {
    let deadline = line.with(|cx| cx.now.mono) + wait;
    loop {
        line.check()?;
        let fault = match acts::lock(line, name).await {
            Ok(lock) => return Ok(line.guard(lock)),
            Err(fault) => fault,
        };
        let is_held = fault.kind == FaultKind::Locked;
        let error = Error::from_fault(line.operation(), fault);
        if !is_held {
            return Err(error);
        }
        line.check()?;
        let at = line.with(|cx| cx.now.mono) + ASK_EVERY;
        if at > deadline {
            return Err(error.retryable(true));
        }
        line.pause("wait for the plugin's lock", Wake { at, why: "ask for the plugin's lock again" }).await?;
    }
}
