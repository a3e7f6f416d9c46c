//! The endpoints of a workspace: secrets, budget, state and the open view (contract sections 7, 8 and 18).

use std::borrow::Cow;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use molecule_proto::{ErrorBody, StateAnswer, WorkspaceId, WorkspaceStatus, WorkspaceView, path};

use super::{Endpoint, JsonEndpoint, Mismatch, Repeat, json};
use crate::error::Result;
use crate::session::{Auth, Draft};

/// `GET /workspaces/:id/secrets/values`: the workspace's secrets (contract section 8). At most 1 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secrets;

impl JsonEndpoint for Secrets {
    type Answer = molecule_proto::Secrets;
    const OPERATION: &'static str = "pull secrets";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object of texts";
    const EVERYWHERE: bool = true;
    const MAX_BODY: u64 = 1024 * 1024;

    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str> {
        path::secret_values(workspace).into()
    }
}

/// `GET /workspaces/:id/budget`: the workspace's limit and spend (contract section 18.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget;

impl JsonEndpoint for Budget {
    type Answer = molecule_proto::Budget;
    const OPERATION: &'static str = "look at the budget";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with monthly_spend";
    const EVERYWHERE: bool = true;

    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str> {
        path::below(workspace, "budget").into()
    }
}

/// `GET /workspaces/:id/state`: whether the workspace is paused (contract section 7.1). At most 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollState;

impl Endpoint for PollState {
    type Answer = StateAnswer;
    const OPERATION: &'static str = "poll state";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with workspace_id, status, paused and deleted";
    const EVERYWHERE: bool = true;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, path::state(workspace), Auth::Bearer))
    }

    /// A 404 with `"deleted":true` is an answer too; a 404 without it means a wrong route.
    fn accepts(&self, answer: &Response<Bytes>) -> bool {
        let deleted = || json::<StateAnswer>(answer).is_ok_and(|state| state.deleted);
        answer.status().is_success() || (answer.status() == StatusCode::NOT_FOUND && deleted())
    }

    fn is_about(&self, workspace: &WorkspaceId, answer: &Response<Bytes>) -> bool {
        json::<StateAnswer>(answer).map_or(true, |state| state.workspace_id == *workspace)
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        json(answer)
    }
}

/// `GET /workspaces/:id`, which needs no credential. Only this endpoint shows reliably that a workspace was deleted
/// (contract sections 7.2 and 7.3). At most 1 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View;

/// The answer of the open view.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Existence {
    /// The workspace exists.
    Present(Box<WorkspaceView>),
    /// The workspace was removed: 410 `workspace removed` with its id, or 200 with the status `removed` (April).
    Removed,
    /// The workspace does not exist, or no longer: 404 `workspace not found`.
    NotFound,
}

impl Endpoint for View {
    type Answer = Existence;
    const OPERATION: &'static str = "look at the workspace";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with id and status";
    const EVERYWHERE: bool = true;
    const REPEATS_500: bool = true;
    const MAX_BODY: u64 = 1024 * 1024;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, path::workspace(workspace), Auth::Open))
    }

    /// Only the platform's own words count (contract section 7.3). Every other 404 or 410 comes from the tenant gate, a
    /// framework or a gateway, and says nothing about the workspace.
    fn accepts(&self, answer: &Response<Bytes>) -> bool {
        let says = |words: &str| json::<ErrorBody>(answer).is_ok_and(|body| body.error == words);
        match answer.status() {
            StatusCode::NOT_FOUND => says("workspace not found"),
            StatusCode::GONE => says("workspace removed"),
            status => status.is_success(),
        }
    }

    fn is_about(&self, workspace: &WorkspaceId, answer: &Response<Bytes>) -> bool {
        #[derive(serde::Deserialize)]
        struct Named {
            id: WorkspaceId,
        }
        match (answer.status(), molecule_proto::json::read_known::<Named>(answer.body())) {
            // The body names no workspace.
            (StatusCode::NOT_FOUND, _) => true,
            (_, Ok(named)) => named.id == *workspace,
            (status, Err(_)) => status != StatusCode::GONE,
        }
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        match answer.status() {
            StatusCode::GONE => return Ok(Existence::Removed),
            StatusCode::NOT_FOUND => return Ok(Existence::NotFound),
            _ => {}
        }
        let view = WorkspaceView::read(answer.body())?;
        if view.status == WorkspaceStatus::Removed {
            return Ok(Existence::Removed);
        }
        Ok(Existence::Present(Box::new(view)))
    }
}
