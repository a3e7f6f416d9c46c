//! `GET /workspaces/:id/state` (contract section 7.1; April 5.1).

use http::StatusCode;
use molecule_proto::{StateAnswer, WorkspaceId};

use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};

impl Platform {
    pub(crate) fn state(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.own_token(call.now.unix, call.headers, id)?;
        let id = id.parse::<WorkspaceId>().map_err(|_| Refusal::internal("query failed"))?;
        Ok(match self.workspaces.get(&id) {
            Some(row) if !row.is_removed() => reply::ok(&StateAnswer::present(id, row.status.clone())),
            gone => reply::json(StatusCode::NOT_FOUND, &StateAnswer::deleted(id, gone.is_none())),
        })
    }
}
