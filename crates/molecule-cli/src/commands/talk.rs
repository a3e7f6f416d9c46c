//! Messages to a peer and to the user, and delegations.

use std::path::PathBuf;
use std::time::Duration;

use molecule_async::{Agent, CallOutcome, Delegation, DelegationEnd, Message, Notice, PeerCall};
use serde_json::json;

use super::{done, text_or_stdin};
use crate::exit::{self, Failure};
use crate::output::Output;

/// The result is a [`CallOutcome`].
pub(super) async fn call(
    agent: &Agent,
    (peer, text, timeout): (&str, Option<String>, Option<Duration>),
    output: &Output,
) -> Result<u8, Failure> {
    let mut call = PeerCall::new(Message::text(text_or_stdin(text, "the message")?));
    if let Some(timeout) = timeout {
        call = call.timeout(timeout);
    }
    let outcome = agent.call_peer(peer, call).await?;
    output.result(&outcome, || match &outcome {
        CallOutcome::Replied(reply) => reply.texts().join("\n"),
        other => other.to_string(),
    })?;
    Ok(match outcome {
        CallOutcome::Replied(_)
        | CallOutcome::Queued { .. }
        | CallOutcome::AcceptedForPoll
        | CallOutcome::AnswerLater
        | CallOutcome::DeliveredReplyLost => exit::OK,
        CallOutcome::Busy { .. }
        | CallOutcome::Waking { .. }
        | CallOutcome::NotEnrolled { .. }
        | CallOutcome::Unreachable => exit::TRY_AGAIN,
        _ => exit::ERROR,
    })
}

/// The result is `{"result":"sent"}`.
pub(super) async fn send(
    agent: &Agent,
    text: Option<String>,
    files: Vec<PathBuf>,
    output: &Output,
) -> Result<u8, Failure> {
    let text = match text {
        None if !files.is_empty() => String::new(),
        text => text_or_stdin(text, "the message")?,
    };
    let notice = files.into_iter().fold(Notice::new(text), Notice::attach);
    agent.notify(notice).await?;
    done(output, "sent", "sent")
}

/// The result is the delegation's id; with `--wait` a [`DelegationView`](molecule_async::DelegationView).
pub(super) async fn delegate(
    agent: &Agent,
    (peer, task, key): (&str, Option<String>, Option<String>),
    is_awaited: bool,
    output: &Output,
) -> Result<u8, Failure> {
    let mut delegation = Delegation::new(text_or_stdin(task, "the task")?);
    if let Some(key) = key {
        delegation = delegation.idempotency_key(key);
    }
    let id = agent.delegate(peer, delegation).await?;
    if !is_awaited {
        output.result(&json!({ "delegation_id": id }), || id.to_string())?;
        return Ok(exit::OK);
    }
    output.note(&format!("delegated as {id}"));
    let view = agent.wait_delegation(id.to_string()).await?;
    let end = view.end();
    output.result(&view, || end.as_ref().map(ToString::to_string).unwrap_or_default())?;
    Ok(match end {
        Some(DelegationEnd::Failed(_) | DelegationEnd::PeerError { .. }) | None => exit::ERROR,
        Some(_) => exit::OK,
    })
}
