//! Tools about requests: what people and agents ask of each other, with an answer that counts.

use serde_json::{Map, Value, json};

use super::{text, why};
use crate::mcp::endpoints::{RaiseRequest, Requests};
use crate::mcp::member::Member;
use crate::mcp::params::Params;
use crate::mcp::untrusted::quote;

/// The keys whose texts somebody has written.
const WRITTEN: [&str; 3] = ["title", "detail", "body"];

pub(super) async fn create(member: &Member, params: &Params) -> Result<String, String> {
    let kind = params.text("kind")?.trim().to_ascii_lowercase();
    if kind != "task" && kind != "approval" {
        return Err("`kind` must be task or approval".to_owned());
    }
    #[allow(clippy::cast_possible_truncation)]
    let priority = params.number("priority", -1.0, 1000.0)? as i64;
    let request = RaiseRequest {
        kind,
        recipient_type: "user",
        title: params.text("title")?,
        detail: params.optional_text("detail")?,
        priority: Some(priority).filter(|priority| *priority >= 0),
    };
    raise(member, request).await
}

pub(super) async fn create_approval(member: &Member, params: &Params) -> Result<String, String> {
    let request = RaiseRequest {
        kind: "approval".to_owned(),
        recipient_type: "user",
        title: params.text("action")?,
        detail: params.optional_text("reason")?,
        priority: None,
    };
    raise(member, request).await
}

async fn raise(member: &Member, request: RaiseRequest) -> Result<String, String> {
    let answer = member.agent().send(&request).await.map_err(why)?;
    Ok(text(&Value::Object(answer)))
}

/// Lists the requests that are for this workspace, those that wait unless a status is named.
pub(super) async fn inbox(member: &Member, params: &Params) -> Result<String, String> {
    let status = params.optional_text("status")?.unwrap_or_else(|| "pending".to_owned());
    let all = ask(member, &Requests::received()).await?;
    Ok(text(&with_status(all, status.trim())))
}

/// Lists the requests that this workspace raised.
pub(super) async fn raised(member: &Member, params: &Params) -> Result<String, String> {
    let all = ask(member, &Requests::raised()).await?;
    Ok(text(&match params.optional_text("status")? {
        Some(status) => with_status(all, status.trim()),
        None => all,
    }))
}

pub(super) async fn one(member: &Member, params: &Params) -> Result<String, String> {
    ask(member, &Requests::one(&params.activity("request_id")?)).await.map(|request| text(&request))
}

pub(super) async fn respond(member: &Member, params: &Params) -> Result<String, String> {
    let id = params.activity("request_id")?;
    let action = params.text("action")?.trim().to_ascii_lowercase();
    if !["done", "approved", "rejected"].contains(&&*action) {
        return Err("`action` must be done, approved or rejected".to_owned());
    }
    ask(member, &Requests::act(&id, "respond", json!({ "action": action }))).await.map(|answer| text(&answer))
}

pub(super) async fn add_message(member: &Member, params: &Params) -> Result<String, String> {
    let id = params.activity("request_id")?;
    let body = json!({ "body": params.text("message")?, "author_type": "agent" });
    ask(member, &Requests::act(&id, "messages", body)).await.map(|answer| text(&answer))
}

pub(super) async fn cancel(member: &Member, params: &Params) -> Result<String, String> {
    let id = params.activity("request_id")?;
    ask(member, &Requests::act(&id, "cancel", json!({}))).await.map(|answer| text(&answer))
}

async fn ask(member: &Member, request: &Requests) -> Result<Value, String> {
    member.agent().send(request).await.map(marked).map_err(why)
}

fn with_status(list: Value, status: &str) -> Value {
    let Value::Array(rows) = list else { return list };
    let is_meant = |row: &Value| row.get("status").and_then(Value::as_str).is_none_or(|found| found == status);
    rows.into_iter().filter(is_meant).collect()
}

/// The same value with the texts of people and agents marked, at whatever depth.
fn marked(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(marked).collect(),
        Value::Object(fields) => {
            let field = |(key, value): (String, Value)| {
                let value = match value {
                    Value::String(written) if WRITTEN.contains(&&*key) && !written.is_empty() => {
                        json!(quote("a request", &written))
                    }
                    value => marked(value),
                };
                (key, value)
            };
            Value::Object(fields.into_iter().map(field).collect::<Map<_, _>>())
        }
        value => value,
    }
}
