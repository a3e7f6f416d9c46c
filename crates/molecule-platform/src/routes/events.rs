//! `GET /workspaces/:id/events/stream` (contract section 18.6; April 11).

use molecule_proto::WorkspaceId;

use crate::platform::{Call, Platform};
use crate::reply::{Handled, Refusal};

impl Platform {
    pub(crate) fn event_stream(&mut self, call: &Call<'_>, id: &str) -> Result<Handled, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let id = id.parse::<WorkspaceId>().map_err(|_| Refusal::internal("lookup failed"))?;
        if !self.workspaces.contains_key(&id) {
            return Err(Refusal::not_found("workspace not found"));
        }
        Ok(Handled::Stream(self.open_stream(id)))
    }
}
