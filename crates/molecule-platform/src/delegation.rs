//! Delegations: tasks that one workspace gives to another, and their rows in the feeds (contract section 14; April 8).

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_proto::{
    A2aAnswer, ActivityRow, ActivityType, DelegationId, DelegationStatus, Dialect, Now, RpcAnswer, Time, UnixTime,
    WorkspaceId,
};
use serde_json::{Value, json};

use crate::a2a::{Delivery, Envelope, Purpose, Sender, SenderClass};
use crate::feed::beginning;
use crate::platform::Platform;
use crate::reply::{Refusal, Response};

/// The time between a failed call and the only retry.
const RETRY: Duration = Duration::from_secs(8);
/// The longest text in a summary, in bytes.
const SUMMARY: usize = 80;

/// All delegations that the platform executes.
#[derive(Clone, Default)]
pub(crate) struct Delegations(BTreeMap<DelegationId, Delegation>);

#[derive(Clone)]
pub(crate) struct Delegation {
    pub(crate) source: WorkspaceId,
    pub(crate) target: WorkspaceId,
    pub(crate) task: String,
    /// Its idempotency key among the source's delegations. A failed delegation releases its key.
    key: Option<String>,
    /// The numbers of its rows in the source's feed; `None` if the database could not store the row.
    asked_row: Option<i64>,
    result_row: Option<i64>,
    pub(crate) status: DelegationStatus,
    pub(crate) created: UnixTime,
    pub(crate) updated: UnixTime,
    /// The answer or the error.
    pub(crate) said: Option<String>,
    /// Whether its task was queued and answered later. Its status does not show this.
    pub(crate) arrived_late: bool,
    retry_at: Option<Time>,
    retried: bool,
}

impl Delegations {
    /// The delegation with an idempotency key.
    pub(crate) fn known(
        &self,
        source: &WorkspaceId,
        key: &str,
    ) -> Option<(DelegationId, DelegationStatus, WorkspaceId)> {
        let same = |(_, delegation): &(&DelegationId, &Delegation)| {
            delegation.source == *source && delegation.key.as_deref() == Some(key)
        };
        let (id, delegation) = self.0.iter().find(same)?;
        Some((id.clone(), delegation.status.clone(), delegation.target.clone()))
    }

    /// The delegations of which a workspace is the source or the target.
    pub(crate) fn of<'a>(&'a self, id: &'a WorkspaceId) -> impl Iterator<Item = (&'a DelegationId, &'a Delegation)> {
        self.0.iter().filter(move |(_, delegation)| delegation.source == *id || delegation.target == *id)
    }

    pub(crate) fn retries(&self) -> impl Iterator<Item = Time> {
        self.0.values().filter_map(|delegation| delegation.retry_at)
    }
}

impl Platform {
    /// Starts a delegation. Returns its id, and whether its status can be followed in the feed.
    pub(crate) fn begin_delegation(
        &mut self,
        now: Now,
        source: &WorkspaceId,
        target: &WorkspaceId,
        task: String,
        key: Option<String>,
    ) -> (DelegationId, bool) {
        let id = self.random.delegation_id();
        self.give_key_free(source, key.as_deref());
        let asked_row = self.log_asked(now, source, target, &task, id.as_str(), DelegationStatus::Dispatched);
        if let Some(row) = self.workspaces.get_mut(source) {
            row.last_outbound = Some(now);
        }
        let delegation = Delegation {
            source: source.clone(),
            target: target.clone(),
            task,
            key,
            asked_row,
            result_row: None,
            status: DelegationStatus::Dispatched,
            created: now.unix,
            updated: now.unix,
            said: None,
            arrived_late: false,
            retry_at: None,
            retried: false,
        };
        self.mail.delegations.0.insert(id.clone(), delegation);
        self.emit(now, source, "DELEGATION_SENT", || json!({"delegation_id": id, "target_id": target}));
        self.carry_out(now, &id);
        (id, asked_row.is_some())
    }

    /// Writes the row of a new delegation.
    pub(crate) fn log_asked(
        &mut self,
        now: Now,
        source: &WorkspaceId,
        target: &WorkspaceId,
        task: &str,
        id: &str,
        status: DelegationStatus,
    ) -> Option<i64> {
        let mut row = self.delegation_row(now, source, "delegate", format!("Delegating to {target}"), status);
        row.target_id = Some(target.clone());
        row.request_body = Some(json!({"task": task, "delegation_id": id}));
        row.response_body = (self.config.dialect == Dialect::Current).then(|| json!({"delegation_id": id}));
        self.log(now, row)
    }

    pub(crate) fn delegation_row(
        &mut self,
        now: Now,
        source: &WorkspaceId,
        method: &str,
        summary: String,
        status: DelegationStatus,
    ) -> ActivityRow {
        let mut row = self.new_activity(now, source, ActivityType::Delegation);
        row.source_id = Some(source.clone());
        row.method = Some(method.to_owned());
        row.summary = Some(summary);
        row.status = status.to_string();
        row
    }

