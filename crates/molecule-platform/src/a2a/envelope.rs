//! The JSON-RPC request that the platform makes from the body of a call (contract section 9.3; April 7.1).

use bytes::Bytes;
use http::StatusCode;
use molecule_proto::{Dialect, ErrorBody};
use serde_json::{Map, Value, json};

use crate::random::Random;
use crate::reply::{self, Refusal, Response};

/// A JSON-RPC request in the form in which the agent receives it.
#[derive(Clone)]
pub(crate) struct Envelope(Map<String, Value>);

/// The error of a body: an ordinary refusal, or one with a hint.
pub(crate) enum BodyRefused {
    Plain(Refusal),
    Hinted(&'static str, &'static str),
}

impl From<BodyRefused> for Response {
    fn from(refused: BodyRefused) -> Self {
        match refused {
            BodyRefused::Plain(refusal) => refusal.into(),
            BodyRefused::Hinted(error, hint) => {
                let mut body = ErrorBody::new(error);
                body.hint = Some(hint.to_owned());
                reply::json(StatusCode::BAD_REQUEST, &body)
            }
        }
    }
}

impl Envelope {
    /// Parses a body, which must be one object and nothing after it.
    pub(crate) fn read(dialect: Dialect, random: &mut Random, body: &[u8]) -> Result<Self, BodyRefused> {
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else {
            return Err(BodyRefused::Plain(Refusal::bad_request("invalid JSON")));
        };
        if !fields.contains_key("jsonrpc") {
            let mut take = |key: &str| fields.remove(key).unwrap_or_default();
            let (method, params) = (take("method"), take("params"));
            fields = wrapped(random, method, params);
        }
        let mut envelope = Self(fields);
        if let Some(message) = envelope.message_mut() {
            if text(message, "messageId").is_none() {
                message.insert("messageId".to_owned(), random.uuid().into());
            }
            if dialect == Dialect::Current {
                normalise(message)?;
            }
        }
        Ok(envelope)
    }

    /// Makes the request of a message that the platform itself sends, or hands on for somebody without a credential.
    pub(crate) fn sending(random: &mut Random, params: Value) -> Self {
        Self(wrapped(random, "message/send".into(), params))
    }

    /// Makes the message of a delegated task. April's server writes its part in the older form.
    pub(crate) fn delegation(dialect: Dialect, random: &mut Random, id: &str, task: &str) -> Self {
        let part = match dialect {
            Dialect::April => json!({"type": "text", "text": task}),
            Dialect::Current => json!({"kind": "text", "text": task}),
        };
        let message = json!({"role": "user", "messageId": id, "metadata": {"delegation_id": id}, "parts": [part]});
        Self(wrapped(random, "message/send".into(), json!({"message": message})))
    }

    /// Marks a message as a person's. It gets a context id, which is the same for all persons' messages to a target.
    /// With `says_who` its metadata names the sender too; the route for third parties sends no such metadata.
    pub(crate) fn mark_as_a_persons(&mut self, target: &str, says_who: bool) {
        let Some(message) = self.message_mut() else { return };
        message.entry("contextId").or_insert_with(|| format!("canvas-{target}").into());
        if let (true, Some(Value::Object(params))) = (says_who, self.0.get_mut("params")) {
            let metadata = params.entry("metadata").or_insert_with(|| json!({}));
            if let Value::Object(metadata) = metadata {
                metadata.insert("source".to_owned(), "canvas_user".into());
                metadata.insert("user_identity_status".to_owned(), "UNAUTHENTICATED".into());
            }
        }
    }

    fn message_mut(&mut self) -> Option<&mut Map<String, Value>> {
        self.0.get_mut("params")?.get_mut("message")?.as_object_mut()
    }

    /// The method; `""` if it has none.
    pub(crate) fn method(&self) -> &str {
        self.0.get("method").and_then(Value::as_str).unwrap_or_default()
    }

    /// The message id that its sender chose.
    pub(crate) fn message_id(&self) -> Option<&str> {
        text(self.0.get("params")?.get("message")?.as_object()?, "messageId")
    }

    /// The seconds after which a queued copy expires.
    pub(crate) fn expires_in(&self) -> Option<u64> {
        self.0.get("params")?.get("expires_in_seconds")?.as_u64().filter(|seconds| *seconds > 0)
    }

    /// The texts of the message, joined by line feeds.
    pub(crate) fn text(&self) -> String {
        let parts = self.0.get("params").and_then(|params| params.pointer("/message/parts")).and_then(Value::as_array);
        let texts = parts.into_iter().flatten().filter_map(|part| part["text"].as_str());
        texts.collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// The JSON that is sent: without blanks, keys sorted.
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes::from(serde_json::to_vec(&self.0).expect("a value that was read can be written"))
    }
}

fn wrapped(random: &mut Random, method: Value, params: Value) -> Map<String, Value> {
    Map::from_iter([
        ("jsonrpc".to_owned(), "2.0".into()),
        ("id".to_owned(), random.uuid().into()),
        ("method".to_owned(), method),
        ("params".to_owned(), params),
    ])
}

/// Fills in the role and converts the parts to the form of A2A 0.3, as the current server does.
fn normalise(message: &mut Map<String, Value>) -> Result<(), BodyRefused> {
    message.entry("role").or_insert_with(|| "user".into());
    if !message.contains_key("parts") {
        let parts = match message.remove("content") {
            Some(Value::String(text)) => json!([{"kind": "text", "text": text}]),
            Some(Value::Array(parts)) => Value::Array(parts),
            Some(_) => {
                let hint = "content must be a string (v0.2 compat) or omitted in favour of parts (v0.3)";
                return Err(BodyRefused::Hinted("invalid params.message.content type", hint));
            }
            None => {
                let error = "params.message must contain either 'parts' (v0.3) or 'content' (v0.2 compat)";
                let hint = "v0.3 example: {\"parts\":[{\"kind\":\"text\",\"text\":\"...\"}]}";
                return Err(BodyRefused::Hinted(error, hint));
            }
        };
        message.insert("parts".to_owned(), parts);
    }
    let parts = message.get_mut("parts").and_then(Value::as_array_mut).into_iter().flatten();
    for part in parts.filter_map(Value::as_object_mut) {
        if !part.contains_key("kind")
            && let Some(kind) = part.remove("type")
        {
            part.insert("kind".to_owned(), kind);
        }
    }
    Ok(())
}

fn text<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    fields.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}
