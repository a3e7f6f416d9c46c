//! A message that reached the agent.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

use molecule_proto::{ActivityId, ActivityRow, ActivityType, Message, Part, TraceParent, UnixTime, json};
use serde_json::{Map, Value};

use super::attachment::Attachment;
use super::form::Pushed;
use super::plain::PlainRequest;
use super::row::{message, message_id, message_metadata, params as request_params, request_metadata, text_of};
use super::sender::{Conversation, GITHUB, Sender};
use crate::session::key::Key;

/// The key of a message's metadata that names the message which it answers.
pub(crate) const IN_REPLY_TO: &str = "molecule.in_reply_to";
/// The key of a message's metadata that counts how many replies led to it.
pub(crate) const HOPS: &str = "molecule.hops";

/// A message that reached the agent: one row of its activity feed (contract section 12).
///
/// It owns its data, and a clone is a reference to the same data. A message comes at least once: after a crash, and
/// after an attempt of the handler that failed, it comes again with the same [`id`](Self::id).
#[derive(Clone)]
pub struct InboundMessage {
    inner: Arc<Inner>,
    attempt: u32,
    cancelled: CancelFlag,
}

#[derive(Clone)]
struct Inner {
    id: ActivityId,
    received_at: UnixTime,
    sender: Sender,
    conversation: Conversation,
    duplicate_key: Option<String>,
    /// The key of every delivery of the message.
    delivery: Option<Key>,
    /// The row, as JSON. A thousand messages may wait for their handler, and as values each would need 4 KiB more. One
    /// that was pushed has it from when somebody asks.
    json: OnceLock<Box<str>>,
    /// The row as values, from when somebody looks into it; one that was pushed and has more than texts has it at once.
    row: OnceLock<Box<ActivityRow>>,
    /// What was pushed, if it has texts alone.
    plain: Option<(PlainRequest, Pushed)>,
    /// Files that came in rows of their own.
    uploads: Vec<Attachment>,
    parts: OnceLock<Vec<Part>>,
    attachments: OnceLock<Vec<Attachment>>,
}

static NO_METADATA: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

impl InboundMessage {
    pub(crate) fn from_row(row: ActivityRow, sender: Sender, uploads: Vec<Attachment>) -> Self {
        let metadata = request_metadata(&row).unwrap_or(&NO_METADATA);
        let inner = Inner {
            id: row.id.clone(),
            received_at: row.created_at,
            conversation: sender.conversation(metadata),
            duplicate_key: duplicate_key(&sender, metadata, message_id(&row)),
            sender,
            delivery: row_delivery_key(&row),
            json: to_json(&row).into(),
            row: OnceLock::new(),
            plain: None,
            parts: OnceLock::new(),
            // The inbox looks for files in every message that waits.
            attachments: read_attachments(&row, &uploads).into(),
            uploads,
        };
        Self { inner: Arc::new(inner), attempt: 1, cancelled: CancelFlag::default() }
    }

    /// Makes the message of a row that was pushed. It is handled at once, so that nothing of it is written as text.
    pub(crate) fn from_push(row: ActivityRow, sender: Sender) -> Self {
        let metadata = request_metadata(&row).unwrap_or(&NO_METADATA);
        let inner = Inner {
            id: row.id.clone(),
            received_at: row.created_at,
            conversation: sender.conversation(metadata),
            duplicate_key: None,
            delivery: None,
            sender,
            json: OnceLock::new(),
            row: Box::new(row).into(),
            plain: None,
            parts: OnceLock::new(),
            attachments: OnceLock::new(),
            uploads: Vec::new(),
        };
        Self { inner: Arc::new(inner), attempt: 1, cancelled: CancelFlag::default() }
    }

    /// Makes the message of a request that was pushed and has texts alone. Its row is built when somebody looks into it.
    pub(crate) fn from_plain_push(
        mut request: PlainRequest,
        pushed: Pushed,
        id: ActivityId,
        received_at: UnixTime,
        sender: Sender,
    ) -> Self {
        let inner = Inner {
            id,
            received_at,
            conversation: sender.conversation(&request.metadata),
            duplicate_key: None,
            delivery: None,
            sender,
            json: OnceLock::new(),
            row: OnceLock::new(),
            parts: std::mem::take(&mut request.parts).into(),
            plain: Some((request, pushed)),
            attachments: Vec::new().into(),
            uploads: Vec::new(),
        };
        Self { inner: Arc::new(inner), attempt: 1, cancelled: CancelFlag::default() }
    }

