//! Handing a task to a peer.

use std::collections::VecDeque;
use std::fmt;

use molecule_proto::{DelegateRequest, DelegationId, UnixTime, WorkspaceId, refuse_nul};

use super::key::python_idempotency_key;
use crate::call::ask::{Answer, Begin, Question};
use crate::config::workspace_id;
use crate::endpoint::{DelegateOnce, Endpoint};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::machine::Cx;

/// A task for a peer; a text is one with a key of its own.
///
/// ```
/// use molecule_core::Delegation;
/// let delegation = Delegation::new("index the docs").idempotency_key("docs-2026-11-22");
/// # let _ = delegation;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a task is not delegated until it is handed to the agent"]
pub struct Delegation {
    task: String,
    key: Option<String>,
}

impl Delegation {
    /// A task under a random key: every resend of its request is the same delegation, every other call another one. One that
    /// failed by the time of a resend is tried again, since the platform gives its key free.
    pub fn new(task: impl Into<String>) -> Self {
        Self { task: task.into(), key: None }
    }

    /// The same under a key of the caller's own, so that a call after a restart is the same delegation; an empty one counts
    /// as none. The platform compares neither target nor task: use a key for one delegation alone.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into()).filter(|key| !key.is_empty());
        self
    }

    /// The same under the key that the Python SDK gives it in this minute; see [`python_idempotency_key`].
    pub fn python_key(mut self, at: UnixTime) -> Self {
        self.key = Some(python_idempotency_key(&self.task, at));
        self
    }
}

impl From<&str> for Delegation {
    fn from(task: &str) -> Self {
        Self::new(task)
    }
}

impl From<String> for Delegation {
    fn from(task: String) -> Self {
        Self::new(task)
    }
}

/// Hands a task to a peer: `POST /workspaces/:self/delegate` (contract section 14.1). Whether the peer exists and may be
/// talked to shows later, in the delegation.
#[derive(Clone)]
pub struct Delegate {
    target: WorkspaceId,
    delegation: Delegation,
    /// The key that its requests carry.
    sent_key: Option<String>,
}

impl Delegate {
    /// This task for this peer.
    ///
    /// # Errors
    /// `Config` if the id is no UUID, or the task is empty or contains U+0000.
    pub fn new(target: impl AsRef<str>, delegation: impl Into<Delegation>) -> Result<Self> {
        Self::checked(target, delegation.into()).map_err(|error| error.during(DelegateOnce::OPERATION))
    }

    fn checked(target: impl AsRef<str>, delegation: Delegation) -> Result<Self> {
        if delegation.task.is_empty() {
            return Err(Error::config("the task is empty", "say what is to be done"));
        }
        for (what, text) in [("the task", Some(&delegation.task)), ("the key", delegation.key.as_ref())] {
            refuse_nul(what, text.map_or("", String::as_str))?;
        }
        Ok(Self { target: workspace_id(DelegateOnce::OPERATION, target)?, delegation, sent_key: None })
    }
}

impl Question for Delegate {
    type Endpoint = DelegateOnce;
    type Output = DelegationId;

    fn begin(&mut self, cx: &mut Cx<'_>) -> Result<Begin<DelegateOnce, DelegationId>> {
        if self.target == *cx.session.workspace_id() {
            return Err(Error::config("an agent cannot delegate to itself", "do the work here, or choose a peer"));
        }
        let mut request = DelegateRequest::new(self.target.clone(), self.delegation.task.clone());
        let key = self.delegation.key.clone().unwrap_or_else(|| cx.session.uuid());
        request.idempotency_key = Some(key.clone());
        self.sent_key = Some(key);
        Ok(Begin::Send(DelegateOnce(request)))
    }

    fn end(
        &mut self,
        _: &mut Cx<'_>,
        answer: Result<Answer<Self>>,
        events: &mut VecDeque<Event>,
    ) -> Result<DelegationId> {
        let answer = answer.map_err(|error| self.keyed(unclear(error)))?;
        if let Some(other) = answer.target_id.filter(|target| answer.idempotent_hit && *target != self.target) {
            let cause = format!("the key names an earlier delegation, to {other}, and nothing was delegated");
            let error = Error::new(ErrorKind::Refused, DelegateOnce::OPERATION, cause);
            return Err(self.keyed(error.remedy("use a key for one delegation alone")));
        }
        if let Some(warning) = answer.warning {
            let id = &answer.delegation_id;
            events.push_back(Event::Warning(format!("delegation {id} is under way and cannot be followed: {warning}")));
        }
        Ok(answer.delegation_id)
    }
}

impl Delegate {
    fn keyed(&self, error: Error) -> Error {
        match &self.sent_key {
            Some(key) => error.with_idempotency_key(key),
            None => error,
        }
    }
}

/// Says what to do where nobody knows whether the platform has taken the task.
fn unclear(error: Error) -> Error {
    if !error.may_have_acted() {
        return error;
    }
    error.remedy(
        "the platform may have taken the task: delegate it again under the same key (Error::idempotency_key, \
         Delegation::idempotency_key), which is the same delegation then",
    )
}

impl fmt::Debug for Delegate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delegate(to {}, {} bytes)", self.target, self.delegation.task.len())
    }
}
