//! What a row of the feed is to the agent: the one place that tells every form of row apart (contract sections 12.3 and
//! 12.5; April 6.1).

use molecule_proto::{ActivityId, ActivityRow, ActivityType, MESSAGE_SEND, UnixTime, WorkspaceId, json};
use serde_json::{Map, Value};

use super::attachment::Attachment;
use super::message::InboundMessage;
use super::plain::PlainRequest;
use super::row::{MESSAGE_ID, message, message_id, message_metadata, request_metadata, text_of};
use super::sender::{GITHUB, PlatformKind, Sender, short};

/// What a row of the feed is to the agent.
#[derive(Debug)]
pub(crate) enum Form {
    /// A message for the handler.
    Message(InboundMessage),
    /// A file that a person uploaded. It belongs to the message whose part names its URI; if there is none, it is the
    /// message that stands beside it.
    Upload(Attachment, InboundMessage),
    /// The platform's copy of a `notify` of this workspace: the proof that it arrived.
    Notice,
    /// Nothing for the agent; the text says why.
    Skipped(#[allow(dead_code)] &'static str), // For tests, and for whoever prints it.
}

impl InboundMessage {
    /// Reads a row of the feed of the workspace `own`, as the agent's loop does; `None` if the row is no message for a
    /// handler. A file that was uploaded is a message of its own here, also if the agent uploaded it.
    ///
    /// ```
    /// use molecule_core::{InboundMessage, Sender};
    /// use molecule_core::proto::{ActivityRow, json};
    ///
    /// let own = "9f39ce87-2726-40d6-bb91-05eb57b17ef2".parse()?;
    /// let row: ActivityRow = json::read(br#"{
    ///     "id": "c7d4e792-6bae-4ad6-ad93-6668a9d9b687", "workspace_id": "9f39ce87-2726-40d6-bb91-05eb57b17ef2",
    ///     "activity_type": "a2a_receive", "method": "message/send", "status": "ok", "seq": 7,
    ///     "source_id": "7fda77bf-a467-441c-9fab-7d8aba8e6040", "created_at": "2026-11-22T21:39:47.380292Z",
    ///     "request_body": {"jsonrpc": "2.0", "method": "message/send",
    ///                      "params": {"message": {"messageId": "m-1", "parts": [{"kind": "text", "text": "hello"}]}}}
    /// }"#)?;
    /// let message = InboundMessage::read(row, &own).ok_or("no message")?;
    /// assert_eq!(message.text(), "hello");
    /// assert!(matches!(message.sender(), Sender::Peer { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(row: ActivityRow, own: &WorkspaceId) -> Option<Self> {
        match read(row, own, &|_| false) {
            Form::Message(message) | Form::Upload(_, message) => Some(message),
            Form::Notice | Form::Skipped(_) => None,
        }
    }
}

/// Where a pushed message comes from, as far as it is known.
#[derive(Debug)]
pub(crate) enum Origin {
    /// The feed's row of the same message.
    Row(Box<ActivityRow>),
    /// A direct peer, by its own token.
    Peer(WorkspaceId),
    /// The feed has no row of it, or was not asked. On the current server only what the platform itself calls with has none.
    Nowhere,
}

/// The request of a message that was pushed.
pub(crate) enum PushedRequest {
    Plain(Box<PlainRequest>),
    /// Any other.
    Values(Value),
}

/// Makes a message of the request that was pushed to the workspace `own`; `None` if the agent sent it itself.
///
/// A pushed body names no sender, and everything in it is a claim of whoever wrote it (contract section 10.1). So a
/// person is known by the feed's row alone, and so is a peer that does not call directly.
pub(crate) fn pushed(
    request: PushedRequest,
    origin: Origin,
    own: &WorkspaceId,
    id: ActivityId,
    at: UnixTime,
) -> Option<InboundMessage> {
    let (row, peer) = match origin {
        Origin::Row(row) => (Some(row), None),
        Origin::Peer(peer) => (None, Some(peer)),
        Origin::Nowhere => (None, None),
    };
    let source = peer.or_else(|| row.as_ref()?.source_id.clone());
    let of_row = |text: fn(&ActivityRow) -> Option<&str>| row.as_deref().and_then(text).map(short);
    let sender = match &source {
        Some(id) if id == own => return None,
        Some(id) => Sender::Peer {
            id: id.clone(),
            name: of_row(|row| row.peer_name.as_deref()),
            role: of_row(|row| row.peer_role.as_deref()),
        },
        None => match request.without_source() {
            Sender::User if row.is_none() => Sender::Unknown,
            sender => sender,
        },
    };
    let (id, at) = row.as_ref().map_or((id, at), |row| (row.id.clone(), row.created_at));
    let pushed = Pushed { row, source, own: own.clone() };
    Some(match request {
        PushedRequest::Plain(request) => InboundMessage::from_plain_push(*request, pushed, id, at, sender),
        PushedRequest::Values(request) => InboundMessage::from_push(pushed.row(id, at, request), sender),
    })
}

