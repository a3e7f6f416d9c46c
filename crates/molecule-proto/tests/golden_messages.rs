//! Every recorded body of discovery, messages, the queue, delegations and feeds decodes, and encodes back to the same.
//!
//! A message is written with the `kind` that A2A 0.3 requires, which the recorded senders left out.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // The recordings are read from files.

#[allow(dead_code)] // Shared with the other endpoints' test.
#[path = "golden/tally.rs"]
mod tally;

use std::collections::BTreeSet;

use http::StatusCode;
use molecule_proto::{
    A2aAnswer, A2aRefusal, AcceptedAnswer, ActivityAckAnswer, ActivityAckRequest, ActivityRow, CheckAccessAnswer,
    CheckAccessRequest, DelegateAnswer, DelegateRequest, DelegationRow, DiscoverAnswer, ErrorBody, Message,
    NotifyRequest, Peer, PostedAnswer, QueueItem, QueuedAnswer, RecordDelegationRequest, RefusalKind, Reply,
    ReportedDelegation, Rows, RpcAnswer, RpcRequest, SendParams, UpdateDelegationRequest,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use tally::{Expected, Tally};

const RECORDINGS: [&str; 6] = [
    "april-2026.jsonl",
    "april-2026-strict.jsonl",
    "april-2026-tenant.jsonl",
    "current-2026.jsonl",
    "current-2026-strict.jsonl",
    "current-2026-tenant.jsonl",
];

const EXPECTED: &[Expected] = &[
    ("Peer", 57, "id name role tier status url parent_id active_tasks agent_card"),
    ("DiscoverAnswer", 17, "id url name"),
    ("CheckAccessRequest", 10, "caller_id target_id"),
    ("CheckAccessAnswer", 10, "allowed"),
    ("RpcRequest", 313, "jsonrpc id method params"),
    ("Message", 267, "role messageId parts contextId taskId metadata"),
    ("RpcAnswer", 71, "jsonrpc id result error"),
    ("Reply", 69, "kind role messageId parts id contextId status artifacts"),
    ("QueuedAnswer", 9, "queued queue_id queue_depth message"),
    ("AcceptedAnswer", 21, "status delivery_mode method"),
    ("A2aRefusal", 84, "error hint status truncated max_bytes"),
    ("NotJson", 3, ""),
    ("Empty", 4, ""),
    (
        "QueueItem",
        8,
        "queue_id workspace_id status priority attempts enqueued_at dispatched_at completed_at response_body",
    ),
    ("DelegateRequest", 37, "target_id task idempotency_key"),
    ("DelegateAnswer", 37, "delegation_id status target_id idempotent_hit"),
    (
        "DelegationRow",
        91,
        "id type source_id target_id direction summary status created_at delegation_id error response_preview",
    ),
    ("RecordDelegationRequest", 6, "target_id task delegation_id"),
    ("UpdateDelegationRequest", 4, "status error response_preview"),
    ("ReportedDelegation", 10, "delegation_id status"),
    (
        "ActivityRow",
        158,
        "id workspace_id activity_type source_id target_id method summary duration_ms status error_detail created_at seq \
         request_body response_body peer_name peer_role agent_card_url attachments",
    ),
    ("NotifyRequest", 7, "message attachments"),
    ("PostedAnswer", 11, "status"),
    ("ActivityAckRequest", 6, "acked_seq"),
    ("ActivityAckAnswer", 6, "last_acked_seq"),
    ("ErrorBody", 100, "error code hint reason status retryable"),
];

/// The kinds of the recorded refusals of `/a2a`. The last ones are the recorded agent's own.
const REFUSALS: &[(u16, &str, RefusalKind)] = &[
    (200, "agent returned empty response body", RefusalKind::EmptyReply),
    (202, "agent returned empty response body", RefusalKind::EmptyReply),
    (400, "invalid JSON", RefusalKind::BadRequest),
    (400, "invalid params.message.content type", RefusalKind::BadRequest),
    (400, "params.message must contain either 'parts' (v0.3) or 'content' (v0.2 compat)", RefusalKind::BadRequest),
    (401, "caller ID does not match workspace auth token", RefusalKind::NotTheCaller),
    (401, "invalid caller auth token", RefusalKind::InvalidToken),
    (401, "missing caller auth token", RefusalKind::MissingToken),
    (403, "access denied: workspaces cannot communicate per hierarchy rules", RefusalKind::Denied),
    (403, "invalid caller ID", RefusalKind::ReservedCaller),
    (403, "tool call failed", RefusalKind::NotAllowed),
    (413, "request body exceeds 16777216 byte limit: A2A body exceeds size limit", RefusalKind::TooLarge),
    (500, "lookup failed", RefusalKind::Unavailable),
    (502, "failed to reach workspace agent", RefusalKind::Unreachable),
    (502, "workspace URL is not publicly routable", RefusalKind::UnsafeUrl),
    (503, "workspace has no URL", RefusalKind::NoUrl),
    (200, "sorry", RefusalKind::Agent),
    (302, "Found", RefusalKind::Agent),
    (401, "Unauthorized", RefusalKind::Agent),
    (404, "Not Found", RefusalKind::Agent),
    (404, "not here", RefusalKind::Agent),
    (429, "slow down", RefusalKind::Agent),
    (500, "Internal Server Error", RefusalKind::Agent),
    (503, "busy", RefusalKind::Agent),
];

#[test]
fn recorded_bodies_decode_and_encode_back() {
    let mut tally = Tally::default();
    each_line(|place, line| {
        tally.at(place);
        match (line.get("request"), line.get("response")) {
            (Some(request), Some(response)) => exchange(&mut tally, request, response),
            _ => pushed(&mut tally, &line["inbound"]),
        }
    });
    tally.judge(EXPECTED);
}

#[test]
fn recorded_refusals_are_told_apart() {
    let mut met = BTreeSet::new();
    each_line(|_, line| {
        let Some(response) = line.get("response") else { return };
        let path = line["request"]["path"].as_str().unwrap();
        let status = response["status"].as_u64().unwrap();
        if path.ends_with("/a2a")
            && let Ok(status) = StatusCode::from_u16(u16::try_from(status).unwrap())
            && let A2aAnswer::Refused(refusal) = A2aAnswer::read(response["body"].to_string().as_bytes())
        {
            met.insert((status.as_u16(), refusal.error.clone(), refusal.kind(status)));
        }
    });
    let expected = REFUSALS.iter().map(|(status, text, kind)| (*status, (*text).to_owned(), *kind));
    assert_eq!(met, expected.collect());
}

fn each_line(mut see: impl FnMut(String, &Value)) {
    for file in RECORDINGS {
        let path = format!("{}/../../fixtures/corpus/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        for (index, line) in text.lines().enumerate() {
            see(format!("{file} line {}", index + 1), &serde_json::from_str(line).unwrap());
        }
    }
}

fn exchange(tally: &mut Tally, request: &Value, response: &Value) {
    let (method, path) = (request["method"].as_str().unwrap(), request["path"].as_str().unwrap());
    let path = path.split('?').next().unwrap();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (status, body) = (response["status"].as_u64().unwrap(), &response["body"]);
    sent(tally, method, &segments, &request["body"], status);
    let has_no_route = body["_head"] == "404 page not found";
    if let (["workspaces", _, "a2a"] | ["workspaces", _, "a2a", "inbound"], false) = (segments.as_slice(), has_no_route)
    {
        return called(tally, body);
    }
    if body.is_null() || body.get("_bytes").is_some() {
        return;
    }
    match (method, segments.as_slice(), status) {
        ("GET", ["registry", _, "peers"], 200) => rows::<Peer>(tally, "Peer", body),
        ("GET", ["registry", "discover", _], 200) => tally.answer::<DiscoverAnswer>("DiscoverAnswer", body),
        ("POST", ["registry", "check-access"], 200) => tally.answer::<CheckAccessAnswer>("CheckAccessAnswer", body),
        ("GET", ["workspaces", _, "a2a", "queue", _], 200) => tally.answer::<QueueItem>("QueueItem", body),
        ("POST", ["workspaces", _, "delegate"], 200 | 202) => tally.answer::<DelegateAnswer>("DelegateAnswer", body),
        ("GET", ["workspaces", _, "delegations"], 200) => rows::<DelegationRow>(tally, "DelegationRow", body),
        ("POST", ["workspaces", _, "delegations", ..], 200 | 202) => {
            tally.answer::<ReportedDelegation>("ReportedDelegation", body);
        }
        ("GET", ["workspaces", _, "activity"], 200) => rows::<ActivityRow>(tally, "ActivityRow", body),
        ("POST", ["workspaces", _, "activity" | "notify"], 200) => tally.answer::<PostedAnswer>("PostedAnswer", body),
        ("POST", ["workspaces", _, "activity", "ack"], 200) => {
            tally.answer::<ActivityAckAnswer>("ActivityAckAnswer", body);
        }
        (_, segments, 400..) if is_typed(segments) => tally.answer::<ErrorBody>("ErrorBody", body),
        (_, segments, _) if is_typed(segments) => tally.fail(format!("{method} {path} {status} has no type")),
        (_, _, _) => {}
    }
}

/// Counts a list; no row may be skipped.
fn rows<T: Serialize + DeserializeOwned>(tally: &mut Tally, name: &'static str, body: &Value) {
    let list: Rows<T> = serde_json::from_value(body.clone()).unwrap();
    if list.skipped > 0 {
        tally.fail(format!("{} rows of {name} were left out", list.skipped));
    }
    body.as_array().unwrap().iter().for_each(|row| tally.answer::<T>(name, row));
}

/// Counts an answer of `/a2a`, at any status.
fn called(tally: &mut Tally, body: &Value) {
    let text = match body.get("_head") {
        Some(head) => head.as_str().unwrap().to_owned(),
        None if body.is_null() => String::new(),
        None => body.to_string(),
    };
    match A2aAnswer::read(text.as_bytes()) {
        A2aAnswer::Replied(answer) => {
            tally.answer::<RpcAnswer>("RpcAnswer", body);
            if let Some(reply) = answer.reply() {
                tally.answer::<Reply>("Reply", &body["result"]);
                if matches!(reply, Reply::Other(_)) {
                    tally.fail(format!("{} is neither message nor task", body["result"]));
                }
            }
        }
        A2aAnswer::Queued(_) => tally.answer::<QueuedAnswer>("QueuedAnswer", body),
        A2aAnswer::Accepted(_) => tally.answer::<AcceptedAnswer>("AcceptedAnswer", body),
        A2aAnswer::Refused(_) => tally.answer::<A2aRefusal>("A2aRefusal", body),
        A2aAnswer::NotJson => tally.count("NotJson", body),
        A2aAnswer::Empty => tally.count("Empty", body),
        other => tally.fail(format!("{body} is told as {other:?}")),
    }
}

/// Counts the body of a request whose route has a request type, if the server could read it.
fn sent(tally: &mut Tally, method: &str, segments: &[&str], sent: &Value, status: u64) {
    if method != "POST" || !sent.is_object() || sent.get("_bytes").is_some() {
        return;
    }
    match segments {
        ["workspaces", _, "a2a"] | ["workspaces", _, "a2a", "inbound"] => request(tally, sent),
        _ if status >= 300 => {}
        ["registry", "check-access"] => tally.request::<CheckAccessRequest>("CheckAccessRequest", sent),
        ["workspaces", _, "delegate"] => tally.request::<DelegateRequest>("DelegateRequest", sent),
        ["workspaces", _, "delegations", "record"] => {
            tally.request::<RecordDelegationRequest>("RecordDelegationRequest", sent);
        }
        ["workspaces", _, "delegations", _, "update"] => {
            tally.request::<UpdateDelegationRequest>("UpdateDelegationRequest", sent);
        }
        ["workspaces", _, "notify"] => tally.request::<NotifyRequest>("NotifyRequest", sent),
        ["workspaces", _, "activity", "ack"] => tally.request::<ActivityAckRequest>("ActivityAckRequest", sent),
        _ => {}
    }
}

/// Counts a message that a push agent received. Other calls to it have other bodies.
fn pushed(tally: &mut Tally, inbound: &Value) {
    if inbound["body"].get("jsonrpc").is_some() {
        request(tally, &inbound["body"]);
    }
}

/// Counts a JSON-RPC request and its message. A message in the form of A2A 0.3 is written as it was read; any other
/// reads again as it was written.
fn request(tally: &mut Tally, body: &Value) {
    tally.answer::<RpcRequest>("RpcRequest", body);
    let request: RpcRequest = serde_json::from_value(body.clone()).unwrap();
    let Some(params) = request.send_params() else {
        if body.pointer("/params/message").is_some() {
            tally.fail(format!("no message is read in {body}"));
        }
        return;
    };
    if serde_json::from_value::<SendParams>(Value::from(params.clone())).ok() != Some(params.clone()) {
        tally.fail(format!("{params:?} is written so that it reads otherwise"));
    }
    let message = &body["params"]["message"];
    let has_kinds = |parts: &Vec<Value>| parts.iter().all(|part| part.get("kind").is_some());
    if message.get("role").is_some() && message["parts"].as_array().is_some_and(has_kinds) {
        let mut strict = message.clone();
        strict["kind"] = json!("message");
        let mut known = strict.clone();
        let listed = ["kind", "role", "messageId", "parts", "contextId", "taskId", "metadata"];
        known.as_object_mut().unwrap().retain(|key, _| listed.contains(&key.as_str()));
        tally.round::<Message>("Message", &strict, &known, |message| message.extra.clear());
    }
}

/// Whether this route's answers have types.
fn is_typed(segments: &[&str]) -> bool {
    matches!(
        segments,
        ["registry", "discover", _]
            | ["registry", _, "peers"]
            | ["registry", "check-access"]
            | ["workspaces", _, "a2a", "queue", _]
            | ["workspaces", _, "delegate" | "delegations" | "activity" | "notify"]
            | ["workspaces", _, "delegations" | "activity", ..]
    )
}