    /// The id of the message's row in the feed, which no other message of this agent has. A message that was pushed, and
    /// whose row is not known, has an id that is made of its message id.
    pub fn id(&self) -> &ActivityId {
        &self.inner.id
    }

    /// The id that the sender gave the message (`params.message.messageId`).
    pub fn message_id(&self) -> Option<&str> {
        match self.plain() {
            Some(request) => Some(&request.message_id),
            None => message_id(self.raw()),
        }
    }

    /// Who wrote it.
    pub fn sender(&self) -> &Sender {
        &self.inner.sender
    }

    /// The texts of its parts, joined by line feeds; `""` if it has none.
    pub fn text(&self) -> Cow<'_, str> {
        let mut texts = self.parts().iter().filter_map(Part::as_text);
        match (texts.next(), texts.next()) {
            (None, _) => Cow::Borrowed(""),
            (Some(only), None) => Cow::Borrowed(only),
            (Some(first), Some(second)) => {
                Cow::Owned([first, second].into_iter().chain(texts).collect::<Vec<_>>().join("\n"))
            }
        }
    }

    /// Its content, in order. A platform's report that has a text only (a delegation's result, a broadcast) has it as
    /// its one part.
    pub fn parts(&self) -> &[Part] {
        self.inner.parts.get_or_init(|| read_parts(self.raw()))
    }

    /// Its files: the file parts in order, then the uploads of a person that no part names.
    pub fn attachments(&self) -> &[Attachment] {
        self.inner.attachments.get_or_init(|| read_attachments(self.raw(), &self.inner.uploads))
    }

    /// The id of the conversation, if the sender named one. Messages of people to one agent all have the same fixed text
    /// here, unless their client chose another.
    pub fn context_id(&self) -> Option<&str> {
        match self.plain() {
            Some(request) => request.context_id.as_deref(),
            None => text_of(message(self.raw())?, &["contextId", "context_id"]),
        }
    }

    /// The id of the task that it belongs to, if the sender named one.
    pub fn task_id(&self) -> Option<&str> {
        match self.plain() {
            Some(request) => request.task_id.as_deref(),
            None => text_of(message(self.raw())?, &["taskId", "task_id"]),
        }
    }

    /// The id of the delegation that it is, or whose result it is.
    pub fn delegation_id(&self) -> Option<&str> {
        let row = self.raw();
        let bodies = [row.request_body.as_ref(), row.response_body.as_ref()];
        text_of(self.message_metadata(), &["delegation_id"])
            .or_else(|| bodies.into_iter().flatten().find_map(|body| body.get("delegation_id")?.as_str()))
    }

    /// The id of the agent's own message that it answers (`message.metadata["molecule.in_reply_to"]`), as its sender
    /// claims. Senders that do not use this SDK leave it out.
    pub fn in_reply_to(&self) -> Option<&str> {
        text_of(self.message_metadata(), &[IN_REPLY_TO])
    }

    /// How many replies led to it (`message.metadata["molecule.hops"]`), as its sender claims; 0 if it does not say.
    pub fn hops(&self) -> u32 {
        self.message_metadata().get(HOPS).map_or(0, read_hops)
    }

    /// Its position in a trace (`message.metadata.traceparent`), if there is one of the W3C's format.
    pub fn trace_parent(&self) -> Option<TraceParent> {
        text_of(self.message_metadata(), &[TraceParent::KEY])?.parse().ok()
    }

    /// The metadata of the request (`params.metadata`). The platform writes there which person or channel sent it;
    /// peers write there what they like.
    pub fn metadata(&self) -> &Map<String, Value> {
        match self.plain() {
            Some(request) => &request.metadata,
            None => request_metadata(self.raw()).unwrap_or(&NO_METADATA),
        }
    }

    /// The metadata of the message itself (`params.message.metadata`).
    pub fn message_metadata(&self) -> &Map<String, Value> {
        match self.plain() {
            Some(request) => &request.message_metadata,
            None => message_metadata(self.raw()).unwrap_or(&NO_METADATA),
        }
    }

    /// When the platform received it, by the platform's clock.
    pub fn received_at(&self) -> UnixTime {
        self.inner.received_at
    }

    /// Which attempt of the handler this is, counted from 1. An attempt during which the process died counts, too.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Returns whether nobody waits for this attempt any more: the agent was stopped, and the time of
    /// [`InboxOptions::drain`](crate::InboxOptions::drain) has passed. A handler that takes long looks at it now and then,
    /// and returns early. The message is offered again at the next start, whatever this attempt returns.
    ///
    /// For a message that was pushed it is set while no caller waits for the answer, and once a stop waits for it no longer.
    /// What the attempt returns is kept for whoever sends the message again, unless the agent was stopped.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_set()
    }

    /// The row of the feed, with everything that the other methods leave out.
    pub fn raw(&self) -> &ActivityRow {
        self.inner.row.get_or_init(|| {
            if let Some((request, pushed)) = &self.inner.plain {
                return Box::new(pushed.row(self.inner.id.clone(), self.inner.received_at, request.values()));
            }
            // Only a row that the application made itself can be nested so deeply that the strict reader refuses it.
            let row = serde_json::from_str(self.json()).ok().or_else(|| json::read(self.json().as_bytes()).ok());
            row.expect("the row was written by this crate")
        })
    }

    /// The row as JSON.
    pub(crate) fn json(&self) -> &str {
        // A row that is not pushed has it from the start.
        self.inner.json.get_or_init(|| to_json(self.raw()))
    }

    fn plain(&self) -> Option<&PlainRequest> {
        self.inner.plain.as_ref().map(|(request, _)| request)
    }

    /// The same message for an attempt of the handler, with a flag of its own.
    pub(crate) fn for_attempt(&self, attempt: u32) -> (Self, CancelFlag) {
        let cancelled = CancelFlag::default();
        (Self { inner: Arc::clone(&self.inner), attempt, cancelled: cancelled.clone() }, cancelled)
    }

    /// Adds a file that came in a row of its own.
    pub(crate) fn add_upload(&mut self, upload: Attachment) {
        let inner = Arc::make_mut(&mut self.inner);
        inner.uploads.push(upload);
        inner.attachments.take();
    }

    /// The conversation that it belongs to, in which messages are handled one after another.
    pub(crate) fn conversation(&self) -> &Conversation {
        &self.inner.conversation
    }

    /// The key of every delivery of the message, by a push or by the feed; `None` if it has no id.
    pub(crate) fn delivery_key(&self) -> Option<Key> {
        self.inner.delivery
    }

    /// The [duplicate key](Self::duplicate_key) of a message that was pushed, which is not kept.
    pub(crate) fn read_duplicate_key(&self) -> Option<String> {
        duplicate_key(self.sender(), self.metadata(), self.message_id())
    }

    /// A text that every copy of the message has, in whatever row, and no other message; `None` if there is none.
    pub(crate) fn duplicate_key(&self) -> Option<&str> {
        self.inner.duplicate_key.as_deref()
    }
}

