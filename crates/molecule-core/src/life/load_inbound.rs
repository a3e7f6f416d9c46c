//! Loads the inbound secret from the store, once for each session.

use molecule_proto::InboundSecret;

use crate::effect::Slot;
use crate::error::{Error, Result};
use crate::flow::{Cancelled, Flow, Line, machine_of_flow};
use crate::machine::Cx;
use crate::session::credential::InboundState;

const OPERATION: &str = "load the inbound secret";

/// Loads the inbound secret from the store, if that was not done. A server does this before it takes a call, so that it knows
/// after a restart that there is a secret.
///
/// It fails with `Storage` if the store cannot be read.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct LoadInboundSecret(Flow<Result<()>>);

impl LoadInboundSecret {
    /// Makes the machine.
    pub fn new() -> Self {
        Self(Flow::new(OPERATION, |line| async move { load_inbound(&line).await? }))
    }
}

machine_of_flow!(LoadInboundSecret, Result<()>);

impl Default for LoadInboundSecret {
    fn default() -> Self {
        Self::new()
    }
}

/// Loads the secret, unless the session has already done so, or an answer has brought one.
///
/// # Errors
/// The outer one if the flow was cancelled; the inner one if the store cannot be read.
pub(crate) async fn load_inbound(line: &Line) -> Result<Result<()>, Cancelled> {
    let is_unread = |cx: &mut Cx<'_>| cx.session.inbound_secret == InboundState::Unread;
    if !line.with(is_unread) {
        return Ok(Ok(()));
    }
    let stored = match line.load(OPERATION, Slot::InboundSecret).await? {
        Ok(stored) => stored,
        Err(fault) => return Ok(Err(Error::from_fault(OPERATION, fault))),
    };
    line.with(|cx| {
        let text = stored.as_ref().and_then(|stored| std::str::from_utf8(&stored.bytes).ok());
        if is_unread(cx) {
            cx.session.inbound_secret = match text.and_then(InboundSecret::new) {
                Some(secret) => InboundState::Held { secret, saved: true },
                None => InboundState::Missing,
            };
        }
    });
    Ok(Ok(()))
}
