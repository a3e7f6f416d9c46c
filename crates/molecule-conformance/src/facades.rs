//! Shared parts of both facades' tests: a workspace, an endpoint that is sent once, and a platform that accepts the
//! agent.

use bytes::Bytes;
use http::{Method, Response};
use molecule_core::Result;
use molecule_core::endpoint::{Auth, Draft, Endpoint, Mismatch, Repeat};
use molecule_core::proto::WorkspaceId;

use super::act::PeerAction;
use super::peer::Received;

/// The workspace's id.
pub const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

/// `POST /once`, which returns the answer's body, at most 1000 bytes. It is not repeated if it may have arrived.
#[derive(Debug, Clone)]
pub struct Once;

impl Endpoint for Once {
    type Answer = Bytes;
    const OPERATION: &'static str = "once";
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "anything";
    const MAX_BODY: u64 = 1000;

    fn draft(&self, _: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::POST, "/once", Auth::Bearer))
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Bytes, Mismatch> {
        Ok(answer.body().clone())
    }
}

/// Answers like the current server to an agent of the workspace [`ID`] that has a token. The workspace has one secret,
/// `OPENAI_API_KEY=sk-1`.
pub fn welcome(request: &Received) -> Vec<PeerAction> {
    vec![if request.is("POST /registry/register") {
        PeerAction::json(r#"{"status":"registered","delivery_mode":"poll"}"#)
    } else if request.is("POST /registry/heartbeat") {
        PeerAction::json(r#"{"status":"ok"}"#)
    } else if request.is(&format!("GET /workspaces/{ID}/state")) {
        PeerAction::json(&format!(r#"{{"workspace_id":"{ID}","status":"online","paused":false,"deleted":false}}"#))
    } else if request.is(&format!("GET /workspaces/{ID}/secrets/values")) {
        PeerAction::json(r#"{"OPENAI_API_KEY":"sk-1"}"#)
    } else if request.is(&format!("GET /workspaces/{ID}")) {
        PeerAction::json(&format!(r#"{{"id":"{ID}","name":"w","status":"online","kind":"workspace"}}"#))
    } else {
        PeerAction::answer("404 Not Found", "")
    }]
}

/// Answers the same to an agent without a token, and mints the token `minted` at its register.
pub fn mint(request: &Received) -> Vec<PeerAction> {
    if request.is("POST /registry/register") {
        return vec![PeerAction::json(r#"{"status":"registered","delivery_mode":"poll","auth_token":"minted"}"#)];
    }
    welcome(request)
}
