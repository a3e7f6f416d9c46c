//! A request for which no facade has a method.

use bytes::Bytes;
use molecule_core::Result;
use molecule_core::endpoint::{Auth, Draft, Endpoint, Mismatch, Repeat};
use molecule_core::proto::WorkspaceId;
use serde_json::Value;

/// `POST /workspaces/:self/…` with a JSON body; the answer is any JSON.
#[derive(Debug, Clone)]
pub struct Post {
    route: &'static str,
    body: Value,
}

impl Post {
    /// Makes the request for a route below the agent's own workspace, such as `/activity`.
    pub fn new(route: &'static str, body: Value) -> Self {
        Self { route, body }
    }
}

impl Endpoint for Post {
    type Answer = Value;
    const OPERATION: &'static str = "post";
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "JSON";

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        let path = format!("/workspaces/{workspace}{}", self.route);
        Draft::new(http::Method::POST, path, Auth::Bearer).json(&self.body)
    }

    fn decode(&self, answer: &http::Response<Bytes>) -> Result<Value, Mismatch> {
        molecule_core::endpoint::json(answer)
    }
}
