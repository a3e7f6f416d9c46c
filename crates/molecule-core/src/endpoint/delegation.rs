//! The endpoints of delegation and of the queue (contract sections 11 and 14).

use std::borrow::Cow;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use molecule_proto::{
    DelegateAnswer, DelegateRequest, DelegationRow, ErrorBody, QueueId, QueueItem, Rows, WorkspaceId, path,
};

use super::{Endpoint, JsonEndpoint, Mismatch, Repeat, json, rows};
use crate::error::Result;
use crate::session::{Auth, Draft};

/// `POST /workspaces/:self/delegate` (contract section 14.1). Use [`Delegate`](crate::machines::Delegate), which gives
/// every delegation an idempotency key.
///
/// Because of that key it may be sent again: the platform answers the second request with the first delegation.
#[derive(Clone, PartialEq, Eq)]
pub struct DelegateOnce(pub DelegateRequest);

impl JsonEndpoint for DelegateOnce {
    type Answer = DelegateAnswer;
    const OPERATION: &'static str = "delegate";
    const METHOD: Method = Method::POST;
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with a delegation_id";

    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str> {
        path::delegate(workspace).into()
    }

    fn body(&self, draft: Draft, _: &WorkspaceId) -> Result<Draft> {
        draft.json(&self.0)
    }
}

impl std::fmt::Debug for DelegateOnce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DelegateOnce(to {}, {} bytes)", self.0.target_id, self.0.task.len())
    }
}

/// `GET /workspaces/:self/delegations` (contract section 14.2): rows of either shape, newest first, at most 50. At most
/// 4 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelegationRows;

impl JsonEndpoint for DelegationRows {
    type Answer = Rows<DelegationRow>;
    const OPERATION: &'static str = "list delegations";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "a list";
    const MAX_BODY: u64 = 4 * 1024 * 1024;

    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str> {
        path::delegations(workspace).into()
    }

    fn read(answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        rows(answer)
    }
}

/// `GET /workspaces/:self/a2a/queue/:item` (contract section 11): the status of a message that is or was queued for its
/// peer. Not on April's server. The platform does not compare the workspace in the path with the item's. At most 16
/// MiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStatus(pub QueueId);

impl Endpoint for QueueStatus {
    /// `None` if the item does not exist, or not yet.
    type Answer = Option<QueueItem>;
    const OPERATION: &'static str = "look at the queue";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with queue_id and status";
    const MAX_BODY: u64 = 16 * 1024 * 1024;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, path::a2a_queue(workspace, &self.0), Auth::Bearer).named())
    }

    /// A 404 of this route says whether to ask again. Any other 404 comes from a server without the route, or from a
    /// gateway.
    fn accepts(&self, answer: &Response<Bytes>) -> bool {
        let is_own = || json::<ErrorBody>(answer).is_ok_and(|body| body.retryable.is_some());
        answer.status().is_success() || (answer.status() == StatusCode::NOT_FOUND && is_own())
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        if !answer.status().is_success() {
            return Ok(None);
        }
        json(answer).map(Some)
    }
}
