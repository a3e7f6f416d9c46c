//! Endpoints of the platform that only the tools ask (contract sections 18.3 and 18.5). Not on April's server.

use std::borrow::Cow;

use molecule_async::core::proto::path;
use molecule_async::extend::http::{Method, Response};
use molecule_async::extend::{Auth, Bytes, Draft, Endpoint, JsonEndpoint, Mismatch, Repeat, json};
use molecule_async::{ActivityId, Result, WorkspaceId};
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

/// A route of requests below `/workspaces/:self`: a list, one of them, or something that is done with it.
#[derive(Debug, Clone)]
pub(super) struct Requests {
    /// The path below `requests`, which begins with a slash unless it is empty.
    rest: String,
    /// What is posted; nothing is for a read.
    body: Option<Value>,
}

impl Requests {
    /// `GET /workspaces/:self/requests`: those that this workspace raised.
    pub(super) fn raised() -> Self {
        Self { rest: String::new(), body: None }
    }

    /// `GET /workspaces/:self/requests/inbox`: those that are for this workspace.
    pub(super) fn received() -> Self {
        Self { rest: "/inbox".to_owned(), body: None }
    }

    /// `GET /workspaces/:self/requests/:id`.
    pub(super) fn one(id: &ActivityId) -> Self {
        Self { rest: format!("/{id}"), body: None }
    }

    /// `POST /workspaces/:self/requests/:id/<act>`: `respond`, `messages` or `cancel`.
    pub(super) fn act(id: &ActivityId, act: &'static str, body: Value) -> Self {
        Self { rest: format!("/{id}/{act}"), body: Some(body) }
    }
}

/// Its answer is any JSON, so that it has no declaration of its own for each route.
impl Endpoint for Requests {
    type Answer = Value;
    const OPERATION: &'static str = "look after requests";
    // A message that may have arrived would stand in the thread twice.
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "JSON";
    const MAX_BODY: u64 = 4 * 1024 * 1024;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        let path = format!("{}{}", path::below(workspace, "requests"), self.rest);
        match &self.body {
            None => Ok(Draft::new(Method::GET, path, Auth::Bearer)),
            Some(body) => Draft::new(Method::POST, path, Auth::Bearer).json(body),
        }
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        json(answer)
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