fn to_json(row: &ActivityRow) -> Box<str> {
    serde_json::to_string(row).expect("all keys of a row are strings").into()
}

/// The key of every delivery of a row's message.
pub(crate) fn row_delivery_key(row: &ActivityRow) -> Option<Key> {
    delivery_key(request_params(row)?)
}

/// The key of every delivery of the message in these `params`; `None` if it has no id.
///
/// It is made of what the platform tells messages apart by: the message id alone, whoever sends it. Channels count per
/// chat, and a redelivery of a webhook gets a new message id (contract section 12.5).
pub(crate) fn delivery_key(params: &Map<String, Value>) -> Option<Key> {
    let id = text_of(params.get("message")?.as_object()?, &["messageId", "message_id"]);
    key_of_delivery(id, params.get("metadata").and_then(Value::as_object))
}

/// The same by the message's id and the request's metadata.
pub(crate) fn key_of_delivery(id: Option<&str>, around: Option<&Map<String, Value>>) -> Option<Key> {
    let text = |key: &str| around.and_then(|around| around.get(key)).and_then(Value::as_str);
    if text("source") == Some(GITHUB)
        && let Some(delivery) = text("delivery_id")
    {
        return Some(Key::of_pieces(&["delivery/", delivery]));
    }
    match (text("chat_id"), id?) {
        (Some(chat), id) if id.starts_with("channel-") => Some(Key::of_pieces(&["chat/", chat, "/", id])),
        (_, id) => Some(Key::of_pieces(&["message/", id])),
    }
}

