//! `POST /workspaces/:self/delegate`, `GET …/delegations`, and an agent's reports of its own delegations (contract
//! section 14; April 8).

use std::time::Duration;

use http::StatusCode;
use molecule_proto::{
    ActivityRow, ActivityType, DelegateAnswer, DelegationId, DelegationRow, DelegationStatus, Dialect, Direction,
    ErrorBody, Now, ReportedDelegation, WorkspaceId,
};
use serde_json::{Value, json};

use crate::delegation::Delegation;
use crate::feed::beginning;
use crate::json::Fields;
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};

const MALFORMED: &str = "invalid delegation request";
const NO_TARGET: &str = "target_id must be a valid UUID";
/// The most rows of a list.
const LISTED: usize = 50;
/// The longest preview, in bytes.
const PREVIEW: usize = 300;
/// The silence of a target after which a delegation counts as stuck.
const STUCK: Duration = Duration::from_secs(600);
/// The time after its start at which a delegation is given up.
const DEADLINE: Duration = Duration::from_secs(6 * 3600);

impl Platform {
    pub(crate) fn post_delegate(&mut self, call: &Call<'_>, source: &str, body: &[u8]) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, source)?;
        self.database()?;
        let malformed = || Refusal::bad_request(MALFORMED);
        let fields = Fields::read(body).map_err(|_| malformed())?;
        let text = |name| fields.text(name).map_err(|_| malformed());
        let (target, task, key) = (text("target_id")?, text("task")?, text("idempotency_key")?);
        if target.is_empty() || task.is_empty() {
            return Err(malformed());
        }
        let target: WorkspaceId = target.parse().map_err(|_| Refusal::bad_request(NO_TARGET))?;
        let source: WorkspaceId = source.parse().map_err(|_| malformed())?;
        if source == target {
            return Ok(self.self_delegation());
        }
        if self.workspaces.get(&source).is_some_and(|row| !row.abilities.delegate) {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "tool call failed"));
        }
        let key = Some(key).filter(|key| !key.is_empty());
        let known = key.as_deref().and_then(|key| self.mail.delegations.known(&source, key));
        if let Some((id, status, target)) = known.filter(|(_, status, _)| *status != DelegationStatus::Failed) {
            return Ok(reply::ok(&DelegateAnswer::known(id, status, Some(target))));
        }
        let (id, followed) = self.begin_delegation(call.now, &source, &target, task, key);
        let mut answer = DelegateAnswer::delegated(id, target);
        answer.warning = (!followed).then(|| "delegation dispatched but status tracking unavailable".to_owned());
        Ok(reply::json(StatusCode::ACCEPTED, &answer))
    }

    fn self_delegation(&self) -> Response {
        let mut body = ErrorBody::new("self-delegation not permitted");
        if self.config.dialect == Dialect::Current {
            let reason =
                "the source workspace and target workspace are the same; you cannot delegate a task to yourself";
            let hint = "do the work yourself, or pick a different peer via list_peers — retrying with the same target_id \
                        will fail every time";
            body.reason = Some(reason.to_owned());
            body.hint = Some(hint.to_owned());
        }
        reply::json(StatusCode::BAD_REQUEST, &body)
    }

    /// Lists both rows of each delegation of which the workspace is the source, but none of which it is the target.
    pub(crate) fn list_delegations(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let id: WorkspaceId = id.parse().map_err(|_| Refusal::internal("query failed"))?;
        let ledger = self.ledger(call.now, &id);
        if !ledger.is_empty() {
            return Ok(reply::ok(&ledger));
        }
        let is_listed = |row: &&ActivityRow| {
            row.activity_type == ActivityType::Delegation || row.method.as_deref() == Some("delegate_result")
        };
        let rows = self.feed.visible(&id, call.now.mono).filter(is_listed).take(LISTED);
        let rows: Vec<DelegationRow> = rows.map(|row| self.listed_delegation(&id, row)).collect();
        Ok(reply::ok(&rows))
    }

    /// The delegations of which a workspace is the source or the target, one row each; empty if the server writes no
    /// ledger.
    fn ledger(&self, now: Now, reader: &WorkspaceId) -> Vec<DelegationRow> {
        if !self.config.delegation_ledger || self.config.dialect == Dialect::April {
            return Vec::new();
        }
        let mut delegations: Vec<_> = self.mail.delegations.of(reader).collect();
        delegations.sort_by_key(|(_, delegation)| std::cmp::Reverse(delegation.created));
        delegations.truncate(LISTED);
        delegations.into_iter().map(|(id, delegation)| self.in_ledger(now, reader, id, delegation)).collect()
    }

    fn in_ledger(&self, now: Now, reader: &WorkspaceId, id: &DelegationId, delegation: &Delegation) -> DelegationRow {
        let heard = self.workspaces.get(&delegation.target).and_then(|row| row.last_heartbeat);
        let status = match &delegation.status {
            _ if delegation.arrived_late => DelegationStatus::Completed,
            DelegationStatus::Dispatched if heard.is_none_or(|heard| now.mono.since(heard.mono) >= STUCK) => {
                DelegationStatus::Stuck
            }
            status => status.clone(),
        };
        let failed = status == DelegationStatus::Failed;
        let mut row = DelegationRow::new(&delegation.source, status, delegation.created);
        row.is_ledger = true;
        row.delegation_id = Some(id.to_string());
        row.target_id = delegation.target.to_string();
        row.direction = Some(if delegation.source == *reader { Direction::Sent } else { Direction::Received });
        row.summary = beginning(&delegation.task, PREVIEW).to_owned();
        row.updated_at = Some(delegation.updated);
        let said = delegation.said.as_deref().filter(|said| !said.is_empty());
        row.error = said.filter(|_| failed).map(str::to_owned);
        row.response_preview = said.filter(|_| !failed).map(|said| beginning(said, PREVIEW).to_owned());
        row.last_heartbeat = heard.map(|heard| heard.unix);
        row.deadline = Some(delegation.created + DEADLINE);
        row
    }

    fn listed_delegation(&self, reader: &WorkspaceId, row: &ActivityRow) -> DelegationRow {
        let mut listed = DelegationRow::new(reader, row.status.as_str().into(), row.created_at);
        listed.id = Some(row.id.to_string());
        listed.kind = Some("delegation".to_owned());
        listed.target_id = row.target_id.as_ref().map(WorkspaceId::to_string).unwrap_or_default();
        listed.direction = (self.config.dialect == Dialect::Current).then_some(Direction::Sent);
        listed.summary = row.summary.clone().unwrap_or_default();
        let bodies = [&row.request_body, &row.response_body].into_iter().flatten();
        let id = bodies.filter_map(|body| body.get("delegation_id")).find_map(Value::as_str);
        listed.delegation_id = id.map(str::to_owned);
        listed.error = row.error_detail.clone().filter(|error| !error.is_empty());
        listed.response_preview = row.response_body.as_ref().map(preview).filter(|text| !text.is_empty());
        listed
    }

    pub(crate) fn record_delegation(
        &mut self,
        call: &Call<'_>,
        source: &str,
        body: &[u8],
    ) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, source)?;
        self.database()?;
        let fields = Fields::read(body)?;
        let (target, task, id) = (fields.text("target_id")?, fields.text("task")?, fields.text("delegation_id")?);
        if target.is_empty() || task.is_empty() || id.is_empty() {
            return Err(crate::json::Malformed.into());
        }
        let target: WorkspaceId = target.parse().map_err(|_| Refusal::bad_request(NO_TARGET))?;
        let source: WorkspaceId = source.parse().map_err(|_| Refusal::internal("failed to record delegation"))?;
        let written = self.log_asked(call.now, &source, &target, &task, &id, DelegationStatus::Dispatched);
        written.ok_or(Refusal::internal("failed to record delegation"))?;
        Ok(reply::json(StatusCode::ACCEPTED, &ReportedDelegation::new(id, "recorded")))
    }

    pub(crate) fn update_delegation(
        &mut self,
        call: &Call<'_>,
        source: &str,
        id: &str,
        body: &[u8],
    ) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, source)?;
        self.database()?;
        let fields = Fields::read(body)?;
        let status = DelegationStatus::from(fields.text("status")?);
        let (error, text) = (fields.text("error")?, fields.text("response_preview")?);
        let source: WorkspaceId = source.parse().map_err(|_| Refusal::internal("query failed"))?;
        let april = self.config.dialect == Dialect::April;
        let (summary, result) = match status {
            DelegationStatus::Completed => (self.completed(&text), Some(json!({"text": text, "delegation_id": id}))),
            DelegationStatus::Failed if april => (None, None),
            DelegationStatus::Failed => {
                let summary = format!("Delegation failed ({error})");
                (Some(summary), Some(json!({"error": error, "delegation_id": id})))
            }
            _ if april => return Err(Refusal::bad_request("status must be 'completed' or 'failed'")),
            _ => return Err(Refusal::bad_request("status must be one of: completed, failed")),
        };
        self.mark_reported(&source, id, &status, &error);
        if let Some(summary) = summary {
            let mut row = self.delegation_row(call.now, &source, "delegate_result", summary, status.clone());
            let said = error.clone();
            row.error_detail = Some(error).filter(|error| !error.is_empty());
            row.response_body = result;
            self.log(call.now, row);
            if self.config.pushes_results {
                let result = if status == DelegationStatus::Completed { Ok(text.as_str()) } else { Err(said.as_str()) };
                self.push_result(call.now, &source, id, result);
            }
        }
        Ok(reply::ok(&ReportedDelegation::new(id, status.as_str())))
    }

    /// Writes the end of a delegation to the rows in which the agent recorded it.
    fn mark_reported(&mut self, source: &WorkspaceId, id: &str, status: &DelegationStatus, error: &str) {
        let recorded = self.feed.newest_first(source).into_iter().filter(|row| {
            let named = row.request_body.as_ref().and_then(|body| body.get("delegation_id"));
            row.method.as_deref() == Some("delegate") && named.and_then(Value::as_str) == Some(id)
        });
        let recorded: Vec<i64> = recorded.filter_map(|row| row.seq).collect();
        for seq in recorded {
            if let Some(row) = self.feed.row(source, seq) {
                row.status = status.to_string();
                row.error_detail = Some(error.to_owned()).filter(|error| !error.is_empty());
            }
        }
    }
}

/// The answer's text, else the whole JSON of the row as the database writes it, with shorter keys first.
fn preview(body: &Value) -> String {
    let text = match body.get("text").and_then(Value::as_str) {
        Some(text) => text.to_owned(),
        None => as_database(body),
    };
    let short = beginning(&text, PREVIEW);
    if short.len() < text.len() { format!("{short}...") } else { text }
}

fn as_database(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| (key.len(), key.as_str()));
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{}: {}", json!(key), as_database(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(as_database).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_shown_as_the_database_writes_it() {
        let body = json!({"delegation_id": "d", "error": "x"});
        assert_eq!(preview(&body), r#"{"error": "x", "delegation_id": "d"}"#);
        assert_eq!(preview(&json!({"text": "t", "delegation_id": "d"})), "t");
        let long = preview(&json!({"text": "ż".repeat(200)}));
        assert_eq!(long, format!("{}...", "ż".repeat(150)));
    }
}
