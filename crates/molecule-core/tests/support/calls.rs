//! Calls of one peer, with its platform and the peer itself.

use molecule_core::machines::CallPeer;
use molecule_core::proto::Reply as PeerReply;
use molecule_core::{CallOutcome, Event, PeerCall, Result};
use serde_json::{Value, json};

use super::agent::{Agent, secret};
use super::answer::{Answer, Reply};
use super::drive::Driven;
use super::platform::{A2A, DISCOVER, PEER, Seen};

/// The URL that the peer published.
pub const URL: &str = "https://peer.example/a2a";

/// A direct request to the peer.
pub const DIRECT: &str = "POST https://peer.example/a2a";

/// An agent that holds a token.
pub fn caller() -> Agent {
    Agent::with(Agent::options().token(secret("first")), 7)
}

/// The platform's answer to a discovery.
pub fn found(url: &str) -> Answer {
    Answer::json(200, json!({"id": PEER, "url": url, "name": "peer"}))
}

/// The result of a call, and all its requests.
pub struct Called {
    pub end: Result<CallOutcome>,
    pub seen: Vec<Seen>,
    pub events: Vec<Event>,
}

impl Called {
    /// The requests in their order.
    pub fn requests(&self) -> Vec<String> {
        self.seen.iter().map(ToString::to_string).collect()
    }

    /// The requests that carried a message.
    pub fn messages(&self) -> Vec<&Seen> {
        self.seen.iter().filter(|seen| seen.is(A2A) || seen.is(DIRECT)).collect()
    }
}

/// Calls the peer; `server` plays the platform and the peer.
pub fn call(agent: &mut Agent, call: impl Into<PeerCall>, mut server: impl FnMut(&Seen) -> Reply) -> Called {
    let mut driven = Driven::new(CallPeer::new(PEER, call).unwrap());
    let mut seen = Vec::new();
    let end = driven.finish(agent, &mut |request: &Seen| {
        seen.push(request.clone());
        server(request)
    });
    Called { end, seen, events: driven.events }
}

/// Calls a peer that has published [`URL`] and answers there with `direct`. The platform relays an answer of its own.
pub fn call_direct(agent: &mut Agent, options: PeerCall, mut direct: impl FnMut() -> Reply) -> Called {
    call(agent, options, |seen| match seen {
        seen if seen.is(DISCOVER) => found(URL).into(),
        seen if seen.is(DIRECT) => direct(),
        seen if seen.is(A2A) => Answer::json(200, super::reply("by the platform")).into(),
        other => panic!("{other}"),
    })
}

/// The outcome as one word with its content.
pub fn word(outcome: &CallOutcome) -> String {
    let wait = outcome.retry_after().map(|wait| format!(" in {} s", wait.as_secs())).unwrap_or_default();
    match outcome {
        CallOutcome::Replied(PeerReply::Message(message)) => {
            format!("message: {}", message.texts().collect::<Vec<_>>().join(" "))
        }
        CallOutcome::Replied(PeerReply::Task(task)) => format!("task: {}", task.texts().collect::<Vec<_>>().join(" ")),
        CallOutcome::Replied(PeerReply::Text(text)) => format!("text: {text}"),
        CallOutcome::Replied(reply) => format!("other: {}", Value::from(reply.clone())),
        CallOutcome::Queued { queue_id, depth } => format!("queued: {queue_id:?} {depth:?}"),
        CallOutcome::AcceptedForPoll => "accepted for poll".to_owned(),
        CallOutcome::AnswerLater => "answer later".to_owned(),
        CallOutcome::DeliveredReplyLost => "delivered, reply lost".to_owned(),
        CallOutcome::Busy { .. } => format!("busy{wait}"),
        CallOutcome::Waking { .. } => format!("waking{wait}"),
        CallOutcome::NotEnrolled { .. } => format!("not enrolled{wait}"),
        CallOutcome::OverBudget => "over budget".to_owned(),
        CallOutcome::Denied { message } => format!("denied: {message}"),
        CallOutcome::NotFound => "not found".to_owned(),
        CallOutcome::NoUrl { status } => format!("no URL: {status:?}"),
        CallOutcome::Unreachable => "unreachable".to_owned(),
        CallOutcome::UnsafeUrl => "unsafe URL".to_owned(),
        CallOutcome::PeerError { code, status, message, data } => {
            let status = status.map(|status| status.as_u16());
            format!("peer error: {code:?} {status:?} {message:?} {data:?}")
        }
        other => panic!("{other:?}"),
    }
}
