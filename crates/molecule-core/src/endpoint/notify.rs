//! The endpoint of messages to the user (contract section 13.2).

use std::borrow::Cow;

use http::Method;
use molecule_proto::{NotifyRequest, PostedAnswer, WorkspaceId, path};

use super::{JsonEndpoint, Repeat};
use crate::error::Result;
use crate::session::Draft;

/// `POST /workspaces/:self/notify`: a message to the user (contract section 13.2; April 6.3). Use
/// [`Notify`](crate::machines::Notify).
///
/// It has no id on the wire. A request that may have arrived is therefore not sent again: the user would see it twice.
#[derive(Clone, PartialEq, Eq)]
pub struct NotifyOnce(pub NotifyRequest);

impl JsonEndpoint for NotifyOnce {
    type Answer = PostedAnswer;
    const OPERATION: &'static str = "notify";
    const METHOD: Method = Method::POST;
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "an object with a status";
    const EVERYWHERE: bool = true;

    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str> {
        path::notify(workspace).into()
    }

    fn body(&self, draft: Draft, _: &WorkspaceId) -> Result<Draft> {
        draft.json(&self.0)
    }
}

impl std::fmt::Debug for NotifyOnce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NotifyOnce({} bytes, {} files)", self.0.message.len(), self.0.attachments.len())
    }
}
