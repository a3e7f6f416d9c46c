//! `GET /workspaces/:id/chat-history`: the conversation with the user, made from the feed (contract section 13.3). Not
//! on April's server.
//!
//! The recordings show a person's message and a notification with a file. The rest follows from what the web interface
//! shows (`systemKind` of notices, the answers of push agents); the default of `limit` was never recorded.

use molecule_proto::{ActivityRow, ActivityType, WorkspaceId};
use serde_json::{Map, Value, json};

use crate::delegation::reply_text;
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};
use crate::router;

const DEFAULT_LIMIT: usize = 50;
const MOST: usize = 200;

impl Platform {
    pub(crate) fn chat_history(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let id: WorkspaceId = id.parse().map_err(|_| Refusal::internal("query failed"))?;
        let limit = router::query(call.query, "limit").and_then(|limit| limit.parse::<usize>().ok());
        let limit = limit.filter(|limit| *limit > 0).unwrap_or(DEFAULT_LIMIT).min(MOST);
        let rows = self.feed.visible(&id, call.now.mono);
        let mut rows = rows.filter(|row| row.activity_type == ActivityType::A2aReceive && row.source_id.is_none());
        let mut messages: Vec<Value> = Vec::new();
        let mut shown = 0;
        let mut reached_end = true;
        for row in rows.by_ref() {
            let of_row = messages_of(row);
            if of_row.is_empty() {
                continue;
            }
            if shown == limit {
                reached_end = false;
                break;
            }
            shown += 1;
            messages.extend(of_row.into_iter().rev());
        }
        messages.reverse();
        Ok(reply::ok(&json!({"messages": messages, "reached_end": reached_end})))
    }
}

/// The messages that a row stands for, oldest first: what the user wrote, and what the agent said.
fn messages_of(row: &ActivityRow) -> Vec<Value> {
    let mut messages = Vec::new();
    if row.method.as_deref() == Some("notify") {
        let said = row.response_body.as_ref();
        let content = said.and_then(|said| said["result"].as_str()).unwrap_or_default();
        messages.push(message(row, "agent", content, said.and_then(|said| said["parts"].as_array())));
        return messages;
    }
    let Some(sent) = row.request_body.as_ref().and_then(|request| request.pointer("/params/message")) else {
        return messages;
    };
    let parts = sent["parts"].as_array();
    let content = text_of(parts);
    if !content.is_empty() || parts.is_some_and(|parts| parts.iter().any(|part| part["kind"] == "file")) {
        let is_notice = sent.pointer("/metadata/source").is_some_and(|source| source == "platform");
        let mut shown = message(row, if is_notice { "system" } else { "user" }, &content, parts);
        if is_notice {
            shown["systemKind"] = json!("notice");
        }
        messages.push(shown);
    }
    if let Some(answer) = row.response_body.as_ref().filter(|answer| answer.get("result").is_some()) {
        let parts = answer.pointer("/result/parts").and_then(Value::as_array);
        let says_nothing = parts.is_some_and(Vec::is_empty);
        if !says_nothing {
            messages.push(message(row, "agent", &reply_text(answer.to_string().as_bytes()), parts));
        }
    }
    messages
}

fn message(row: &ActivityRow, role: &str, content: &str, parts: Option<&Vec<Value>>) -> Value {
    let place = if role == "agent" { "agent" } else { "user" };
    let mut message = json!({
        "id": format!("{}:{place}", row.id), "role": role, "content": content, "timestamp": row.created_at,
    });
    let files = parts.into_iter().flatten().filter(|part| part["kind"] == "file").map(|part| attachment(&part["file"]));
    let files: Vec<Value> = files.collect();
    if !files.is_empty() {
        message["attachments"] = json!(files);
    }
    message
}

fn attachment(file: &Value) -> Value {
    let known = ["name", "uri", "mimeType", "size"].into_iter();
    let known = known.filter_map(|key| Some((key.to_owned(), file.get(key)?.clone())));
    Value::Object(known.collect::<Map<_, _>>())
}

fn text_of(parts: Option<&Vec<Value>>) -> String {
    let texts = parts.into_iter().flatten().filter_map(|part| part["text"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}
