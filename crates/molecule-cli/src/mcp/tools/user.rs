//! Tools by which the agent talks to people, and answers messages.

use molecule_async::{
    CallOutcome, Error, InboundMessage, Message, Notice, OutgoingFile, PeerCall, Reply, ReplyEnd, Sender,
};
use serde_json::{Value, json};

use super::{text, why};
use crate::mcp::endpoints::Broadcast;
use crate::mcp::inbox::{Finished, Standing};
use crate::mcp::member::Member;
use crate::mcp::params::Params;
use crate::mcp::server::Server;

/// Sends a message to the user: one of its own, or the answer to a message, which is done then.
pub(super) async fn send_message(member: &Member, params: &Params) -> Result<String, String> {
    let message = params.text("message")?;
    let files = params.list("attachments").iter().map(file).collect::<Result<Vec<_>, _>>()?;
    if let Some(id) = params.optional_activity("activity_id")? {
        let answered = member.inbox.get(&id).ok_or_else(|| not_held(member))?;
        if !matches!(answered.sender(), Sender::User | Sender::Channel(_)) {
            return Err("the message is not from a person; answer its peer with reply_to_workspace".to_owned());
        }
        let reply = files.into_iter().fold(Reply::text(message), Reply::attach);
        return answer(member, &answered, reply).await;
    }
    let notice = files.into_iter().fold(Notice::new(message), Notice::attach);
    member.agent().notify(notice).await.map_err(why_not_told)?;
    Ok(text(&json!({ "status": "sent" })))
}

/// A file that is sent: a path, or an object with `path`, or with `uri`, and perhaps `name` and `mimeType`.
fn file(value: &Value) -> Result<OutgoingFile, String> {
    let of = |keys: &[&str]| keys.iter().find_map(|key| value.get(*key)?.as_str());
    let file = match (value.as_str().or_else(|| of(&["path"])), of(&["uri"])) {
        (Some(path), _) if std::path::Path::new(path).is_absolute() => OutgoingFile::at(path),
        (Some(_), _) => return Err("a path in `attachments` must be absolute".to_owned()),
        (None, Some(uri)) => OutgoingFile::uri(uri),
        (None, None) => {
            return Err("an entry of `attachments` is neither a path nor an object with path or uri".to_owned());
        }
    };
    let file = of(&["name"]).into_iter().fold(file, OutgoingFile::name);
    Ok(of(&["mimeType", "mime_type"]).into_iter().fold(file, OutgoingFile::mime_type))
}

fn why_not_told(error: Error) -> String {
    match error.server_message() {
        Some("talk_to_user_disabled") => {
            "this workspace may not talk to its user; its owner can allow it on the platform (the ability talk_to_user)"
                .to_owned()
        }
        _ => why(error),
    }
}

/// Answers a peer or a person. The message that it answers is done: the one that is named, or the oldest of that sender that
/// was shown. Without one it is a message of its own.
pub(super) async fn reply(server: &Server, params: &Params) -> Result<String, String> {
    let (said, peer) = (params.text("text")?, params.optional_workspace("peer_id")?);
    if let Some(id) = params.optional_activity("activity_id")? {
        let held = server.members.iter().find_map(|member| Some((member, member.inbox.get(&id)?)));
        let Some((member, message)) = held else {
            return Err(not_held(server.member(params, &["workspace_id"])?));
        };
        return answer(member, &message, Reply::text(said)).await;
    }
    let member = server.member(params, &["workspace_id"])?;
    if let Some(message) = member.inbox.seen_of(peer.as_ref()) {
        return answer(member, &message, Reply::text(said)).await;
    }
    match peer {
        None => {
            member.agent().notify(said).await.map_err(why_not_told)?;
            Ok(text(&json!({ "status": "sent" })))
        }
        Some(peer) if peer == *member.id() => Err("`peer_id` is this workspace itself".to_owned()),
        Some(peer) => {
            let outcome = member.agent().call_peer(&peer, PeerCall::new(Message::text(said))).await;
            match outcome.map_err(why)? {
                CallOutcome::Replied(reply) => {
                    let said = crate::mcp::untrusted::quote(&format!("peer {peer}"), &reply.texts().join("\n"));
                    Ok(text(&json!({ "status": "sent", "answer": said })))
                }
                outcome @ (CallOutcome::Queued { .. }
                | CallOutcome::AcceptedForPoll
                | CallOutcome::AnswerLater
                | CallOutcome::DeliveredReplyLost) => {
                    Ok(text(&json!({ "status": "sent", "detail": outcome.to_string() })))
                }
                outcome => Err(outcome.to_string()),
            }
        }
    }
}

/// Says why a message cannot be answered or popped here.
pub(super) fn not_held(member: &Member) -> String {
    match member.inbox.standing() {
        Standing::Elsewhere(who) => format!("another program has the inbox: {who}"),
        Standing::Off(why) => format!("no inbox is held here: {why}"),
        Standing::Starting | Standing::Here => {
            "no such message waits: it was popped or answered, or the activity_id is another one's".to_owned()
        }
    }
}

/// Answers a message that is held. It is done once that is saved; the reply is sent again until it arrives.
async fn answer(member: &Member, message: &InboundMessage, reply: Reply) -> Result<String, String> {
    if !message.sender().may_be_answered() {
        return Err("nobody reads an answer to this message; call inbox_pop once it is done".to_owned());
    }
    reply.check().map_err(why)?;
    // The coding agent decides whether an exchange goes on.
    let finished = member.finish(message.id(), Some(reply.and_continue())).await;
    let Finished { is_saved, reply } = finished.ok_or_else(|| not_held(member))?;
    let id = message.id();
    if !is_saved {
        return Err(format!(
            "it could not be saved that message {id} is answered; the answer may not be sent, and the message may come again"
        ));
    }
    match reply {
        None => Ok(text(&json!({ "status": "sending", "activity_id": id }))),
        Some(Ok(end @ (ReplyEnd::Delivered | ReplyEnd::Queued))) => {
            Ok(text(&json!({ "status": if end == ReplyEnd::Queued { "queued" } else { "sent" }, "activity_id": id })))
        }
        Some(Ok(end)) => Err(format!("the message is done, and its answer is {end}")),
        Some(Err(why)) => Err(format!("the message is done, and its answer is not sent: {why}")),
    }
}

pub(super) async fn broadcast(member: &Member, params: &Params) -> Result<String, String> {
    let message = params.text("message")?;
    let answer = member.agent().send(&Broadcast { message }).await;
    let answer = answer.map_err(|error| match error.server_message() {
        Some("broadcast_disabled") => {
            "this workspace may not broadcast; its owner can allow it on the platform (the ability broadcast)"
                .to_owned()
        }
        _ => why(error),
    })?;
    Ok(text(&Value::Object(answer)))
}
