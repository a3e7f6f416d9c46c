//! Tools about peers: tasks for them, and who they are.

use std::time::Duration;

use molecule_async::core::proto::{Peer, random_uuid};
use molecule_async::{CallOutcome, Delegation, DelegationView, ErrorKind, Message, PeerCall, WorkspaceId};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{text, why};
use crate::mcp::member::Member;
use crate::mcp::options::LONGEST_WAIT;
use crate::mcp::params::Params;
use crate::mcp::server::Server;
use crate::mcp::untrusted::{name, quote};

/// How long an answer of a peer is waited for, by default.
const WAIT_SECS: f64 = 120.0;

/// How a failed delegation begins, by which agents of the platform know it.
const FAILED: &str = "DELEGATION FAILED";

/// The most delegations in a list.
const MOST_DELEGATIONS: usize = 10;

fn peer_of(member: &Member, params: &Params) -> Result<WorkspaceId, String> {
    let peer = params.workspace("workspace_id")?;
    if peer == *member.id() {
        return Err(format!("{FAILED}: `workspace_id` is this workspace itself; give the id of a peer"));
    }
    Ok(peer)
}

/// Gives a peer a task and waits for its answer: for the one of the call, or else for the peer's message that names the
/// task as what it answers.
pub(super) async fn delegate_task(server: &Server, member: &Member, params: &Params) -> Result<String, String> {
    let (peer, task) = (peer_of(member, params)?, params.text("task")?);
    let limit = params.number("timeout_secs", WAIT_SECS, LONGEST_WAIT.as_secs_f64())?.max(1.0);
    let until = Instant::now() + Duration::from_secs_f64(limit);
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| format!("{FAILED}: no random id can be made: {error}"))?;
    let id = random_uuid(random);
    let call = PeerCall::new(Message::text(task).with_id(&*id)).timeout(Duration::from_secs_f64(limit));
    let outcome = member.agent().call_peer(&peer, call).await.map_err(|error| format!("{FAILED}: {}", why(error)))?;
    let who = format!("peer {peer}");
    match outcome {
        CallOutcome::Replied(reply) => Ok(quote(&who, &reply.texts().join("\n"))),
        CallOutcome::AcceptedForPoll | CallOutcome::AnswerLater | CallOutcome::Queued { .. } => {
            match await_reply(server, member, &peer, &id, until).await {
                Some(answer) => Ok(quote(&who, &answer)),
                None => Ok(format!(
                    "The peer has the task and has not answered within {limit} s. Do not send it again: its answer comes as a message \
                     (wait_for_message)."
                )),
            }
        }
        CallOutcome::DeliveredReplyLost => {
            Ok("The peer has the task, and its answer was empty or was lost.".to_owned())
        }
        other => Err(format!("{FAILED}: {other}")),
    }
}

/// Waits for the message by which a peer answers this one, and says that it is done.
async fn await_reply(server: &Server, member: &Member, peer: &WorkspaceId, id: &str, until: Instant) -> Option<String> {
    let mut changes = member.inbox.changes();
    let mut closing = server.closing.clone();
    let answer = async {
        loop {
            if let Some(answer) = member.inbox.reply_of(peer, id) {
                return Some(answer);
            }
            changes.changed().await.ok()?;
        }
    };
    let answer = tokio::select! {
        answer = timeout_at(until, answer) => answer.ok().flatten()?,
        _ = closing.wait_for(|is_closing| *is_closing) => return None,
    };
    member.finish(answer.id(), None).await;
    Some(answer.text().into_owned())
}

pub(super) async fn delegate_task_async(member: &Member, params: &Params) -> Result<String, String> {
    let (peer, task) = (peer_of(member, params)?, params.text("task")?);
    // Each call has a key of its own, which its resends share: the same task may be given twice.
    let id = member.agent().delegate(&peer, Delegation::new(task)).await;
    let id = id.map_err(|error| format!("{FAILED}: {}", why(error)))?;
    let note = "check_task_status shows what becomes of it; the peer's answer may come as a message, too";
    Ok(text(&json!({ "delegation_id": id, "workspace_id": peer, "status": "delegated", "note": note })))
}

pub(super) async fn check_task_status(member: &Member, params: &Params) -> Result<String, String> {
    let Some(id) = params.optional_text("task_id")? else {
        let all = member.agent().delegations().await.map_err(why)?;
        let shown: Vec<_> = all.iter().take(MOST_DELEGATIONS).map(shape).collect();
        return Ok(text(&json!({ "delegations": shown, "count": all.len() })));
    };
    let id = id.trim();
    match member.agent().delegation(id).await {
        Ok(view) => Ok(text(&shape(&view))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(text(&json!({ "status": "not_found", "delegation_id": id })))
        }
        Err(error) => Err(why(error)),
    }
}

/// A delegation as JSON. What its peer has written is marked.
fn shape(view: &DelegationView) -> Value {
    let mut shape = json!({
        "delegation_id": view.id,
        "status": view.status,
        "workspace_id": view.target_id,
        "created_at": view.created_at,
        "updated_at": view.updated_at,
        "is_over": view.is_over(),
    });
    let who = view.target_id.as_ref().map_or_else(|| "a peer".to_owned(), |id| format!("peer {id}"));
    let said = [("response_preview", view.preview.as_deref()), ("error", view.error.as_deref())];
    for (key, said) in said {
        if let Some(said) = said.filter(|said| !said.is_empty()) {
            shape[key] = json!(quote(&who, said));
        }
    }
    shape
}

/// One line for each peer, with cleaned names.
pub(super) async fn list_peers(member: &Member, params: &Params) -> Result<String, String> {
    let peers = match params.optional_text("q")? {
        Some(q) => member.agent().peers_matching(q).await,
        None => member.agent().peers().await,
    };
    let peers = peers.map_err(why)?;
    if peers.is_empty() {
        return Ok("No peers found.".to_owned());
    }
    Ok(peers.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn line(peer: &Peer) -> String {
    let role = peer.role.as_deref().map(name).filter(|role| !role.is_empty()).unwrap_or_else(|| "-".to_owned());
    let status = name(peer.status.as_str());
    format!("- {} (ID: {}, status: {status}, role: {role})", name(&peer.name), peer.id)
}
