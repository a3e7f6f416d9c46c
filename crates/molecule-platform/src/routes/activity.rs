//! `GET` and `POST /workspaces/:id/activity`, and `POST …/activity/ack` (contract sections 12 and 13.1; April 6.1 and 6.2).

use std::time::Duration;

use http::StatusCode;
use molecule_proto::{
    ActivityAckAnswer, ActivityId, ActivityRow, ActivityType, Attachment, Dialect, PostedAnswer, UnixTime, WorkspaceId,
};
use serde_json::Value;

use crate::json::Fields;
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};
use crate::router;

const DEFAULT_LIMIT: usize = 100;
const MOST: usize = 500;
/// The longest time that `since_secs` can look back, in seconds.
const MOST_SECS: u64 = 30 * 24 * 3600;
const TYPES: [&str; 7] =
    ["a2a_send", "a2a_receive", "task_update", "agent_log", "skill_promotion", "memory_write", "error"];

/// The filter of a request for rows.
struct Wanted {
    activity_type: Option<String>,
    /// Whether only the rows of people are wanted, or only those of agents.
    of_people: Option<bool>,
    /// The greatest age of the rows.
    within: Option<Duration>,
    before: Option<UnixTime>,
    peer: Option<WorkspaceId>,
    cursor: Option<ActivityId>,
    limit: usize,
    with_peers: bool,
}

impl Wanted {
    fn pick<'a>(&self, now: UnixTime, rows: impl Iterator<Item = &'a ActivityRow>) -> Vec<&'a ActivityRow> {
        rows.filter(|row| self.has(now, row)).take(self.limit).collect()
    }

    fn has(&self, now: UnixTime, row: &ActivityRow) -> bool {
        self.activity_type.as_ref().is_none_or(|about| row.activity_type.as_str() == about)
            && self.of_people.is_none_or(|people| row.source_id.is_none() == people)
            && self.within.is_none_or(|within| now.since(row.created_at) <= within)
            && self.before.is_none_or(|before| row.created_at < before)
            && self.peer.as_ref().is_none_or(|peer| [&row.source_id, &row.target_id].contains(&&Some(peer.clone())))
    }
}

impl Platform {
    pub(crate) fn list_activity(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let id: WorkspaceId = id.parse().map_err(|_| Refusal::internal("query failed"))?;
        let wanted = match self.config.dialect {
            Dialect::April => wanted_april(call)?,
            Dialect::Current => wanted_current(call)?,
        };
        let picked: Vec<&ActivityRow> = match &wanted.cursor {
            None => wanted.pick(call.now.unix, self.feed.visible(&id, call.now.mono)),
            Some(cursor) => {
                let error = "since_id cursor not found (row may have been pruned or belongs to a different workspace); \
                             omit since_id to reset";
                let after = self.feed.visible_after(&id, cursor, call.now.mono);
                wanted.pick(call.now.unix, after.ok_or(Refusal::new(StatusCode::GONE, error))?)
            }
        };
        let seqs: Vec<i64> = picked.iter().filter_map(|row| row.seq).collect();
        let rows: Vec<ActivityRow> = picked.into_iter().map(|row| self.shown(call, row, wanted.with_peers)).collect();
        self.feed.note_read(seqs);
        Ok(reply::ok(&rows))
    }

    fn shown(&self, call: &Call<'_>, row: &ActivityRow, with_peers: bool) -> ActivityRow {
        let mut shown = row.clone();
        if self.config.dialect == Dialect::April {
            shown.seq = None;
        }
        if with_peers {
            if let Some(peer) = row.source_id.as_ref().and_then(|peer| self.workspaces.get(peer)) {
                shown.peer_name = Some(peer.name.clone());
                shown.peer_role.clone_from(&peer.role);
                shown.agent_card_url = Some(format!("{}/registry/discover/{}", self.public_url(call), peer.id));
            }
            let attachments = row.request_body.as_ref().map(attachments).unwrap_or_default();
            shown.attachments = (!attachments.is_empty()).then_some(attachments);
        }
        shown
    }

