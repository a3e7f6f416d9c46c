//! The endpoints of discovery (contract section 6).

use std::borrow::Cow;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use molecule_proto::{CheckAccessAnswer, CheckAccessRequest, DiscoverAnswer, ErrorBody, Peer, Rows, WorkspaceId, path};

use super::{Endpoint, JsonEndpoint, Mismatch, Repeat, json, rows};
use crate::error::Result;
use crate::session::{Auth, Draft};

/// `GET /registry/:id/peers` (contract section 6.3). At most 4 MiB. Use [`ListPeers`](crate::machines::ListPeers),
/// which caches the URLs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peers {
    /// Only peers whose name or role contains this text. April's server usually answers it with an empty 500.
    pub matching: Option<String>,
}

impl Peers {
    /// Lists only peers whose name or role contains a text.
    #[must_use]
    pub fn matching(mut self, text: impl Into<String>) -> Self {
        self.matching = Some(text.into());
        self
    }
}

impl JsonEndpoint for Peers {
    type Answer = Rows<Peer>;
    const OPERATION: &'static str = "list peers";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "a list";
    const EVERYWHERE: bool = true;
    const NAMED: bool = true;
    const MAX_BODY: u64 = 4 * 1024 * 1024;

    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str> {
        match &self.matching {
            Some(text) => path::peers_matching(workspace, text).into(),
            None => path::peers(workspace).into(),
        }
    }

    fn read(answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        rows(answer)
    }
}

/// `GET /registry/discover/:id` (contract section 6.2). Use [`DiscoverPeer`](crate::machines::DiscoverPeer), which
/// caches the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discover(pub WorkspaceId);

impl Discover {
    /// The platform's answers without a URL: the agent is offline or has no URL, its URL is not safe, the two
    /// workspaces may not talk to each other, or the workspace does not exist.
    const NOWHERE: [(StatusCode, &'static str); 4] = [
        (StatusCode::SERVICE_UNAVAILABLE, "workspace not available"),
        (StatusCode::SERVICE_UNAVAILABLE, "workspace URL failed safety check"),
        (StatusCode::FORBIDDEN, "not authorized to discover this workspace"),
        (StatusCode::NOT_FOUND, "workspace not found"),
    ];
}

impl Endpoint for Discover {
    type Answer = Option<DiscoverAnswer>;
    const OPERATION: &'static str = "discover peer";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with a url";
    const EVERYWHERE: bool = true;

    fn draft(&self, _: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::GET, path::discover(&self.0), Auth::Bearer).named())
    }

    fn is_doubtful(&self, answer: &Response<Bytes>) -> bool {
        answer.status() == StatusCode::FORBIDDEN && self.accepts(answer)
    }

    fn accepts(&self, answer: &Response<Bytes>) -> bool {
        let said = |(status, text): &(StatusCode, &str)| {
            answer.status() == *status && json::<ErrorBody>(answer).is_ok_and(|body| body.error == *text)
        };
        answer.status().is_success() || Self::NOWHERE.iter().any(said)
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        if !answer.status().is_success() {
            return Ok(None);
        }
        json(answer).map(Some)
    }
}

/// `POST /registry/check-access` (contract section 6.4): whether this agent may talk to that workspace. It needs no
/// credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckAccess(WorkspaceId);

impl CheckAccess {
    /// Asks whether the agent may talk to this workspace.
    ///
    /// # Errors
    /// `Config` if the id is not a UUID.
    pub fn new(id: impl AsRef<str>) -> Result<Self> {
        crate::config::workspace_id(<Self as JsonEndpoint>::OPERATION, id).map(Self)
    }
}

impl JsonEndpoint for CheckAccess {
    type Answer = bool;
    const OPERATION: &'static str = "check access";
    const METHOD: Method = Method::POST;
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with allowed";
    const EVERYWHERE: bool = true;

    fn path(&self, _: &WorkspaceId) -> Cow<'static, str> {
        path::CHECK_ACCESS.into()
    }

    fn auth(&self) -> Auth {
        Auth::Open
    }

    fn body(&self, draft: Draft, workspace: &WorkspaceId) -> Result<Draft> {
        draft.json(&CheckAccessRequest::new(workspace.clone(), self.0.clone()))
    }

    fn read(answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        json::<CheckAccessAnswer>(answer).map(|answer| answer.allowed)
    }
}