/// Senders choose the ids of their messages, so that one sender must not be able to make another's message a duplicate.
/// Channels count per chat. A redelivery of a webhook gets a new message id.
fn duplicate_key(sender: &Sender, metadata: &Map<String, Value>, message_id: Option<&str>) -> Option<String> {
    let text = |key| metadata.get(key).and_then(Value::as_str);
    let (by, id) = match sender {
        Sender::Channel(kind) if kind == GITHUB => (kind.as_str(), text("delivery_id").or(message_id)?),
        Sender::Channel(kind) => (kind.as_str(), message_id?),
        Sender::Peer { id, .. } => (id.as_str(), message_id?),
        Sender::User | Sender::Platform(_) | Sender::Own | Sender::Unknown => ("", message_id?),
    };
    let chat = match sender {
        Sender::Channel(_) => text("chat_id").unwrap_or_default(),
        Sender::User | Sender::Peer { .. } | Sender::Platform(_) | Sender::Own | Sender::Unknown => "",
    };
    let key = format!("{by}/{chat}/{id}");
    (key.len() <= LONGEST_KEY).then_some(key)
}

/// The longest key of a message that is kept, in bytes. A message with a longer one is known by its row alone.
const LONGEST_KEY: usize = 512;

impl fmt::Debug for InboundMessage {
    /// Without the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundMessage")
            .field("id", self.id())
            .field("sender", self.sender())
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// The flag by which a handler learns that nobody waits for it any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Somebody waits again.
    pub(crate) fn unset(&self) {
        self.0.store(false, Ordering::Release);
    }
}

fn read_parts(row: &ActivityRow) -> Vec<Part> {
    if let Some(message) = message(row) {
        return Message::parts_in(message);
    }
    let text = if row.activity_type == ActivityType::BroadcastReceive {
        row.summary.as_deref()
    } else if row.method.as_deref() == Some("delegate_result") {
        let result = row.response_body.as_ref().and_then(|body| body.get("text")?.as_str());
        result.filter(|text| !text.is_empty()).or(row.error_detail.as_deref())
    } else {
        None
    };
    text.map(Part::text).into_iter().collect()
}

/// Copies only the parts that may be files.
fn read_attachments(row: &ActivityRow, uploads: &[Attachment]) -> Vec<Attachment> {
    let own = &row.workspace_id;
    let parts = message(row).and_then(|message| message.get("parts").or_else(|| message.get("content")));
    let parts = match parts {
        Some(Value::Array(parts)) if parts.len() <= Message::MAX_PARTS => parts.as_slice(),
        Some(Value::Array(_)) => &[],
        Some(part) => std::slice::from_ref(part),
        None => &[],
    };
    let mut files: Vec<Attachment> = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        if part.is_object() && part.get("text").is_none_or(|text| !text.is_string()) {
            files.extend(Attachment::of_part(&Part::from(part.clone()), at, own));
        }
    }
    let listed = row.attachments.iter().flatten().filter_map(|listed| Attachment::of_row(listed, own));
    listed.chain(uploads.iter().cloned()).for_each(|file| file.join(&mut files));
    files
}