    /// Releases the key of a failed delegation, so that the next one can use it. On April's server its first row is
    /// removed too.
    fn give_key_free(&mut self, source: &WorkspaceId, key: Option<&str>) {
        let failed = |delegation: &&mut Delegation| {
            delegation.source == *source && delegation.key.is_some() && delegation.key.as_deref() == key
        };
        let Some(delegation) = self.mail.delegations.0.values_mut().find(failed) else { return };
        delegation.key = None;
        if let Some(seq) = delegation.asked_row.take() {
            self.feed.remove(source, seq);
        }
    }

    fn carry_out(&mut self, now: Now, id: &DelegationId) {
        let Some(delegation) = self.mail.delegations.0.get(id) else { return };
        let (source, target, task) = (delegation.source.clone(), delegation.target.clone(), delegation.task.clone());
        if !self.may_talk(source.as_str(), target.as_str()) {
            let refusal = Refusal::new(http::StatusCode::FORBIDDEN, crate::a2a::DENIED);
            return self.delegated(now, id, &refusal.into());
        }
        let envelope = Envelope::delegation(self.config.dialect, &mut self.random, id.as_str(), &task);
        let sender = Sender { source: Some(source), class: SenderClass::Agent, unbounded: false };
        self.send(now, Delivery { target, sender, envelope, purpose: Purpose::Delegation(id.clone()) });
    }

    /// Retries the delegations whose retry is due.
    pub(crate) fn settle_delegations(&mut self, now: Now) {
        let due = |delegation: &Delegation| delegation.retry_at.is_some_and(|at| at <= now.mono);
        let all = self.mail.delegations.0.iter_mut();
        let mut again = Vec::new();
        for (id, delegation) in all.filter(|(_, delegation)| due(delegation)) {
            delegation.retry_at = None;
            delegation.retried = true;
            again.push(id.clone());
        }
        again.iter().for_each(|id| self.carry_out(now, id));
    }

    /// Takes the outcome of a delegation's call.
    pub(crate) fn delegated(&mut self, now: Now, id: &DelegationId, response: &Response) {
        let (status, body) = (response.status(), response.body());
        let Some(delegation) = self.mail.delegations.0.get_mut(id) else { return };
        let refused = match A2aAnswer::read(body) {
            A2aAnswer::Refused(refusal) => Some(refusal),
            _ => None,
        };
        let restarting = refused.as_ref().is_some_and(|refusal| refusal.restarting == Some(true));
        if (status == http::StatusCode::BAD_GATEWAY || restarting) && !delegation.retried {
            delegation.retry_at = Some(now.mono + RETRY);
            return;
        }
        // An error with a success status counts as an answer, unless it is the platform's own.
        let own =
            refused.as_ref().is_some_and(|refusal| refusal.kind(status) == molecule_proto::RefusalKind::EmptyReply);
        if !status.is_success() || own {
            let error = refused.map_or_else(|| status.to_string(), |refusal| refusal.error);
            return self.end_delegation(now, id, DelegationStatus::Failed, error);
        }
        match A2aAnswer::read(body) {
            A2aAnswer::Queued(_) => self.end_delegation(now, id, DelegationStatus::Queued, String::new()),
            _ => self.end_delegation(now, id, DelegationStatus::Completed, reply_text(body)),
        }
    }

    /// Takes the answer to a queued task. It is written to the result row only: the first row and the key still say
    /// that the task is queued.
    pub(crate) fn delegated_late(&mut self, now: Now, id: &DelegationId, response: &Response) {
        let Some(delegation) = self.mail.delegations.0.get_mut(id) else { return };
        let (source, seq) = (delegation.source.clone(), delegation.result_row);
        let text = reply_text(response.body());
        delegation.arrived_late = true;
        delegation.updated = now.unix;
        delegation.said = Some(text.clone());
        if self.config.pushes_results {
            self.push_result(now, &source, id.as_str(), Ok(&text));
        }
        let summary = self.completed(&text);
        let row = seq.and_then(|seq| self.feed.row(&source, seq));
        if let (Some(row), Some(summary)) = (row, summary) {
            row.status = DelegationStatus::Completed.to_string();
            row.summary = Some(summary);
            row.response_body = Some(json!({"text": text, "delegation_id": id}));
        }
    }

    /// Writes a delegation's end to both of its rows; `said` is the answer or the error.
    fn end_delegation(&mut self, now: Now, id: &DelegationId, status: DelegationStatus, said: String) {
        let Some(delegation) = self.mail.delegations.0.get_mut(id) else { return };
        delegation.status = status.clone();
        delegation.updated = now.unix;
        delegation.said = Some(said.clone()).filter(|_| status != DelegationStatus::Queued);
        let (source, target) = (delegation.source.clone(), delegation.target.clone());
        let (asked_row, failed) = (delegation.asked_row, status == DelegationStatus::Failed);
        if let Some(row) = asked_row.and_then(|seq| self.feed.row(&source, seq)) {
            row.status = status.to_string();
            row.error_detail = failed.then(|| said.clone());
        }
        self.tell_of_end(now, id, &source, &status, &said);
        // April's server does not write the id of a failed delegation.
        let handle = (self.config.dialect == Dialect::Current).then(|| json!({"delegation_id": id}));
        let (summary, body) = match status {
            DelegationStatus::Completed => (self.completed(&said), Some(json!({"text": said, "delegation_id": id}))),
            DelegationStatus::Failed => (Some("Delegation failed".to_owned()), handle),
            // The text for a queued delegation was never recorded.
            _ => (Some("Delegation queued".to_owned()), Some(json!({"queued": true, "delegation_id": id}))),
        };
        self.push_end(now, &source, id, &status, &said);
        let Some(summary) = summary else { return };
        let mut row = self.delegation_row(now, &source, "delegate_result", summary, status);
        row.target_id = Some(target);
        row.error_detail = failed.then_some(said);
        row.response_body = body;
        let seq = self.log(now, row);
        if let Some(delegation) = self.mail.delegations.0.get_mut(id) {
            delegation.result_row = seq;
        }
    }

