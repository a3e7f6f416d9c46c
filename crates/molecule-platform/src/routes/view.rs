//! `GET /workspaces/:id`, the open view (contract section 7.2; April 5.3), and the administrator's list of all
//! workspaces.

use http::StatusCode;
use molecule_proto::{Dialect, RemovedWorkspace, WorkspaceId};
use serde_json::Value;

use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};
use crate::router;
use crate::workspace::Workspace;

const HINT: &str = "Create a replacement workspace in Canvas, then open Settings → Workspace Tokens → + New Token";

impl Platform {
    pub(crate) fn view(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        let id = id.parse::<WorkspaceId>().map_err(|_| Refusal::bad_request("invalid workspace ID"))?;
        if self.database_down {
            return Err(Refusal::internal("query failed"));
        }
        let row = self.workspaces.get(&id).ok_or(Refusal::not_found("workspace not found"))?;
        let dialect = self.config.dialect;
        let asked_for = router::query(call.query, "include_removed") == Some("true");
        if row.is_removed() && dialect == Dialect::Current && !asked_for {
            return Ok(reply::json(StatusCode::GONE, &RemovedWorkspace::new(id, HINT, row.updated)));
        }
        Ok(reply::ok(&row.view(dialect)))
    }

    /// `GET /workspaces`: the workspaces that are not removed, with fields that the open view hides.
    pub(crate) fn list_workspaces(&mut self, call: &Call<'_>) -> Result<Response, Refusal> {
        self.admin_auth(call.now.unix, call.headers)?;
        let mut rows: Vec<&Workspace> = self.workspaces.values().filter(|row| !row.is_removed()).collect();
        rows.sort_by_key(|row| row.created.mono);
        let rows: Vec<Value> = rows.into_iter().map(|row| self.listed(row)).collect();
        Ok(reply::ok(&rows))
    }

    fn listed(&self, row: &Workspace) -> Value {
        let mut value = serde_json::to_value(row.view(self.config.dialect)).unwrap_or_default();
        if let Value::Object(fields) = &mut value {
            fields.remove("last_outbound_at");
            fields.insert("last_sample_error".to_owned(), row.reported.sample_error.clone().into());
            fields.insert("current_task".to_owned(), row.reported.current_task.clone().into());
            fields.insert("workspace_dir".to_owned(), Value::Null);
            fields.insert("monthly_spend".to_owned(), row.reported.monthly_spend.into());
            fields.insert("budget_limit".to_owned(), row.budget_limit.into());
        }
        value
    }
}
