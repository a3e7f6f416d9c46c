//! Endpoints of the platform that only the tools ask (contract sections 18.3 and 18.5). Not on April's server.

use std::borrow::Cow;

use molecule_async::core::proto::path;
use molecule_async::extend::http::Method;
use molecule_async::extend::{Draft, JsonEndpoint, Repeat};
use molecule_async::{Result, WorkspaceId};
use serde::Serialize;
use serde_json::{Map, Value};

/// `POST /workspaces/:self/requests`: asks the user for something. Every request is a new one, so that it is not sent again
/// if it may have arrived.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RaiseRequest {
    pub(super) kind: String,
    pub(super) recipient_type: &'static str,
    pub(super) title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) priority: Option<i64>,
}

impl JsonEndpoint for RaiseRequest {
    type Answer = Map<String, Value>;
    const OPERATION: &'static str = "create a request";
    const METHOD: Method = Method::POST;
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "an object with request_id";

    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str> {
        path::below(workspace, "requests").into()
    }

    fn body(&self, draft: Draft, _: &WorkspaceId) -> Result<Draft> {
        draft.json(self)
    }
}

/// `POST /workspaces/:self/broadcast`: a message to the whole organisation.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Broadcast {
    pub(super) message: String,
}

impl JsonEndpoint for Broadcast {
    type Answer = Map<String, Value>;
    const OPERATION: &'static str = "broadcast";
    const METHOD: Method = Method::POST;
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "an object with status";

    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str> {
        path::below(workspace, "broadcast").into()
    }

    fn body(&self, draft: Draft, _: &WorkspaceId) -> Result<Draft> {
        draft.json(self)
    }
}
