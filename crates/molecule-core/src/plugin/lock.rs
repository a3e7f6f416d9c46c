//! A plugin's lock, and the wait for it while another holder has it.

use std::time::Duration;

use molecule_proto::{PluginName, Wake};

use super::acts;
use crate::effect::FaultKind;
use crate::error::{Error, Result};
use crate::flow::{Line, LockGuard};

/// The time between two tries to take a lock that is held, since the host has no queue for it.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Takes the lock of a plugin within the time `wait`.
///
/// If the caller cancels during a try, the try is finished, and a lock that it took is returned all the same. No other
/// try follows.
///
/// # Errors
/// `Locked` if another holder had the lock all that time, `Cancelled`, or the host's error.
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
