//! Loads the token from the store, once for each session.

use crate::effect::Slot;
use crate::error::{Error, Result};
use crate::flow::Line;
use crate::session::credential::{Credential, Persistence, read_token};

/// How a stored text that is not a token is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damaged {
    /// It is an error: the text may be the only copy of a token.
    Fails,
    /// It counts as no token: the caller gets a new one.
    IsNone,
}

/// Loads the token, unless the session has already done so.
pub(crate) async fn load_token(line: &Line, operation: &'static str, damaged: Damaged) -> Result<()> {
    if !line.with(|cx| matches!(cx.session.credential(), Credential::Unread)) {
        return Ok(());
    }
    let loaded = line.load("load the token", Slot::Token).await?;
    let stored = loaded.map_err(|fault| Error::from_fault(operation, fault))?;
    let token = match stored.map(|stored| read_token(operation, &stored)).transpose() {
        Ok(token) => token,
        Err(_) if damaged == Damaged::IsNone => None,
        Err(error) => return Err(error),
    };
    line.with(|cx| match token {
        Some(token) if cx.session.held().is_none() => {
            cx.session.hold(token, Persistence::Stored);
        }
        // Another call of the session has loaded or minted a token meanwhile, which is newer.
        Some(_) => {}
        None => cx.session.set_missing(),
    });
    Ok(())
}