/// Where a message was pushed to, and what is known of its sender.
#[derive(Clone)]
pub(crate) struct Pushed {
    row: Option<Box<ActivityRow>>,
    source: Option<WorkspaceId>,
    own: WorkspaceId,
}

impl Pushed {
    /// The row of the message with this request.
    pub(super) fn row(&self, id: ActivityId, at: UnixTime, request: Value) -> ActivityRow {
        let row = self.row.as_deref().cloned();
        let mut row = row.unwrap_or_else(|| ActivityRow::new(id, self.own.clone(), ActivityType::A2aReceive, at));
        (row.method, row.target_id) = (Some(MESSAGE_SEND.to_owned()), Some(self.own.clone()));
        (row.source_id, row.request_body, row.response_body) = (self.source.clone(), Some(request), None);
        row
    }
}

impl PushedRequest {
    fn without_source(&self) -> Sender {
        match self {
            Self::Plain(request) => {
                without_source(Some(&request.metadata), Some(&request.message_metadata), &request.message_id)
            }
            Self::Values(request) => {
                let params = request.get("params").and_then(Value::as_object);
                let message = params.and_then(|params| params.get("message")?.as_object());
                let around = params.and_then(|params| params.get("metadata")?.as_object());
                let inside = message.and_then(|message| message.get("metadata")?.as_object());
                let id = message.and_then(|message| text_of(message, MESSAGE_ID));
                without_source(around, inside, id.unwrap_or_default())
            }
        }
    }
}

/// Methods whose request is a message: those of A2A 0.3 and 1.0, and none at all.
const MESSAGES: [&str; 5] = ["message/send", "message/stream", "SendMessage", "SendStreamingMessage", ""];

/// Reads a row of the feed of the workspace `own`. `is_own_file` tells the ids of files that the agent uploaded.
///
/// The order of the questions is the order of their weight: the row's type and method, the sender that the platform
/// verified, and only for rows without one the markers in the body, which anybody can write.
pub(crate) fn read(mut row: ActivityRow, own: &WorkspaceId, is_own_file: &dyn Fn(&str) -> bool) -> Form {
    let is_own = row.source_id.as_ref() == Some(own);
    if row.activity_type == ActivityType::BroadcastReceive {
        return match is_own {
            true => Form::Skipped("the agent's own broadcast"),
            false => {
                Form::Message(InboundMessage::from_row(row, Sender::Platform(PlatformKind::Broadcast), Vec::new()))
            }
        };
    }
    if row.activity_type != ActivityType::A2aReceive {
        return Form::Skipped("a row of a type that is no message");
    }
    unpack(&mut row);
    // The proxy writes `jsonrpc` into every call. Callers choose their method, so that a call may look like a row of the
    // platform's own, but for this key.
    let is_call = request(&row).is_some_and(|request| request.contains_key("jsonrpc"));
    match row.method.as_deref().unwrap_or_default() {
        "notify" if row.is_notice() => return Form::Notice,
        "delegate_result" if is_own && !is_call => {
            let sender = Sender::Platform(PlatformKind::DelegationResult);
            return Form::Message(InboundMessage::from_row(row, sender, Vec::new()));
        }
        "chat_upload_receive" if row.source_id.is_none() && !is_call => return upload(row, own, is_own_file),
        _ if is_own => return Form::Skipped("a row of the agent itself"),
        method if !MESSAGES.contains(&method) => return Form::Skipped("a call of a method that has no message"),
        _ if request(&row).is_none() => return Form::Skipped("a call without a request"),
        _ if message(&row).is_none() => return Form::Skipped("a call without a message"),
        _ if row.summary.as_deref().is_some_and(|summary| summary.ends_with(BUSY)) => {
            return Form::Skipped("the second row of a message that waits in the platform's queue");
        }
        _ if is_answered(&row) => return Form::Skipped("a message that was answered when it was pushed"),
        _ => {}
    }
    let sender = match row.source_id.clone() {
        Some(id) => {
            Sender::Peer { id, name: row.peer_name.as_deref().map(short), role: row.peer_role.as_deref().map(short) }
        }
        None => without_source(request_metadata(&row), message_metadata(&row), message_id(&row).unwrap_or_default()),
    };
    Form::Message(InboundMessage::from_row(row, sender, Vec::new()))
}

/// How the summary of a message's second row ends, which the platform writes for a push agent that was busy.
const BUSY: &str = "(queued: target busy)";

/// Replaces a request that stands as a JSON text by what it says. Some servers write it so.
fn unpack(row: &mut ActivityRow) {
    if let Some(Value::String(text)) = &row.request_body
        && let Ok(request @ Value::Object(_)) = json::read(text.as_bytes())
    {
        row.request_body = Some(request);
    }
}

fn request(row: &ActivityRow) -> Option<&Map<String, Value>> {
    row.request_body.as_ref()?.as_object()
}

