//! The key of the replies' ids in the store.

use super::reply_id::ReplyIds;
use crate::effect::{Fault, HostOp, HostResult, Slot};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::flow::Line;
use crate::life::load_token::{Damaged, load_token};

/// Loads the key of the replies' ids. At the first need it makes the key and stores it: a reply that is sent again by
/// another process must have the same id.
///
/// # Errors
/// `Storage` if the store cannot be read, and `Cancelled`.
pub(super) async fn reply_ids(line: &Line) -> Result<ReplyIds> {
    let (ids, fault) = stored_reply_ids(line).await?;
    if let Some(fault) = fault {
        let error = Error::from_fault(line.operation(), fault);
        line.tell(Event::Warning(format!(
            "the key of the replies' ids could not be stored, so a reply that is sent again after a restart may arrive \
             twice: {}",
            error.cause()
        )));
    }
    Ok(ids)
}

/// Does the same, and returns why a new key could not be stored, if it could not.
pub(super) async fn stored_reply_ids(line: &Line) -> Result<(ReplyIds, Option<Fault>)> {
    if let Some(ids) = load(line).await? {
        return Ok((ids, None));
    }
    // Two calls of one agent must not make two keys.
    let turn = line.turn("make the key of replies").await?;
    if let Some(ids) = load(line).await? {
        return Ok((ids, None));
    }
    load_token(line, line.operation(), Damaged::IsNone).await?;
    let ids = line.with(|cx| {
        let (bearer, workspace) = (cx.session.bearer().cloned(), cx.session.workspace_id().clone());
        ReplyIds::new(&mut cx.session.rng, bearer.as_ref(), &workspace)
    });
    let saved = line.host_to_the_end("save the key of replies", HostOp::Replace(Slot::ReplyKey, ids.content())).await;
    drop(turn);
    Ok((ids, saved.err()))
}

/// Loads the key. Content that is no key is set aside.
async fn load(line: &Line) -> Result<Option<ReplyIds>> {
    let loaded = line.load("load the key of replies", Slot::ReplyKey).await?;
    let stored = loaded.map_err(|fault| Error::from_fault(line.operation(), fault))?;
    let Some(stored) = stored else { return Ok(None) };
    let workspace = line.with(|cx| cx.session.workspace_id().clone());
    if let Some(ids) = ReplyIds::stored(&stored.bytes, &workspace) {
        return Ok(Some(ids));
    }
    let aside = line.host("set the key of replies aside", HostOp::SetAside(Slot::ReplyKey)).await?;
    let place = match aside.map_err(|fault| Error::from_fault(line.operation(), fault))? {
        HostResult::SetAside(place) => place,
        _ => unreachable!("a slot that is set aside is answered by its new place"),
    };
    line.tell(Event::Warning(format!(
        "the key of the replies' ids at {} is damaged and is kept as {place}: a reply that was being sent may arrive twice",
        stored.place
    )));
    Ok(None)
}
