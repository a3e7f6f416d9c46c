//! A reply that the application gives by itself: to a message that its handler put off, or beside any loop.

use std::time::Duration;

use molecule_proto::{ActivityId, ActivityType};

use super::journal::{Damaged, Journal};
use super::message::InboundMessage;
use super::orders::submit;
use super::outbox::{OutgoingReply, ReplyKey};
use super::reply::Reply;
use super::reply_handle::ReplyHandle;
use super::reply_key::reply_ids;
use super::send_reply::SendReply;
use super::sender::Sender;
use super::stored_reply::StoredReply;
use crate::call::Call;
use crate::effect::Slot;
use crate::endpoint::ActivityFeed;
use crate::error::{Error, ErrorKind, Result};
use crate::event::ReplyEnd;
use crate::flow::{Flow, Line, Parting, machine_of_flow};

const OPERATION: &str = "reply";

/// The most rows in which a message is looked for that is known by its id alone.
const ROWS: u32 = 500;

/// Sends the reply to a message: through `POST /workspaces/:id/a2a` to a peer, by `POST /workspaces/:self/notify` to
/// people.
///
/// A message has one reply, number 0, whoever sends it: the loop for the handler, or this machine. To a peer every send of
/// it has the same id, in any process, and the platform keeps the first. A notice has no id: it is sent again only if the
/// feed shows that it did not arrive.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct ReplyTo(Flow<Result<ReplyEnd>>);

impl ReplyTo {
    /// Makes the reply to this message.
    ///
    /// # Errors
    /// `Config` if the reply is empty or cannot be sent.
    pub fn new(message: impl Into<ReplyHandle>, reply: impl Into<Reply>) -> Result<Self> {
        let (handle, reply) = (message.into(), reply.into());
        check(&reply).map_err(|error| error.during(OPERATION))?;
        Ok(Self(Flow::new(OPERATION, move |line| async move {
            reply_to(&line, handle, reply).await.map_err(|error| error.during(OPERATION))
        })))
    }
}

machine_of_flow!(ReplyTo, Result<ReplyEnd>);

fn check(reply: &Reply) -> Result<()> {
    if reply.is_none() {
        return Err(Error::config("there is nothing to say", "give the reply a text, a part or a file"));
    }
    reply.check()
}

async fn reply_to(line: &Line, handle: ReplyHandle, reply: Reply) -> Result<ReplyEnd> {
    line.check()?;
    let (row, address) = handle.take();
    let address = match address {
        Some(address) => address,
        None => find(line, &row).await?,
    };
    let reply = line.with(|cx| address.with(cx.now.unix, reply));
    if let Some(why) = reply.refusal() {
        return Err(Error::config(why, "write to the peer with call_peer, or to the user with notify"));
    }
    let ids = reply_ids(line).await?;
    let is_to_peer = matches!(reply.to, Sender::Peer { .. });
    let reply = OutgoingReply::stored(&ids, ReplyKey { row: row.clone(), n: 0 }, reply, None);
    let send = line.with(|cx| {
        let timeouts = cx.session.config().timeouts;
        let limit: Duration = if is_to_peer { timeouts.peer } else { timeouts.call };
        SendReply::new(cx, reply, cx.now.mono + limit)
    });
    let end = line.run("send the reply", send, Parting::give_up()).await?;
    end_later(line, row, &end).await;
    Ok(end)
}

/// Records that a message needs no reply any more that its handler put off. Where that is not possible now, the next loop
/// of this process does.
async fn end_later(line: &Line, row: ActivityId, end: &ReplyEnd) {
    line.with(|cx| cx.session.orders.replied(row.clone(), end.clone()));
    if line.with(|cx| cx.session.has_loop()) {
        return;
    }
    if let Ok(Some(_)) = find_later(line, &row).await {
        let _ = submit(line).await;
    } else {
        line.with(|cx| cx.session.orders.replied.retain(|(replied, _)| *replied != row));
    }
}

/// Finds in the journal where the reply to a message goes whose handler put it off.
async fn find_later(line: &Line, id: &ActivityId) -> Result<Option<StoredReply>> {
    let stored =
        line.load("load the inbox", Slot::Inbox).await?.map_err(|fault| Error::from_fault(OPERATION, fault))?;
    let Some(stored) = stored else { return Ok(None) };
    let id = id.clone();
    let read = move || Journal::read(&stored.bytes).unwrap_or_else(Damaged::salvaged).later(&id).cloned();
    line.decode("read the inbox", read).await?.map_err(|fault| Error::from_fault(OPERATION, fault))
}

/// Finds where the reply to a message goes that is known by its id alone: in the journal, if its handler put the reply
/// off, or among the newest rows of the feed.
async fn find(line: &Line, id: &ActivityId) -> Result<StoredReply> {
    if let Some(address) = find_later(line, id).await? {
        return Ok(address);
    }
    let feed = ActivityFeed::new().activity_type(ActivityType::A2aReceive).limit(ROWS);
    let page = line.run("look for the message", Call::new(feed), Parting::give_up()).await?;
    let own = line.with(|cx| cx.session.workspace_id().clone());
    let row = page.rows.into_iter().find(|row| row.id == *id);
    let message = row.and_then(|row| InboundMessage::read(row, &own)).ok_or_else(|| {
        let cause = format!("message {id} is not put off, and not among the newest {ROWS} rows of the feed");
        Error::new(ErrorKind::NotFound, OPERATION, cause)
            .remedy("check the id, or reply with the message itself or its handle")
    })?;
    Ok(line.with(|cx| StoredReply::new(cx.now.unix, &message, Reply::none())))
}