/// Returns whether a push agent answered the message. A row that came through the platform's queue has the queue's own
/// answer from birth. April's server writes `null` for an empty answer. On the current server an error that is no JSON-RPC, as of an
/// agent that was busy, answers nothing: a person's message that came out of the queue has it in its row, whose status stays `ok`.
fn is_answered(row: &ActivityRow) -> bool {
    let is_queued = |answer: &Value| answer.get("status").and_then(Value::as_str) == Some("queued");
    let is_error =
        |answer: &Value| answer.get("error").is_some_and(Value::is_string) && answer.get("jsonrpc").is_none();
    let is_refusal = |answer: &Value| row.seq.is_some() && is_error(answer);
    row.status != "error"
        && match &row.response_body {
            None => false,
            Some(Value::Null) => row.seq.is_none(),
            Some(answer) => !is_queued(answer) && !is_refusal(answer),
        }
}

fn upload(row: ActivityRow, own: &WorkspaceId, is_own_file: &dyn Fn(&str) -> bool) -> Form {
    let Some(file) = request(&row).and_then(|body| Attachment::of_upload(body, own)) else {
        return Form::Skipped("an upload that names no file of this workspace");
    };
    if file.file_id().is_some_and(|id| is_own_file(id.as_str())) {
        return Form::Skipped("an upload of the agent itself");
    }
    let alone = InboundMessage::from_row(row, Sender::User, vec![file.clone()]);
    Form::Upload(file, alone)
}

/// The sender of a message to which the platform set none: a person, a channel, or the platform itself.
fn without_source(around: Option<&Map<String, Value>>, inside: Option<&Map<String, Value>>, id: &str) -> Sender {
    let text = |fields: Option<&Map<String, Value>>, key: &str| {
        fields.and_then(|fields| fields.get(key)).and_then(Value::as_str).map(str::to_owned)
    };
    let source = text(around, "source");
    // The platform writes this itself, over what was sent.
    if source.as_deref() == Some("canvas_user") {
        return Sender::User;
    }
    let source_type = text(around, "source_type").or_else(|| text(inside, "source_type"));
    let is_self = source_type.as_deref().is_some_and(|source_type| source_type.starts_with("self-"));
    if is_self || [&source, &text(inside, "source")].into_iter().any(|source| source.as_deref() == Some("platform")) {
        return Sender::Platform(platform_kind(inside, source_type));
    }
    let has = |key: &str| around.is_some_and(|around| around.contains_key(key));
    if source.is_none() && around.and_then(|around| around.get("source")).is_some_and(|source| !source.is_null()) {
        return Sender::Unknown;
    }
    let channel = id.strip_prefix("channel-").and_then(|rest| rest.split_once('-')).map(|(kind, _)| kind);
    match (source, channel) {
        (Some(source), Some(_)) => return Sender::Channel(short(&source)),
        (Some(source), None) if source == GITHUB || has("channel_id") || has("chat_id") => {
            return Sender::Channel(short(&source));
        }
        (None, Some(kind)) if !kind.is_empty() => return Sender::Channel(short(kind)),
        _ => {}
    }
    by_id(id).map_or(Sender::User, Sender::Platform)
}

/// The kind of a platform's message that says what it is.
fn platform_kind(inside: Option<&Map<String, Value>>, source_type: Option<String>) -> PlatformKind {
    let stated = inside.and_then(|inside| inside.get("kind")).and_then(Value::as_str);
    let flag = |key: &str| inside.is_some_and(|inside| inside.get(key) == Some(&Value::Bool(true)));
    match (stated, source_type.as_deref()) {
        (Some("inbox_nudge"), _) | (None, Some("self-nudge")) => PlatformKind::InboxNudge,
        (Some("stall_probe"), _) | (None, Some("self-stall")) => PlatformKind::StallProbe,
        (Some("restart_context"), _) | (None, Some("self-restart-context")) => PlatformKind::RestartContext,
        (Some("first_boot_greeting"), _) | (None, Some("self-first-boot-greet")) => PlatformKind::FirstBootGreeting,
        (None, _) if flag("restart_context") => PlatformKind::RestartContext,
        (None, _) if flag("first_boot_greeting") => PlatformKind::FirstBootGreeting,
        (stated, source_type) => PlatformKind::Other(short(stated.or(source_type).unwrap_or("platform"))),
    }
}

/// The kind of a platform's message that says nothing of itself, by the id that the platform gave it.
fn by_id(id: &str) -> Option<PlatformKind> {
    const PREFIXES: [(&str, PlatformKind); 4] = [
        ("request-responded:", PlatformKind::RequestResponded),
        ("request-message:", PlatformKind::RequestMessage),
        ("inbox-nudge-", PlatformKind::InboxNudge),
        ("stall-probe-", PlatformKind::StallProbe),
    ];
    if is_schedule(id) {
        return Some(PlatformKind::Schedule);
    }
    PREFIXES.into_iter().find(|(prefix, _)| id.starts_with(prefix)).map(|(_, kind)| kind)
}

/// `cron-`, eight characters of the schedule's id, `-`, eight hexadecimal digits.
fn is_schedule(id: &str) -> bool {
    let hex = |text: &str| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    id.strip_prefix("cron-").and_then(|rest| rest.split_once('-')).is_some_and(|(one, other)| hex(one) && hex(other))
}

#[cfg(test)]
mod tests;
