//! `/workspaces/:id/schedules` of the current server, which hands everything on to the agent (contract sections 10.4 and
//! 18.4). April's server stores schedules itself; those routes are not modelled.

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderValue;
use molecule_proto::{DeliveryMode, WorkspaceId, header};
use serde_json::{Map, Value, json};

use crate::json::Fields;
use crate::platform::{Call, Platform};
use crate::reply::{Handled, Refusal};
use crate::routes::uploads::no_callback;

const PATH: &str = "/internal/schedules";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Platform {
    /// Asks the agent for its schedules.
    pub(crate) fn list_schedules(&mut self, call: &Call<'_>, id: &str) -> Result<Handled, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.ask_for_schedules(call, id)
    }

    /// The same for another workspace that may talk to the agent.
    pub(crate) fn schedules_health(&mut self, call: &Call<'_>, id: &str) -> Result<Handled, Refusal> {
        if !call.headers.contains_key(header::WORKSPACE_ID) {
            return Err(Refusal::unauthorized("X-Workspace-ID header required"));
        }
        self.a2a_caller(call, id)?;
        self.ask_for_schedules(call, id)
    }

    /// Lets the agent create a schedule, after a call that makes it load its daemons again.
    pub(crate) fn create_schedule(&mut self, call: &Call<'_>, id: &str, body: &[u8]) -> Result<Handled, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        let schedule = Bytes::from(for_agent(&Fields::read(body)?).to_string());
        let id = match self.keeper(id)? {
            Ok(id) => id,
            Err(answered) => return Ok(answered),
        };
        let reload = ("/internal/daemons/reload", (JSON, Bytes::from_static(b"{}")));
        self.forward_after(call.now, &id, reload, (PATH, (JSON, schedule)))
    }

    fn ask_for_schedules(&mut self, call: &Call<'_>, id: &str) -> Result<Handled, Refusal> {
        match self.keeper(id)? {
            Ok(id) => self.forward_get(call.now, &id, PATH),
            Err(answered) => Ok(answered),
        }
    }

    /// The workspace, if its agent can be asked.
    fn keeper(&self, id: &str) -> Result<Result<WorkspaceId, Handled>, Refusal> {
        self.database()?;
        let id: WorkspaceId = id.parse().map_err(|_| Refusal::internal("lookup failed"))?;
        let row = self.workspaces.get(&id).ok_or(Refusal::not_found("workspace not found"))?;
        if row.url.is_empty() {
            return Ok(Err(no_callback("schedules").into()));
        }
        if row.delivery_mode == DeliveryMode::Poll {
            return Err(Refusal::new(StatusCode::BAD_GATEWAY, "schedule backend error"));
        }
        Ok(Ok(id))
    }
}

/// A schedule in the agent's words.
fn for_agent(fields: &Fields) -> Value {
    let mut schedule = Map::new();
    for (name, of_agent) in [("name", "name"), ("cron_expr", "cron"), ("timezone", "timezone"), ("prompt", "prompt")] {
        if let Some(value) = fields.raw(name) {
            schedule.insert(of_agent.to_owned(), value.clone());
        }
    }
    schedule.insert("enabled".to_owned(), fields.raw("enabled").cloned().unwrap_or(json!(true)));
    schedule.insert("source".to_owned(), json!("runtime"));
    Value::Object(schedule)
}
