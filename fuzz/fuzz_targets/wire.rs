//! Decodes arbitrary bytes as each wire type: a value that decodes also encodes, and decodes again to the same value.
//! The reader of strangers' JSON repairs and bounds every body, and changes nothing that a strict reader accepts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use molecule_proto::form::{FormEvent, FormReader};
use molecule_proto::{
    A2aAnswer, A2aRefusal, ActivityRow, AgentCard, ConnectionAnswer, CreateWorkspace, CreatedWorkspace, DelegateAnswer,
    DelegationRow, ErrorBody, EventReader, HeartbeatAnswer, HeartbeatRequest, Message, MintedToken, Peer, PluginName,
    QueueItem, QueuedAnswer, RegisterAnswer, RegisterRequest, RemovedWorkspace, Reply, Rows, RpcAnswer, RpcRequest,
    StateAnswer, Task, TokenList, UnixTime, WorkspaceId, WorkspaceView, json,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn round_trip<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        let text = serde_json::to_vec(&value).expect("what was read can be written");
        let again: T = serde_json::from_slice(&text).expect("what was written can be read");
        assert_eq!(value, again);
    }
}

/// How many levels a value has.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn strangers(bytes: &[u8]) {
    let strict = serde_json::from_slice::<Value>(bytes);
    let read = json::read::<Value>(bytes);
    if let Ok(value) = &read {
        assert!(depth(value) <= json::MAX_DEPTH);
        // A repaired value is valid JSON, and reads as the same value again.
        let text = serde_json::to_vec(value).expect("what was read can be written");
        assert_eq!(json::read::<Value>(&text).as_ref(), Ok(value));
    }
    if let Ok(strict) = strict
        && depth(&strict) <= json::MAX_DEPTH
        && !strict.to_string().contains("$serde_json::private::")
    {
        assert_eq!(read.as_ref(), Ok(&strict), "sound JSON is read as it is");
    }
    if let Ok(Value::Array(list)) = read {
        let rows = json::rows::<Value>(bytes).expect("it is a list");
        assert_eq!((rows.rows, rows.skipped), (list, 0));
    }
    // Each row is either read or counted as skipped.
    if let Ok(peers) = json::rows::<Peer>(bytes) {
        let all = json::rows::<Value>(bytes).expect("it is a list").rows.len();
        assert_eq!(peers.rows.len() + peers.skipped, all);
    }
    let _ = WorkspaceView::read(bytes);
    assert!(json::excerpt(bytes).len() <= 3 * bytes.len());
    if let A2aAnswer::Replied(answer) = A2aAnswer::read(bytes) {
        assert_eq!(answer.reply(), answer.into_reply());
    }
}

/// An event stream has the same events in pieces of any size, and one that is cut at the limit is an event all the same.
fn events(bytes: &[u8]) {
    let size = usize::from(bytes.first().copied().unwrap_or_default()) + 1;
    let (mut whole, mut pieces) = (EventReader::new(64), EventReader::new(64));
    let mut events = whole.push(bytes);
    events.extend(whole.finish());
    let mut in_pieces: Vec<_> = bytes.chunks(size).flat_map(|piece| pieces.push(piece)).collect();
    in_pieces.extend(pieces.finish());
    assert_eq!(events, in_pieces);
}

/// What a form says, read in pieces of this size: its events, with the contents of each part joined.
fn form(bytes: &[u8], size: usize) -> Option<Vec<FormEvent>> {
    let kind = http::HeaderValue::from_static("multipart/form-data; boundary=x");
    let headers = http::HeaderMap::from_iter([(http::header::CONTENT_TYPE, kind)]);
    let mut form = FormReader::of(&headers).expect("it announces a form");
    let (mut events, mut content) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(size) {
        form.push(piece);
        while let Some(event) = form.read().ok()? {
            match event {
                FormEvent::Content(bytes) => content.extend_from_slice(&bytes),
                FormEvent::Over => return Some(events),
                event => {
                    events.push(FormEvent::Content(std::mem::take(&mut content).into()));
                    events.push(event);
                }
            }
        }
    }
    None
}

/// A form is the same in pieces of any size, unless it is refused for what may still come.
fn forms(bytes: &[u8]) {
    let whole = form(bytes, bytes.len().max(1));
    for size in [1, 3, 64] {
        assert_eq!(form(bytes, size), whole, "in pieces of {size}");
    }
}

fuzz_target!(|bytes: &[u8]| {
    strangers(bytes);
    events(bytes);
    forms(bytes);
    round_trip::<AgentCard>(bytes);
    round_trip::<ConnectionAnswer>(bytes);
    round_trip::<CreateWorkspace>(bytes);
    round_trip::<CreatedWorkspace>(bytes);
    round_trip::<ErrorBody>(bytes);
    round_trip::<HeartbeatAnswer>(bytes);
    round_trip::<HeartbeatRequest>(bytes);
    round_trip::<MintedToken>(bytes);
    round_trip::<RegisterAnswer>(bytes);
    round_trip::<RegisterRequest>(bytes);
    round_trip::<RemovedWorkspace>(bytes);
    round_trip::<StateAnswer>(bytes);
    round_trip::<TokenList>(bytes);
    round_trip::<WorkspaceView>(bytes);
    round_trip::<RpcRequest>(bytes);
    round_trip::<RpcAnswer>(bytes);
    round_trip::<Message>(bytes);
    round_trip::<Task>(bytes);
    round_trip::<Reply>(bytes);
    round_trip::<A2aRefusal>(bytes);
    round_trip::<QueuedAnswer>(bytes);
    round_trip::<QueueItem>(bytes);
    round_trip::<DelegateAnswer>(bytes);
    round_trip::<DelegationRow>(bytes);
    round_trip::<ActivityRow>(bytes);
    round_trip::<Peer>(bytes);
    // A list that was read can be written.
    if let Ok(rows) = serde_json::from_slice::<Rows<ActivityRow>>(bytes) {
        serde_json::to_vec(&rows).expect("what was read can be written");
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(id) = text.parse::<WorkspaceId>() {
            assert!(!molecule_proto::path::state(&id).contains(".."));
            assert_eq!(molecule_proto::path::state(&id).matches('/').count(), 3);
        }
        if let Ok(name) = text.parse::<PluginName>() {
            assert!(!name.as_str().contains(['/', '\\', '\0']) && name.as_str() != "." && name.as_str() != "..");
        }
        if let Ok(time) = text.parse::<UnixTime>() {
            assert_eq!(time.to_string().parse::<UnixTime>().expect("what was written can be read"), time);
        }
    }
});
