//! A `message/send` of texts alone, as most are. It is kept as it was sent, beside what is always asked of it: nobody builds
//! its values before a handler looks into them.

use std::borrow::Cow;
use std::fmt;

use molecule_proto::json::{object, read_repaired};
use molecule_proto::{MESSAGE_SEND, Message, Part, Role};
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// A request whose message has texts alone.
#[derive(Clone)]
pub(crate) struct PlainRequest {
    /// The request as JSON.
    json: Box<str>,
    pub(crate) message_id: String,
    pub(crate) context_id: Option<String>,
    pub(crate) task_id: Option<String>,
    pub(crate) parts: Vec<Part>,
    /// `params.metadata`.
    pub(crate) metadata: Map<String, Value>,
    /// `params.message.metadata`.
    pub(crate) message_metadata: Map<String, Value>,
}

/// What else such a request says.
pub(crate) struct Envelope {
    pub(crate) id: Value,
    /// `params.configuration`.
    pub(crate) configuration: Option<Map<String, Value>>,
}

impl PlainRequest {
    /// Reads a repaired body; `None` for any that is of another form, whether it is good or not.
    pub(crate) fn read(json: &str) -> Option<(Self, Envelope)> {
        let Call { jsonrpc, id, method, params } = read_repaired(json).ok()?;
        let Params { message, metadata, configuration } = params;
        let is_plain = jsonrpc == "2.0"
            && method == MESSAGE_SEND
            && !message.message_id.is_empty()
            && matches!(Role::from(&*message.role), Role::User | Role::Agent)
            && message.parts.len() <= Message::MAX_PARTS
            && [message.other_message_id, message.other_context_id, message.other_task_id, message.content]
                .iter()
                .all(Option::is_none);
        if !is_plain {
            return None;
        }
        let not_empty = |text: &String| !text.is_empty();
        let plain = Self {
            json: json.into(),
            message_id: message.message_id.into_owned(),
            context_id: message.context_id.filter(not_empty),
            task_id: message.task_id.filter(not_empty),
            parts: message.parts,
            metadata: metadata.unwrap_or_default(),
            message_metadata: message.metadata.unwrap_or_default(),
        };
        Some((plain, Envelope { id, configuration }))
    }

    /// The whole request.
    pub(crate) fn values(&self) -> Value {
        read_repaired(&self.json).expect("it was read before")
    }
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(default)]
    id: Value,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "object")]
    params: Params<'a>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow, deserialize_with = "object")]
    message: Said<'a>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    #[serde(default)]
    configuration: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, rename = "messageId")]
    message_id: Cow<'a, str>,
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(default, rename = "contextId")]
    context_id: Option<String>,
    #[serde(default, rename = "taskId")]
    task_id: Option<String>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    #[serde(deserialize_with = "texts")]
    parts: Vec<Part>,
    // Other names for the same, which not every reader looks at in the same order.
    #[serde(default, rename = "message_id")]
    other_message_id: Option<IgnoredAny>,
    #[serde(default, rename = "context_id")]
    other_context_id: Option<IgnoredAny>,
    #[serde(default, rename = "task_id")]
    other_task_id: Option<IgnoredAny>,
    #[serde(default)]
    content: Option<IgnoredAny>,
}

/// A part that is a text and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text<'a> {
    #[serde(borrow, alias = "type")]
    kind: Cow<'a, str>,
    text: String,
}

/// A text that is read from an object alone.
struct Element<'a>(Text<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Element<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer).map(Self)
    }
}

/// Reads a list of texts.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Part>, D::Error> {
    deserializer.deserialize_seq(Texts)
}

struct Texts;

impl<'de> Visitor<'de> for Texts {
    type Value = Vec<Part>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Part>, A::Error> {
        let mut parts = Vec::new();
        while let Some(Element(Text { kind, text })) = list.next_element()? {
            if kind != "text" {
                return Err(serde::de::Error::custom("a part of another kind"));
            }
            parts.push(Part::text(text));
        }
        Ok(parts)
    }
}
