//! The delegation of a task to a peer.

use molecule_proto::{DelegateAnswer, DelegateRequest, DelegationId, UnixTime, WorkspaceId, refuse_nul};

use super::key::python_idempotency_key;
use crate::call::Call;
use crate::config::workspace_id;
use crate::endpoint::{DelegateOnce, Endpoint};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::flow::{Flow, Line, Parting, machine_of_flow};

/// A task for a peer, and its idempotency key. A text can be given instead; it gets a random key.
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
    /// Makes a task with a random key. Every resend of its request is the same delegation, every other call is another
    /// one. If the delegation has failed before a resend, the platform tries it again, since it then releases the key.
    pub fn new(task: impl Into<String>) -> Self {
        Self { task: task.into(), key: None }
    }

    /// Sets the caller's own key, so that a call after a restart is the same delegation. An empty key counts as none.
    /// The platform compares neither target nor task: use a key for only one delegation.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into()).filter(|key| !key.is_empty());
        self
    }

    /// Sets the key that the Python SDK gives the task in this minute; see [`python_idempotency_key`].
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

/// Delegates a task to a peer: `POST /workspaces/:self/delegate` (contract section 14.1). Only the delegation shows
/// later whether the peer exists and may be called.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Delegate(Flow<Result<DelegationId>>);

impl Delegate {
    /// Makes a delegation of this task to this peer.
    ///
    /// # Errors
    /// `Config` if the id is not a UUID, or if the task is empty or contains U+0000.
    pub fn new(target: impl AsRef<str>, delegation: impl Into<Delegation>) -> Result<Self> {
        let delegation = delegation.into();
        let target = check(target, &delegation).map_err(|error| error.during(DelegateOnce::OPERATION))?;
        Ok(Self(Flow::new(
            DelegateOnce::OPERATION,
            move |line| async move { delegate(&line, target, delegation).await },
        )))
    }
}

machine_of_flow!(Delegate, Result<DelegationId>);

fn check(target: impl AsRef<str>, delegation: &Delegation) -> Result<WorkspaceId> {
    if delegation.task.is_empty() {
        return Err(Error::config("the task is empty", "say what is to be done"));
    }
    for (what, text) in [("the task", Some(&delegation.task)), ("the key", delegation.key.as_ref())] {
        refuse_nul(what, text.map_or("", String::as_str))?;
    }
    workspace_id(DelegateOnce::OPERATION, target)
}

async fn delegate(line: &Line, target: WorkspaceId, delegation: Delegation) -> Result<DelegationId> {
    line.check()?;
    if line.with(|cx| target == *cx.session.workspace_id()) {
        let error = Error::config("an agent cannot delegate to itself", "do the work here, or choose a peer");
        return Err(error.during(DelegateOnce::OPERATION));
    }
    let key = delegation.key.unwrap_or_else(|| line.with(|cx| cx.session.uuid()));
    let mut request = DelegateRequest::new(target.clone(), delegation.task);
    request.idempotency_key = Some(key.clone());
    let answer = line.run("delegate", Call::new(DelegateOnce(request)), Parting::give_up()).await;
    let id = answer.map_err(unclear).and_then(|answer| delegated(line, &target, answer));
    id.map_err(|error| error.with_idempotency_key(&key))
}

fn delegated(line: &Line, target: &WorkspaceId, answer: DelegateAnswer) -> Result<DelegationId> {
    if let Some(other) = answer.target_id.filter(|other| answer.idempotent_hit && other != target) {
        let cause = format!("the key names an earlier delegation, to {other}, and nothing was delegated");
        let error = Error::new(ErrorKind::Refused, DelegateOnce::OPERATION, cause);
        return Err(error.remedy("use a key for one delegation alone"));
    }
    if let Some(warning) = answer.warning {
        let id = &answer.delegation_id;
        line.tell(Event::Warning(format!("delegation {id} is under way and cannot be followed: {warning}")));
    }
    Ok(answer.delegation_id)
}

/// Adds the remedy for a call after which it is unknown whether the platform has the task.
fn unclear(error: Error) -> Error {
    if !error.may_have_acted() {
        return error;
    }
    error.remedy(
        "the platform may have taken the task: delegate it again under the same key (Error::idempotency_key, \
         Delegation::idempotency_key), which is the same delegation then",
    )
}
