//! The endpoints of registration: register, heartbeat and card (contract sections 4 to 6).

use std::borrow::Cow;

use bytes::Bytes;
use http::{Method, Response};
use molecule_proto::{
    AgentCard, HeartbeatAnswer, HeartbeatRequest, RegisterAnswer, RegisterRequest, UpdateCardAnswer, UpdateCardRequest,
    WorkspaceId, path,
};

use super::{JsonEndpoint, Mints, Mismatch, Repeat, json};
use crate::error::{Error, Result};
use crate::session::Draft;

/// `POST /registry/register` (contract section 4). Use [`Register`](crate::machines::Register), which decides whether to send it.
///
/// It may be sent again: if the first request minted a token and its answer was lost, the answer to the second is a 401
/// that says so, and nothing is worse than before.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterOnce(pub RegisterRequest);

impl JsonEndpoint for RegisterOnce {
    type Answer = RegisterAnswer;
    const OPERATION: &'static str = "register";
    const METHOD: Method = Method::POST;
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with a status, and perhaps a token";
    const EVERYWHERE: bool = true;
    const WITHOUT_BEARER: bool = true;
    const MINTS: Mints = Mints::WithoutBearer;

    fn path(&self, _: &WorkspaceId) -> Cow<'static, str> {
        path::REGISTER.into()
    }

    fn body(&self, draft: Draft, _: &WorkspaceId) -> Result<Draft> {
        draft.json(&self.0)
    }

    /// A token is accepted whatever the other fields are. Without one, a status shows that the platform answered.
    fn read(answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        let read: RegisterAnswer = json(answer)?;
        if read.auth_token.is_none() && read.status.is_empty() {
            return Err(Mismatch::default());
        }
        Ok(read)
    }
}

/// `POST /registry/heartbeat` (contract section 5).
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat(pub HeartbeatRequest);

impl JsonEndpoint for Heartbeat {
    type Answer = HeartbeatAnswer;
    const OPERATION: &'static str = "heartbeat";
    const METHOD: Method = Method::POST;
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with a status";
    const EVERYWHERE: bool = true;

    fn path(&self, _: &WorkspaceId) -> Cow<'static, str> {
        path::HEARTBEAT.into()
    }

    fn body(&self, draft: Draft, _: &WorkspaceId) -> Result<Draft> {
        draft.json(&self.0)
    }
}

/// `POST /registry/update-card` (contract section 6.1).
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateCard(pub AgentCard);

impl JsonEndpoint for UpdateCard {
    type Answer = UpdateCardAnswer;
    const OPERATION: &'static str = "update card";
    const METHOD: Method = Method::POST;
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with a status";
    const EVERYWHERE: bool = true;

    fn path(&self, _: &WorkspaceId) -> Cow<'static, str> {
        path::UPDATE_CARD.into()
    }

    fn body(&self, draft: Draft, workspace: &WorkspaceId) -> Result<Draft> {
        let agent_card = serde_json::to_value(&self.0)
            .map_err(|_| Error::config("the card is not JSON", "use text keys and finite numbers"))?;
        draft.json(&UpdateCardRequest::new(workspace.clone(), agent_card))
    }
}
