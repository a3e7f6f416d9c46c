//! The abilities that an owner grants a workspace, and broadcasts (contract sections 16.6 and 18.5). Not on April's
//! server.

use http::StatusCode;
use molecule_proto::{ActivityType, Dialect, ErrorBody, Now, WorkspaceId};
use serde_json::json;

use crate::json::Fields;
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};

/// The longest text of a broadcast in a feed, in characters.
const SUMMARY: usize = 120;

impl Platform {
    pub(crate) fn patch_abilities(&mut self, call: &Call<'_>, id: &str, body: &[u8]) -> Result<Response, Refusal> {
        self.admin_auth(call.now.unix, call.headers)?;
        let fields = Fields::read(body)?;
        let [broadcast, talk_to_user, delegate] = ["broadcast_enabled", "talk_to_user_enabled", "can_delegate"]
            .map(|name| fields.raw(name).and_then(|value| value.as_bool()));
        if broadcast.or(talk_to_user).or(delegate).is_none() {
            return Err(Refusal::bad_request("at least one ability field required"));
        }
        let row = self.row(id).filter(|row| !row.is_removed()).ok_or(Refusal::not_found("workspace not found"))?;
        row.abilities.broadcast = broadcast.unwrap_or(row.abilities.broadcast);
        row.abilities.talk_to_user = talk_to_user.unwrap_or(row.abilities.talk_to_user);
        row.abilities.delegate = delegate.unwrap_or(row.abilities.delegate);
        Ok(reply::ok(&json!({"status": "updated"})))
    }

    /// Sends a broadcast to every other workspace below the same root. The platform stores no more than the beginning
    /// of the text.
    pub(crate) fn broadcast(&mut self, call: &Call<'_>, id: &str, body: &[u8]) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let message = Fields::read(body)?.text("message")?;
        if message.is_empty() {
            return Err(crate::json::Malformed.into());
        }
        let row = self.row(id).ok_or(Refusal::not_found("workspace not found"))?;
        if !row.abilities.broadcast {
            let mut body = ErrorBody::new("broadcast_disabled");
            let hint = "This workspace does not have the broadcast ability. Ask a user or admin to enable it via PATCH \
                        /workspaces/:id/abilities.";
            body.hint = Some(hint.to_owned());
            return Ok(reply::json(StatusCode::FORBIDDEN, &body));
        }
        let source = row.id.clone();
        let delivered = self.spread(call.now, &source, &message);
        Ok(reply::ok(&json!({"status": "sent", "delivered": delivered})))
    }

    /// Broadcasts a text of a workspace to every other one below the same root, whatever its abilities are (current
    /// server). Returns the number of receivers; `None` on April's server, or if there is no such workspace.
    pub fn send_broadcast(&mut self, now: Now, from: &WorkspaceId, text: &str) -> Option<usize> {
        let now = self.settle(now);
        self.live_on(Dialect::Current, from)?;
        Some(self.spread(now, from, text))
    }

    fn spread(&mut self, now: Now, source: &WorkspaceId, message: &str) -> usize {
        let name = self.workspaces.get(source).map(|row| row.name.clone()).unwrap_or_default();
        let short: String = message.chars().take(SUMMARY).collect();
        let ellipsis = if short.len() < message.len() { "…" } else { "" };
        let root = self.top_of(source);
        let others = self.workspaces.values().filter(|row| row.id != *source && !row.is_removed());
        let others: Vec<WorkspaceId> = others.map(|row| row.id.clone()).filter(|id| self.top_of(id) == root).collect();
        for other in &others {
            let mut row = self.new_activity(now, other, ActivityType::BroadcastReceive);
            row.source_id = Some(source.clone());
            row.method = Some("broadcast".to_owned());
            row.summary = Some(format!("Broadcast from {name}: {short}{ellipsis}"));
            self.log(now, row);
            self.emit(
                now,
                other,
                "BROADCAST_MESSAGE",
                || json!({"message": message, "sender": name, "sender_id": source}),
            );
        }
        others.len()
    }
}
