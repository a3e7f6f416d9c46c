//! Pause, resume and deletion (contract sections 16.4 and 16.5; April 10.2).

use http::StatusCode;
use molecule_proto::{
    AlreadyRemoved, ChildrenNotConfirmed, DeleteAnswer, Dialect, HasDescendants, NameNotConfirmed, NamedWorkspace,
    PauseAnswer, ResumeAnswer, WorkspaceId, WorkspaceStatus, header,
};
use serde_json::json;

use crate::owner::{PauseRefused, ResumeRefused};
use crate::platform::{Call, Platform};
use crate::reply::{self, Refusal, Response};
use crate::router;

const NOT_PAUSABLE: &str = "workspace not found or already paused";
const NOT_RESUMABLE: &str = "workspace not found or not paused";

impl Platform {
    pub(crate) fn post_pause(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let id = id.parse().map_err(|_| Refusal::not_found(NOT_PAUSABLE))?;
        match self.pause(call.now, &id, says(call, "cascade")) {
            Ok(count) => Ok(reply::ok(&PauseAnswer::paused(count))),
            Err(PauseRefused::NotFound) => Err(Refusal::not_found(NOT_PAUSABLE)),
            Err(PauseRefused::Descendants(below)) => {
                let error = "workspace has descendants — use ?cascade=true to pause all";
                Ok(self.has_descendants(error, &below))
            }
        }
    }

    /// The texts of the two conflicts were never recorded.
    pub(crate) fn post_resume(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let id = id.parse().map_err(|_| Refusal::not_found(NOT_RESUMABLE))?;
        match self.resume(call.now, &id, says(call, "cascade")) {
            Ok(count) => Ok(reply::ok(&ResumeAnswer::provisioning(count))),
            Err(ResumeRefused::NotPaused) => Err(Refusal::not_found(NOT_RESUMABLE)),
            Err(ResumeRefused::NoProvisioner) => {
                Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "provisioner not available"))
            }
            Err(ResumeRefused::ParentPaused) => Err(Refusal::new(StatusCode::CONFLICT, "parent workspace is paused")),
            Err(ResumeRefused::Descendants(below)) => {
                let error = "workspace has paused descendants — use ?cascade=true to resume all";
                Ok(self.has_descendants(error, &below))
            }
        }
    }

    /// Both servers accept it for external workspaces too; on April's it has no effect (April contract section 3.1).
    /// Its refusal was never recorded.
    pub(crate) fn post_hibernate(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.workspace_auth(call.now.unix, call.headers, id)?;
        self.database()?;
        let slept = id.parse().is_ok_and(|id| self.hibernate(call.now, &id));
        if !slept {
            return Err(Refusal::not_found("workspace not found"));
        }
        Ok(reply::ok(&json!({"status": WorkspaceStatus::Hibernated})))
    }

    fn has_descendants(&self, error: &str, below: &[WorkspaceId]) -> Response {
        reply::json(StatusCode::CONFLICT, &HasDescendants::new(error, self.named(below)))
    }

    fn named(&self, ids: &[WorkspaceId]) -> Vec<NamedWorkspace> {
        let rows = ids.iter().filter_map(|id| self.workspaces.get(id));
        rows.map(|row| NamedWorkspace::new(row.id.clone(), row.name.clone())).collect()
    }

    pub(crate) fn delete_workspace(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Refusal> {
        self.admin_auth(call.now.unix, call.headers)?;
        let id = id.parse::<WorkspaceId>().map_err(|_| Refusal::bad_request("invalid workspace ID"))?;
        if self.config.dialect == Dialect::Current
            && let Some(refused) = self.confirm_name(call, &id)
        {
            return Ok(refused);
        }
        let children = self.children(&id);
        if !children.is_empty() && !says(call, "confirm") {
            let refusal = ChildrenNotConfirmed::new(self.named(&children));
            return Ok(reply::json(StatusCode::CONFLICT, &refusal));
        }
        let purge = says(call, "purge");
        let cascade = self.delete(call.now, &id, purge).unwrap_or(0);
        Ok(reply::ok(&DeleteAnswer::new(purge, cascade)))
    }

    /// The refusal of the current server, if the request does not repeat the name of the workspace to delete.
    fn confirm_name(&self, call: &Call<'_>, id: &WorkspaceId) -> Option<Response> {
        let Some(row) = self.workspaces.get(id) else {
            return Some(Refusal::not_found("workspace not found").into());
        };
        if row.is_removed() {
            return Some(reply::json(StatusCode::GONE, &AlreadyRemoved::new(id.clone())));
        }
        let said = call.headers.get(header::CONFIRM_NAME);
        if said.is_some_and(|said| said.as_bytes() == row.name.as_bytes()) {
            return None;
        }
        let children = self.children(id).len() as u64;
        let refusal = NameNotConfirmed::new(row.name.clone(), row.reported.active_tasks, children);
        Some(reply::json(StatusCode::BAD_REQUEST, &refusal))
    }

    fn children(&self, id: &WorkspaceId) -> Vec<WorkspaceId> {
        let children = self.workspaces.values().filter(|row| row.parent.as_ref() == Some(id) && !row.is_removed());
        children.map(|row| row.id.clone()).collect()
    }
}

fn says(call: &Call<'_>, key: &str) -> bool {
    router::query(call.query, key) == Some("true")
}
