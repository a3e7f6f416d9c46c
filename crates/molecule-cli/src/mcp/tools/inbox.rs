//! Tools about messages that came.

use std::time::Duration;

use molecule_async::core::endpoint::{ActivityFeed, ActivityPage};
use molecule_async::core::proto::{A2aAnswer, Message as ProtoMessage, Part};
use molecule_async::{ActivityRow, Dialect, InboundMessage, InboxState, UnixTime, WorkspaceId};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{text, user, why};
use crate::mcp::inbox::{Finished, Standing};
use crate::mcp::member::Member;
use crate::mcp::message::{shape, shape_without_files, writer};
use crate::mcp::options::LONGEST_WAIT;
use crate::mcp::params::Params;
use crate::mcp::server::Server;
use crate::mcp::untrusted::{name, quote};

/// The most messages that `inbox_peek` shows.
const MOST: usize = 100;

/// Waits for a message that was not shown yet. If none comes, one that was shown and is not done is shown again.
pub(super) async fn wait(server: &Server, params: &Params) -> Result<String, String> {
    let secs = params.number("timeout_secs", 60.0, LONGEST_WAIT.as_secs_f64())?;
    let until = Instant::now() + Duration::from_secs_f64(secs);
    let members: Vec<_> = match server.named_member(params, &["workspace_id"])? {
        Some(named) => vec![named.clone()],
        None => server.members.clone(),
    };
    let mut changes: Vec<_> = members.iter().map(|member| member.inbox.changes()).collect();
    let mut closing = server.closing.clone();
    loop {
        let oldest = members.iter().filter(|member| member.inbox.oldest_new().is_some());
        let oldest = oldest.min_by_key(|member| member.inbox.oldest_new());
        if let Some((member, message)) = oldest.and_then(|member| Some((member, member.inbox.show_new()?))) {
            return Ok(text(&shape(member, &message).await));
        }
        let mut changed = JoinSet::new();
        for changes in &mut changes {
            // What changed before this moment was looked at.
            let mut changes = changes.clone();
            changed.spawn(async move { changes.changed().await.is_ok() });
        }
        tokio::select! {
            changed = timeout_at(until, changed.join_next()) => if changed.is_err() { break },
            _ = closing.wait_for(|is_closing| *is_closing) => break,
        }
        for changes in &mut changes {
            changes.mark_unchanged();
        }
    }
    for member in &members {
        if let Some(message) = member.inbox.show_again() {
            let mut again = shape(member, &message).await;
            again["shown_before"] = json!(true);
            return Ok(text(&again));
        }
    }
    let mut answer = json!({ "timeout": true, "timeout_secs": secs });
    let elsewhere: Vec<_> = members.iter().filter_map(|member| note(member, &member.inbox.standing())).collect();
    if !elsewhere.is_empty() {
        answer["note"] = json!(elsewhere.join(" "));
    }
    Ok(text(&answer))
}

/// Says who has the inbox, if it is not this program.
fn note(member: &Member, standing: &Standing) -> Option<String> {
    match standing {
        Standing::Starting | Standing::Here => None,
        Standing::Elsewhere(who) => Some(format!(
            "Workspace {}: another program has the inbox ({who}). This one takes over when that ends.",
            member.id()
        )),
        Standing::Off(why) => Some(format!("Workspace {}: no inbox is held here: {why}.", member.id())),
    }
}

/// Lists the messages that wait. Those that another program holds are only looked at.
pub(super) async fn peek(server: &Server, params: &Params) -> Result<String, String> {
    let limit = params.count("limit", 10, MOST)?;
    let members = match server.named_member(params, &["workspace_id"])? {
        Some(named) => std::slice::from_ref(named),
        None => &server.members[..],
    };
    let (mut messages, mut notes) = (Vec::new(), Vec::new());
    for member in members {
        let standing = member.inbox.known_standing().await;
        match note(member, &standing) {
            None => {
                for message in member.inbox.peek(limit) {
                    messages.push(shape(member, &message).await);
                }
            }
            Some(note) => {
                let held = held_elsewhere(member, limit).await.map_err(|error| format!("{note} {error}"))?;
                messages.extend(held.iter().map(|message| shape_without_files(member, message)));
                notes.push(note);
            }
        }
    }
    messages.truncate(limit);
    if notes.is_empty() {
        return Ok(text(&json!(messages)));
    }
    Ok(text(&json!({ "messages": messages, "note": notes.join(" ") })))
}