    /// Writes a row that the agent sends. A row that the database cannot store is lost without an error.
    pub(crate) fn post_activity(&mut self, call: &Call<'_>, id: &str, body: &[u8]) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        let fields = Fields::read(body)?;
        let about = fields.text("activity_type")?;
        if !TYPES.contains(&about.as_str()) {
            let error = format!("invalid activity_type, must be one of: {}", TYPES.join(", "));
            return Err(Refusal::bad_request(error));
        }
        let source = fields.text("source_id")?;
        if !source.is_empty() && source != id {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "source_id must match authenticated workspace"));
        }
        let id: WorkspaceId = id.parse().map_err(|_| Refusal::internal("failed to log activity"))?;
        let target = fields.optional_text("target_id")?.filter(|target| !target.is_empty());
        let mut row = self.new_activity(call.now, &id, ActivityType::from(about));
        row.source_id = Some(id);
        row.method = fields.optional_text("method")?;
        row.summary = fields.optional_text("summary")?;
        row.status = fields.optional_text("status")?.filter(|status| !status.is_empty()).unwrap_or(row.status);
        row.error_detail = fields.optional_text("error_detail")?;
        row.duration_ms = fields.optional_integer("duration_ms")?;
        let value = |name: &str| fields.raw(name).filter(|value| !value.is_null()).cloned();
        row.request_body = value("request_body").or_else(|| value("metadata"));
        row.response_body = value("response_body");
        if let Ok(target) = target.as_deref().map(str::parse::<WorkspaceId>).transpose() {
            row.target_id = target;
            self.log_and_tell(call.now, row);
        }
        Ok(reply::ok(&PostedAnswer::logged()))
    }

    /// Sets the mark of the newest row that was read. A mark beyond the newest row is accepted too and stays.
    pub(crate) fn ack_activity(&mut self, call: &Call<'_>, id: &str, body: &[u8]) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let required = || Refusal::bad_request("acked_seq is required");
        let fields = Fields::read(body).map_err(|_| required())?;
        let seq = fields.optional_integer("acked_seq").ok().flatten().ok_or_else(required)?;
        if seq < 0 {
            return Err(Refusal::bad_request("acked_seq must be >= 0"));
        }
        let id: WorkspaceId = id.parse().map_err(|_| Refusal::internal("query failed"))?;
        Ok(reply::ok(&ActivityAckAnswer::new(self.feed.ack(&id, seq))))
    }
}

/// The filters that both servers have.
fn wanted_april(call: &Call<'_>) -> Result<Wanted, Refusal> {
    let text = |key| router::query_text(call.query, key).filter(|value| !value.is_empty());
    let of_people = match text("source").as_deref() {
        None => None,
        Some("canvas") => Some(true),
        Some("agent") => Some(false),
        Some(_) => return Err(Refusal::bad_request("source must be 'canvas' or 'agent'")),
    };
    let limit = text("limit").and_then(|limit| limit.parse::<usize>().ok()).filter(|limit| *limit > 0);
    Ok(Wanted {
        activity_type: text("type"),
        of_people,
        within: None,
        before: None,
        peer: None,
        cursor: None,
        limit: limit.unwrap_or(DEFAULT_LIMIT).min(MOST),
        with_peers: false,
    })
}

fn wanted_current(call: &Call<'_>) -> Result<Wanted, Refusal> {
    let text = |key| router::query_text(call.query, key).filter(|value| !value.is_empty());
    let mut wanted = wanted_april(call)?;
    if let Some(seconds) = text("since_secs") {
        let seconds = seconds.parse::<u64>().ok().filter(|seconds| *seconds > 0);
        let seconds = seconds.ok_or(Refusal::bad_request("since_secs must be a positive integer"))?;
        wanted.within = Some(Duration::from_secs(seconds.min(MOST_SECS)));
    }
    if let Some(peer) = text("peer_id") {
        wanted.peer = Some(peer.parse().map_err(|_| Refusal::bad_request("peer_id must be a UUID"))?);
    }
    if let Some(before) = text("before_ts") {
        let error = "before_ts must be an RFC3339 timestamp (e.g. 2026-05-01T00:00:00Z)";
        wanted.before = Some(before.parse().map_err(|_| Refusal::bad_request(error))?);
    }
    if let Some(cursor) = text("since_id") {
        wanted.cursor = Some(cursor.parse().map_err(|_| Refusal::internal("cursor lookup failed"))?);
    }
    wanted.with_peers = text("include").is_some_and(|include| include.split(',').any(|flag| flag == "peer_info"));
    Ok(wanted)
}

/// The files of a message, or the file of an upload. For a message's files the server writes no MIME type.
fn attachments(request: &Value) -> Vec<Attachment> {
    let parts = request.pointer("/params/message/parts").and_then(Value::as_array);
    let files =
        parts.into_iter().flatten().filter(|part| part["kind"] == "file").map(|part| (&part["file"], "mime_type"));
    let upload = request.get("file_id").map(|_| (request, "mimeType"));
    files.chain(upload).map(|(file, mime_type)| attachment(file, mime_type)).collect()
}

fn attachment(file: &Value, mime_key: &str) -> Attachment {
    let text = |key: &str| file[key].as_str().map(str::to_owned);
    let mut attachment = Attachment::default();
    attachment.mime_type = text(mime_key);
    let group = attachment.mime_type.as_deref().and_then(|mime_type| mime_type.split('/').next());
    attachment.kind = group.filter(|group| ["image", "audio", "video"].contains(group)).unwrap_or("file").to_owned();
    attachment.uri = text("uri");
    attachment.name = text("name");
    attachment
}
