//! Loads the inbound secret from the store, once for each session, and those that it has replaced.

use molecule_proto::InboundSecret;

use crate::effect::{Slot, Stored};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Cancelled, Line};
use crate::machine::Cx;
use crate::session::credential::InboundState;

const OPERATION: &str = "load the inbound secret";

/// Loads the secret, unless the session has already done so, or an answer has brought one.
///
/// # Errors
/// The outer one if the flow was cancelled; the inner one if the store cannot be read, or holds something else. It then stays
/// unknown whether there is a secret, so that a server takes no call without one.
pub(crate) async fn load_inbound(line: &Line) -> Result<Result<()>, Cancelled> {
    let is_unread = |cx: &mut Cx<'_>| cx.session.inbound_secret == InboundState::Unread;
    if !line.with(is_unread) {
        return Ok(Ok(()));
    }
    let stored = match line.load(OPERATION, Slot::InboundSecret).await? {
        Ok(stored) => stored,
        Err(fault) => return Ok(Err(Error::from_fault(OPERATION, fault))),
    };
    let loaded = match stored.map(|stored| read(&stored)).transpose() {
        Ok(secret) => secret,
        Err(error) => return Ok(Err(error)),
    };
    line.with(|cx| {
        if is_unread(cx) {
            cx.session.inbound_secret = match loaded {
                Some(secret) => InboundState::Held { secret, saved: true },
                None => InboundState::Missing,
            };
        }
    });
    Ok(Ok(()))
}

/// Loads the secrets that an earlier process has replaced, of which some may still be good.
///
/// # Errors
/// The outer one if the flow was cancelled; the inner one if the store cannot be read.
pub(crate) async fn load_replaced(line: &Line) -> Result<Result<()>, Cancelled> {
    let stored = match line.load("load the replaced inbound secrets", Slot::ReplacedSecrets).await? {
        Ok(stored) => stored,
        Err(fault) => return Ok(Err(Error::from_fault(OPERATION, fault))),
    };
    if let Some(stored) = stored {
        line.with(|cx| cx.session.restore_replaced(cx.now, &stored.bytes));
    }
    Ok(Ok(()))
}

fn read(stored: &Stored) -> Result<InboundSecret> {
    let text = std::str::from_utf8(&stored.bytes).ok();
    text.and_then(InboundSecret::new).ok_or_else(|| {
        Error::new(ErrorKind::Storage, OPERATION, format!("what {} holds is no secret", stored.place))
            .remedy("register, which stores the secret again, or delete it")
    })
}