    /// Tells the event streams of the source about the end. The data of these events was never recorded.
    fn tell_of_end(
        &mut self,
        now: Now,
        id: &DelegationId,
        source: &WorkspaceId,
        status: &DelegationStatus,
        said: &str,
    ) {
        self.emit(now, source, "DELEGATION_STATUS", || json!({"delegation_id": id, "status": status}));
        match status {
            DelegationStatus::Completed => {
                self.emit(
                    now,
                    source,
                    "DELEGATION_COMPLETE",
                    || json!({"delegation_id": id, "response_preview": said}),
                );
            }
            DelegationStatus::Failed => {
                self.emit(now, source, "DELEGATION_FAILED", || json!({"delegation_id": id, "error": said}));
            }
            _ => {}
        }
    }

    /// Writes the end of a delegation to the feed of its source, if the server is configured to do so. With a ledger it
    /// omits tasks that were answered at once.
    fn push_end(&mut self, now: Now, source: &WorkspaceId, id: &DelegationId, status: &DelegationStatus, said: &str) {
        let completed = *status == DelegationStatus::Completed;
        let ended = completed || *status == DelegationStatus::Failed;
        if self.config.pushes_results && ended && !(completed && self.config.delegation_ledger) {
            self.push_result(now, source, id.as_str(), if completed { Ok(said) } else { Err(said) });
        }
    }

    /// Writes the row that shows a result in the feed.
    pub(crate) fn push_result(&mut self, now: Now, source: &WorkspaceId, id: &str, result: Result<&str, &str>) {
        if self.config.dialect == Dialect::April {
            return;
        }
        let mut row = self.new_activity(now, source, ActivityType::A2aReceive);
        row.source_id = Some(source.clone());
        row.method = Some("delegate_result".to_owned());
        row.summary = Some("Delegation result".to_owned());
        row.request_body = Some(json!({"delegation_id": id}));
        row.response_body = Some(json!({"text": result.unwrap_or_default(), "delegation_id": id}));
        if let Err(error) = result {
            row.status = "error".to_owned();
            row.error_detail = Some(error.to_owned());
        }
        self.log(now, row);
    }

    /// The summary of a completed delegation. April's server cuts its text after 80 bytes, and a cut within a character
    /// leaves no row.
    pub(crate) fn completed(&self, text: &str) -> Option<String> {
        let short = match self.config.dialect {
            _ if text.len() <= SUMMARY => text.to_owned(),
            Dialect::April if !text.is_char_boundary(SUMMARY) => return None,
            Dialect::April => format!("{}...", beginning(text, SUMMARY)),
            Dialect::Current => format!("{}…", beginning(text, SUMMARY - '…'.len_utf8())),
        };
        Some(format!("Delegation completed ({short})"))
    }
}

/// The text of an agent's answer: the first text of the message, else of the task's artifacts, else the whole body.
/// Only parts with `kind` count.
pub(crate) fn reply_text(body: &[u8]) -> String {
    let whole = || String::from_utf8_lossy(body).into_owned();
    let Ok(answer) = serde_json::from_slice::<RpcAnswer>(body) else { return whole() };
    let result = answer.result.unwrap_or_default();
    let first = |parts: &Value| {
        let texts = parts.as_array()?.iter().filter(|part| part["kind"] == "text");
        texts.filter_map(|part| part["text"].as_str()).next().map(str::to_owned)
    };
    let artifacts = || result["artifacts"].as_array()?.iter().find_map(|artifact| first(&artifact["parts"]));
    first(&result["parts"]).or_else(artifacts).unwrap_or_else(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_answer_is_where_the_server_looks_for_it() {
        let text = |value: Value| reply_text(value.to_string().as_bytes());
        assert_eq!(text(json!({"result": {"parts": [{"kind": "text", "text": "m"}]}})), "m");
        let task = json!({"result": {"parts": [], "artifacts": [{"parts": [{"kind": "data", "data": 1}]},
                                                                {"parts": [{"kind": "text", "text": "t"}]}]}});
        assert_eq!(text(task), "t");
        let typed = json!({"result": {"parts": [{"type": "text", "text": "m"}]}});
        assert_eq!(text(typed.clone()), typed.to_string());
        assert_eq!(reply_text(b"plain"), "plain");
        assert_eq!(reply_text(b""), "");
    }
}
