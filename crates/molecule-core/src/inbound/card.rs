//! The agent's card, as A2A 0.3 wants it.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use molecule_proto::AgentCard;
use serde_json::{Map, Value, json};

use super::answer::json_answer;
use crate::session::key::Key;

/// How long a reader may keep the card.
const KEPT: &str = "public, max-age=300";

/// The modes that an agent reads and writes unless its card says otherwise.
pub(super) const MODES: [&str; 3] = ["text/plain", "application/json", "application/octet-stream"];

/// The card as it is served, until the agent's card changes.
#[derive(Debug, Default)]
pub(super) struct Card {
    of: AgentCard,
    text: Bytes,
    tag: Option<HeaderValue>,
}

impl Card {
    /// Answers a request for the card of the agent that is registered under this URL.
    pub(super) fn answer(
        &mut self,
        card: &AgentCard,
        url: &str,
        needs_bearer: bool,
        headers: &HeaderMap,
    ) -> Response<Bytes> {
        if self.tag.is_none() || self.of != *card {
            let text = whole(card, url, needs_bearer).to_string();
            let tag = format!("\"{}\"", Key::of_text(&text));
            self.tag = Some(HeaderValue::from_str(&tag).expect("digits are ASCII"));
            (self.of, self.text) = (card.clone(), text.into());
        }
        let is_known = self.tag.as_ref().is_some_and(|tag| knows(headers, tag));
        let mut answer = json_answer(StatusCode::OK, if is_known { Bytes::new() } else { self.text.clone() });
        if is_known {
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
        }
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(KEPT));
        answer.headers_mut().extend(self.tag.clone().map(|tag| (ETAG, tag)));
        answer
    }
}

/// Returns whether a reader has the card with this tag.
fn knows(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let tag = tag.to_str().unwrap_or_default();
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|value| value.trim().trim_start_matches("W/"))
        .any(|value| value == "*" || value == tag)
}

/// Completes a card by what A2A 0.3 requires. The URL is the registered one, and nothing is promised that this server does
/// not offer.
fn whole(card: &AgentCard, url: &str, needs_bearer: bool) -> Value {
    let mut fields: Map<String, Value> = card.extra.clone();
    let name = card.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "agent".to_owned());
    let description = card.description.clone().or_else(|| card.role.clone()).unwrap_or_else(|| name.clone());
    let skills = match fields.remove("skills") {
        Some(Value::Array(skills)) => skills.into_iter().filter_map(skill).collect(),
        _ => Vec::new(),
    };
    let mut capabilities = match fields.remove("capabilities") {
        Some(Value::Object(capabilities)) => capabilities,
        _ => Map::new(),
    };
    for key in ["streaming", "pushNotifications", "stateTransitionHistory"] {
        capabilities.insert(key.to_owned(), false.into());
    }
    if let Some(role) = &card.role {
        fields.insert("role".to_owned(), role.as_str().into());
    }
    let fixed = [
        ("protocolVersion", json!("0.3.0")),
        ("name", name.into()),
        ("description", description.into()),
        ("url", url.into()),
        ("preferredTransport", json!("JSONRPC")),
        ("capabilities", capabilities.into()),
        ("skills", skills.into()),
        ("supportsAuthenticatedExtendedCard", json!(false)),
    ];
    // These describe other transports or versions, which this server does not have.
    ["additionalInterfaces", "supportedInterfaces"].iter().for_each(|key| drop(fields.remove(*key)));
    fields.extend(fixed.map(|(key, value)| (key.to_owned(), value)));
    if !fields.get("version").is_some_and(Value::is_string) {
        fields.insert("version".to_owned(), "1.0.0".into());
    }
    for key in ["defaultInputModes", "defaultOutputModes"] {
        if !fields.get(key).is_some_and(Value::is_array) {
            fields.insert(key.to_owned(), json!(MODES));
        }
    }
    if needs_bearer {
        fields.insert("securitySchemes".to_owned(), json!({"bearer": {"type": "http", "scheme": "bearer"}}));
        fields.insert("security".to_owned(), json!([{"bearer": []}]));
    }
    fields.into()
}

/// Completes a skill: a name is enough for the platform, and A2A wants an object.
fn skill(skill: Value) -> Option<Value> {
    let mut fields = match skill {
        Value::String(name) => Map::from_iter([("id".to_owned(), name.into())]),
        Value::Object(fields) => fields,
        _ => return None,
    };
    let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
    let id = text("id").or_else(|| text("name"))?;
    let name = text("name").unwrap_or_else(|| id.clone());
    let description = text("description").unwrap_or_else(|| name.clone());
    fields.extend(
        [("id", id), ("name", name), ("description", description)].map(|(key, text)| (key.to_owned(), text.into())),
    );
    if !fields.get("tags").is_some_and(Value::is_array) {
        fields.insert("tags".to_owned(), json!([]));
    }
    Some(fields.into())
}
