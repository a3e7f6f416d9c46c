//! The activity feed of the small platform. Its rows are set by hand, and are read as the current server reads them.

use molecule_core::proto::{Time, UnixTime};
use serde_json::{Value, json};

use super::agent::{ID, START, start_unix};
use super::answer::Answer;

/// The rows of the agent's feed.
#[derive(Debug, Clone, Default)]
pub struct Feed {
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
struct Row {
    id: String,
    created_at: UnixTime,
    value: Value,
}

/// The id of the row with this number.
pub fn row_id(number: usize) -> String {
    format!("00000000-0000-4000-9000-{number:012}")
}

impl Feed {
    /// Adds a row of the agent's feed with these further fields. Returns its id.
    pub fn add(&mut self, created_at: UnixTime, fields: Value) -> String {
        let number = self.rows.len() + 1;
        let id = row_id(number);
        let mut value = json!({
            "id": id, "workspace_id": ID, "activity_type": "a2a_receive", "method": "message/send", "source_id": null,
            "status": "ok", "seq": number, "created_at": created_at,
        });
        for (name, field) in fields.as_object().unwrap() {
            value[name] = field.clone();
        }
        self.rows.push(Row { id: id.clone(), created_at, value });
        id
    }

    /// Sets a field of the row that was added last.
    pub fn set(&mut self, field: &str, value: Value) {
        self.rows.last_mut().unwrap().value[field] = value;
    }

    /// Adds a message of a user.
    pub fn user(&mut self, created_at: UnixTime, text: &str) -> String {
        self.message(created_at, json!(null), text, &format!("m-{}", self.rows.len() + 1))
    }

    /// Adds a message of a peer.
    pub fn peer(&mut self, created_at: UnixTime, peer: &str, text: &str) -> String {
        self.message(created_at, json!(peer), text, &format!("m-{}", self.rows.len() + 1))
    }

    /// Adds a message from this sender with this id.
    pub fn message(&mut self, created_at: UnixTime, source: Value, text: &str, message_id: &str) -> String {
        let message = json!({"messageId": message_id, "role": "user", "parts": [{"kind": "text", "text": text}]});
        let request = json!({"jsonrpc": "2.0", "method": "message/send", "params": {"message": message}});
        self.add(created_at, json!({"source_id": source, "request_body": request}))
    }

    /// Answers `GET /workspaces/:id/activity?…` with its query.
    pub fn page(&self, at: Time, query: &str) -> Answer {
        let part = |name: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
            Some(value.replace("%3A", ":").replace("%2B", "+"))
        };
        let now = start_unix() + at.since(START);
        let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs(now.as_secs().unsigned_abs());
        let date = httpdate::fmt_http_date(date);
        let limit: usize = part("limit").map_or(100, |limit| limit.parse().unwrap());
        if let Some(since) = part("since_id") {
            let Some(place) = self.rows.iter().find(|row| row.id == since) else {
                return Answer::error(410, "since_id cursor not found (rotated out)");
            };
            let newer = self.rows.iter().filter(|row| (row.created_at, &row.id) > (place.created_at, &place.id));
            return Answer::json(200, newer.take(limit).map(|row| row.value.clone()).collect()).header("date", &date);
        }
        let age = part("since_secs").map(|secs| secs.parse().unwrap());
        let before: Option<UnixTime> = part("before_ts").map(|time| time.parse().unwrap());
        let rows = self.rows.iter().rev();
        let rows = rows.filter(|row| age.is_none_or(|age| now.since(row.created_at).as_secs() <= age));
        let rows = rows.filter(|row| before.is_none_or(|before| row.created_at < before));
        Answer::json(200, rows.take(limit).map(|row| row.value.clone()).collect()).header("date", &date)
    }
}
