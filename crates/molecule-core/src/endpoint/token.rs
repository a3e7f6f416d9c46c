//! The endpoints of tokens (contract section 16).

use std::borrow::Cow;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use molecule_proto::{ConnectionAnswer, ErrorBody, MintedToken, RevokedToken, TokenId, TokenList, WorkspaceId, path};

use super::{Endpoint, JsonEndpoint, Mints, Mismatch, Repeat, json};
use crate::error::Result;
use crate::session::{Auth, Draft};

/// `POST /workspaces/:id/external/rotate` (contract section 16.2): revokes every token and mints one, so that a lost
/// answer means a dead credential. Not on April's server. Use [`Recover`](crate::machines::Recover).
#[derive(Debug, Clone)]
pub struct Rotate(pub Auth);

impl JsonEndpoint for Rotate {
    type Answer = ConnectionAnswer;
    const OPERATION: &'static str = "recover";
    const METHOD: Method = Method::POST;
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "an object with a connection";
    const MINTS: Mints = Mints::Always;
    const MAX_BODY: u64 = 1024 * 1024;

    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str> {
        path::external_rotate(workspace).into()
    }

    fn auth(&self) -> Auth {
        self.0.clone()
    }

    fn body(&self, draft: Draft, _: &WorkspaceId) -> Result<Draft> {
        draft.json(&serde_json::Map::new())
    }
}

/// `POST /workspaces/:id/tokens` (contract section 16.3; April 12): mints an additional token.
#[derive(Debug, Clone)]
pub struct MintToken(pub Auth);

impl JsonEndpoint for MintToken {
    type Answer = MintedToken;
    const OPERATION: &'static str = "recover";
    const METHOD: Method = Method::POST;
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "an object with a token";
    const MINTS: Mints = Mints::Always;

    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str> {
        path::tokens(workspace).into()
    }

    fn auth(&self) -> Auth {
        self.0.clone()
    }

    fn body(&self, draft: Draft, _: &WorkspaceId) -> Result<Draft> {
        draft.json(&serde_json::Map::new())
    }
}

/// `GET /workspaces/:id/tokens` (contract section 16.3). At most 4 MiB.
#[derive(Debug, Clone)]
pub struct ListTokens(pub Auth);

impl JsonEndpoint for ListTokens {
    type Answer = TokenList;
    const OPERATION: &'static str = "list tokens";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with tokens";
    const MAX_BODY: u64 = 4 * 1024 * 1024;

    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str> {
        format!("{}?limit=200", path::tokens(workspace)).into()
    }

    fn auth(&self) -> Auth {
        self.0.clone()
    }
}

/// `DELETE /workspaces/:id/tokens/:row` (contract section 16.3).
#[derive(Debug, Clone)]
pub struct RevokeToken(pub TokenId, pub Auth);

impl Endpoint for RevokeToken {
    type Answer = RevokedToken;
    const OPERATION: &'static str = "revoke token";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with a status";

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::DELETE, path::token(workspace, &self.0), self.1.clone()))
    }

    /// The platform's own 404 says that the token is no longer valid: an earlier request revoked it, and its answer was
    /// lost.
    fn accepts(&self, answer: &Response<Bytes>) -> bool {
        let dead = || json::<ErrorBody>(answer).is_ok();
        answer.status().is_success() || (answer.status() == StatusCode::NOT_FOUND && dead())
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(RevokedToken::revoked(None));
        }
        json(answer)
    }
}