/// A count that somebody wrote as a number of whatever kind, or as a text.
fn read_hops(count: &Value) -> u32 {
    let count = match count {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    // A number too large is the largest; a negative one is 0.
    count.map_or(0, |count| count as u32)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::inbox::sender::PlatformKind;

    const OWN: &str = "27c43b89-c027-4481-ad5d-a381dbcc943c";
    const FILE: &str = "8d096e41-9bfe-400b-9790-79ddf76e3267";

    fn message(sender: Sender, id: &str, around: Value) -> InboundMessage {
        let mut row = ActivityRow::new(
            OWN.parse().unwrap(),
            OWN.parse().unwrap(),
            ActivityType::A2aReceive,
            UnixTime::from_secs(1_795_383_587),
        );
        let uri = format!("platform-pending:{OWN}/{FILE}");
        let parts = json!([{"kind": "file", "file": {"uri": uri}}]);
        row.request_body = Some(json!({"params": {"message": {"messageId": id, "parts": parts}, "metadata": around}}));
        InboundMessage::from_row(row, sender, Vec::new())
    }

    fn peer(digit: &str) -> Sender {
        Sender::Peer { id: OWN.replace('2', digit).parse().unwrap(), name: None, role: None }
    }

    #[test]
    fn a_duplicate_is_the_same_message_of_the_same_sender_in_the_same_chat() {
        let channel = || Sender::Channel("telegram".to_owned());
        let github = || Sender::Channel(GITHUB.to_owned());
        let key = |sender, id, around| message(sender, id, around).duplicate_key().map(str::to_owned);
        let same = [
            (key(Sender::User, "m", json!({})), key(Sender::User, "m", json!({"chat_id": "1"}))),
            (key(peer("3"), "m", json!({"a": 1})), key(peer("3"), "m", json!({}))),
            (
                key(channel(), "m", json!({"chat_id": "1"})),
                key(channel(), "m", json!({"chat_id": "1", "history": [1]})),
            ),
            (key(github(), "m", json!({"delivery_id": "d"})), key(github(), "n", json!({"delivery_id": "d"}))),
        ];
        for (one, other) in same {
            assert!(one.is_some() && one == other, "{one:?} {other:?}");
        }
        let different = [
            (key(peer("3"), "m", json!({})), key(peer("4"), "m", json!({}))),
            (key(peer("3"), "m", json!({})), key(Sender::User, "m", json!({}))),
            (key(peer("3"), "m", json!({})), key(peer("3"), "n", json!({}))),
            (key(channel(), "m", json!({"chat_id": "1"})), key(channel(), "m", json!({"chat_id": "2"}))),
            (key(github(), "m", json!({"delivery_id": "d"})), key(github(), "m", json!({"delivery_id": "e"}))),
        ];
        for (one, other) in different {
            assert!(one.is_some() && other.is_some() && one != other, "{one:?} {other:?}");
        }
        assert_eq!(key(Sender::User, "", json!({})), None);
        assert_eq!(key(Sender::User, &"m".repeat(600), json!({})), None);
    }

    #[test]
    fn a_conversation_is_a_sender_and_for_channels_a_chat() {
        let of = |sender, around| message(sender, "m", around).conversation().clone();
        let channel = |kind: &str| Sender::Channel(kind.to_owned());
        let nudge = Sender::Platform(PlatformKind::InboxNudge);
        assert_eq!(of(Sender::User, json!({"chat_id": "1"})), of(Sender::User, json!({})));
        assert_eq!(of(peer("3"), json!({})), of(peer("3"), json!({"chat_id": "1"})));
        assert_ne!(of(peer("3"), json!({})), of(peer("4"), json!({})));
        assert_ne!(of(channel("slack"), json!({"chat_id": "1"})), of(channel("slack"), json!({"chat_id": "2"})));
        assert_ne!(of(channel("slack"), json!({"chat_id": "1"})), of(channel("lark"), json!({"chat_id": "1"})));
        assert_ne!(of(nudge, json!({})), of(Sender::User, json!({})));
    }

    #[test]
    fn an_upload_completes_the_part_that_names_it_or_stands_beside_it() {
        let mut message = message(Sender::User, "m", json!({}));
        let own = OWN.parse().unwrap();
        let upload = |id: &str| {
            let body = json!({"file_id": id, "name": "a.png", "size": 3, "mimeType": "image/png"});
            Attachment::of_upload(body.as_object().unwrap(), &own).unwrap()
        };
        let clone = message.clone();
        message.add_upload(upload(FILE));
        message.add_upload(upload(OWN));
        let files = message.attachments();
        assert_eq!(
            files.iter().map(|file| (file.part(), file.size(), file.name())).collect::<Vec<_>>(),
            [(Some(0), Some(3), Some("a.png")), (None, Some(3), Some("a.png"))]
        );
        assert_eq!(clone.attachments().len(), 1);
    }

    #[test]
    fn a_message_that_waits_is_held_as_text_alone() {
        let message = message(peer("3"), "m", json!({}));
        let _ = (message.id(), message.sender(), message.received_at(), message.for_attempt(2), message.clone());
        let _ = (message.conversation(), message.duplicate_key(), message.json(), format!("{message:?}"));
        let _ = message.attachments();
        assert!(message.inner.row.get().is_none());
        assert_eq!(serde_json::to_string(message.raw()).unwrap(), message.json());
    }

    #[test]
    fn a_row_that_the_application_nested_too_deeply_is_cut() {
        let deep = (0..300).fold(json!(7), |inner, _| json!([inner]));
        let message = message(Sender::User, "m", json!({"deep": deep}));
        assert!(message.metadata()["deep"].is_array() && message.attachments().len() == 1);
    }

    #[test]
    fn each_attempt_has_a_flag_of_its_own() {
        let (first, flag) = message(Sender::User, "m", json!({})).for_attempt(1);
        let (second, _) = first.for_attempt(2);
        flag.set();
        assert_eq!((first.is_cancelled(), first.clone().is_cancelled(), second.is_cancelled()), (true, true, false));
        assert_eq!((first.attempt(), second.attempt()), (1, 2));
    }
}