/// The messages that another program has still to do, the oldest first. Nothing is taken from it.
async fn held_elsewhere(member: &Member, limit: usize) -> Result<Vec<InboundMessage>, String> {
    let listing = member.agent().inbox_entries().await.map_err(why)?;
    let is_to_do = |state| {
        matches!(state, InboxState::Waiting | InboxState::Running | InboxState::OfferedAgain | InboxState::Retried)
    };
    let entries = listing.entries.into_iter().filter(|entry| is_to_do(entry.state));
    Ok(entries.filter_map(|entry| entry.message).take(limit).collect())
}

/// Says that a message is done. It is no error if it is not held.
pub(super) async fn pop(server: &Server, params: &Params) -> Result<String, String> {
    let id = params.activity("activity_id")?;
    for member in &server.members {
        match member.finish(&id, None).await {
            Some(Finished { is_saved: true, .. }) => return Ok(text(&json!({ "removed": true, "activity_id": id }))),
            Some(Finished { is_saved: false, .. }) => {
                let note = "it could not be saved; the message may come again";
                return Ok(text(&json!({ "removed": true, "activity_id": id, "note": note })));
            }
            None => {}
        }
    }
    let notes: Vec<_> = server.members.iter().map(|member| user::not_held(member)).collect();
    Ok(text(&json!({ "removed": false, "activity_id": id, "note": notes.join("; ") })))
}

/// Lists earlier messages from and to a peer.
pub(super) async fn history(member: &Member, params: &Params) -> Result<String, String> {
    let (peer, limit) = (params.workspace("peer_id")?, params.count("limit", 20, 500)?);
    let before = params.optional_text("before_ts")?;
    let before = before.map(|text| text.trim().parse::<UnixTime>()).transpose();
    let before = before.map_err(|_| "`before_ts` is no time such as 2026-11-22T21:39:47Z".to_owned())?;
    // April's server ignores the peer and the time, so that its newest rows are asked for and looked through.
    let is_april = member.agent().health().dialect == Some(Dialect::April);
    let rows = if is_april { 500 } else { u32::try_from(limit).unwrap_or(500) };
    let mut feed = ActivityFeed::new().peer_id(peer.clone()).limit(rows).peer_info();
    if let Some(before) = before {
        feed = feed.before(before);
    }
    let ActivityPage { rows, .. } = member.agent().send(&feed).await.map_err(why)?;
    let is_of_peer = |row: &ActivityRow| row.source_id.as_ref() == Some(&peer) || row.target_id.as_ref() == Some(&peer);
    let is_before = |row: &ActivityRow| before.is_none_or(|before| row.created_at < before);
    let mut rows: Vec<_> = rows.into_iter().filter(|row| is_of_peer(row) && is_before(row)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.created_at));
    rows.truncate(limit);
    let shown: Vec<_> = rows.into_iter().rev().map(|row| exchange(member.id(), &peer, row)).collect();
    Ok(text(&json!(shown)))
}

/// A row as JSON: who wrote to whom, and what both said.
fn exchange(own: &WorkspaceId, peer: &WorkspaceId, row: ActivityRow) -> Value {
    let is_own = row.source_id.as_ref() == Some(own);
    let mut shape = json!({
        "activity_id": row.id,
        "created_at": row.created_at,
        "from": if is_own { "this workspace" } else { "the peer" },
        "method": row.method.as_deref().map(name),
        "status": name(&row.status),
    });
    let who = format!("peer {peer}");
    let asked = row.request_body.as_ref().and_then(said_in);
    let answered = row.response_body.as_ref().and_then(answered_in);
    if is_own {
        shape["text"] = json!(asked);
        shape["answer"] = json!(answered.map(|text| quote(&who, &text)));
        return shape;
    }
    shape["answer"] = json!(answered);
    let message = InboundMessage::read(row, own);
    shape["text"] = json!(match &message {
        Some(message) => Some(quote(&writer(message.sender()), &message.text())),
        None => asked.map(|text| quote(&who, &text)),
    });
    shape
}

/// The text of a request to an agent, or of a delegated task.
fn said_in(body: &Value) -> Option<String> {
    if let Some(task) = body.get("task").and_then(Value::as_str) {
        return Some(task.to_owned());
    }
    let message = ProtoMessage::try_from(body.pointer("/params/message")?.clone()).ok()?;
    Some(message.parts.iter().filter_map(Part::as_text).collect::<Vec<_>>().join("\n"))
}

/// The text of an agent's answer, or of a delegation's result.
fn answered_in(body: &Value) -> Option<String> {
    if let Some(text) = body.get("text").and_then(Value::as_str) {
        return Some(text.to_owned()).filter(|text| !text.is_empty());
    }
    match A2aAnswer::read(body.to_string().as_bytes()) {
        A2aAnswer::Replied(answer) => {
            let text = answer.reply()?.texts().join("\n");
            Some(text).filter(|text| !text.is_empty())
        }
        _ => None,
    }
}
