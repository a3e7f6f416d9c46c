//! `POST /registry/update-card` (contract section 6.1; April 4.3).

use molecule_proto::{Dialect, UpdateCardAnswer};
use serde_json::{Value, json};

use crate::json::{Fields, Malformed, holds_nul};
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};
use crate::url_rules;

impl Platform {
    pub(crate) fn update_card(&mut self, call: &Call<'_>, body: &[u8]) -> Result<Response, Refusal> {
        let fields = Fields::read(body)?;
        let id = fields.text("workspace_id")?;
        let card = fields.raw("agent_card").ok_or(Malformed)?;
        if id.is_empty() {
            return Err(Malformed.into());
        }
        self.registry_auth(call.now.unix, call.headers, &id)?;
        let url = card.get("url").and_then(Value::as_str).unwrap_or_default();
        let checked = self.config.dialect == Dialect::Current && !url.is_empty();
        if checked && !url_rules::is_safe(&self.config, url) {
            return Err(Refusal::bad_request("workspace URL not allowed"));
        }
        let is_uuid = id.parse::<molecule_proto::WorkspaceId>().is_ok();
        if self.database_down || holds_nul(card) || !is_uuid {
            return Err(Refusal::internal("failed to update card"));
        }
        // Unknown ids get the same answer, and the row of a removed workspace is changed.
        if let Some(row) = self.row(&id) {
            row.agent_card = Some(card.clone());
            row.updated = call.now.unix;
            let id = row.id.clone();
            self.emit(call.now, &id, "AGENT_CARD_UPDATED", || json!({"agent_card": card}));
        }
        Ok(reply::ok(&UpdateCardAnswer::updated()))
    }
}
