//! Calls of an agent's application while its loop runs: as plain data, and as the machine of each.

use std::time::Duration;

use molecule_core::endpoint::CheckAccess;
use molecule_core::machines::{CallPeer, Delegate, DiscoverPeer, QueuedItem, RetryDeadLetter, Wait};
use molecule_core::{Delegation, PeerCall, Recovery, Route, WaitFor};
use molecule_proto::{AgentCard, DelegationId, QueueId, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::job::{self, Job, JobKind};
use crate::world::{ADMIN, Happening, World};

/// A call of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallKind {
    /// `register()`.
    Register,
    /// `recover()` with an administrator's credential.
    RecoverByAdmin,
    /// `recover()` with the agent's own token.
    RecoverOwn,
    /// `heartbeat()`.
    Beat,
    /// `poll_state()`.
    State,
    /// `pull_secrets()`.
    Secrets,
    /// `update_card()`.
    Card,
    /// `peers()`.
    Peers,
    /// `discover_peer()` of the agent with this index; an index without an agent stands for a workspace that does not
    /// exist.
    Discover(u8),
    /// `check_access()`.
    CheckAccess(u8),
    /// `call_peer()`.
    Peer(PeerAsk),
    /// `delegate()`.
    Delegate {
        /// The index of the agent that gets the task.
        to: u8,
        /// The idempotency key's number; `None`: a random key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<u8>,
    },
    /// `delegations()`.
    Delegations,
    /// `wait_delegation()` of the process's latest delegation, for at most this many seconds.
    WaitDelegation(u16),
    /// `queue_item()` of the process's latest message that the platform queued.
    QueueItem,
    /// `wait_queue_item()` of that message, for at most this many seconds.
    WaitQueueItem(u16),
    /// `retry_dead_letter()` of the agent's latest dead letter.
    RetryDeadLetter,
}

/// A `call_peer()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerAsk {
    /// The index of the called agent; an index without an agent stands for a workspace that does not exist.
    pub to: u8,
    /// The route of the message.
    #[serde(default, skip_serializing_if = "PeerWay::is_auto")]
    pub way: PeerWay,
    /// The timeout in seconds.
    pub limit_s: u16,
}

/// The route of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PeerWay {
    /// Directly where possible, otherwise through the platform.
    #[default]
    Auto,
    /// Through the platform only.
    Proxy,
    /// Directly only.
    Direct,
}

impl PeerWay {
    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

impl CallKind {
    /// The longest that the call may take, in seconds.
    pub(crate) fn limit_s(self) -> u64 {
        match self {
            Self::Peer(ask) => ask.limit_s.into(),
            // The last poll begins within the limit and may take 90 s.
            Self::WaitDelegation(limit_s) | Self::WaitQueueItem(limit_s) => u64::from(limit_s) + 90,
            Self::Register
            | Self::RecoverByAdmin
            | Self::RecoverOwn
            | Self::Beat
            | Self::State
            | Self::Secrets
            | Self::Card
            | Self::Peers
            | Self::Discover(_)
            | Self::CheckAccess(_)
            | Self::Delegate { .. }
            | Self::Delegations
            | Self::QueueItem
            | Self::RetryDeadLetter => 90,
        }
    }
}

impl World<'_> {
    /// Begins a call of an agent's application; does nothing while its program does not run.
    pub(crate) fn call(&mut self, agent: usize, call: CallKind, gives_up_ms: Option<u32>, dies: bool) {
        let Some(number) = self.agents[agent].process else { return };
        let Some((kind, job)) = self.machine(number, call) else { return };
        let begun = self.begin(number, kind, job);
        if let (Some(job), Some(ms)) = (begun, gives_up_ms) {
            let end = Happening::GivesUp { process: number, job, dies };
            self.plan(self.now + Duration::from_millis(ms.into()), end);
        }
    }

    /// The workspace of the agent with this index, or an id of no workspace.
    pub(crate) fn workspace_at(&self, place: u8) -> WorkspaceId {
        let agent = self.agents.get(usize::from(place));
        agent.map_or_else(|| WorkspaceId::from_random([place; 16]), |agent| agent.workspace.clone())
    }

    fn machine(&mut self, number: usize, call: CallKind) -> Option<(JobKind, Box<dyn Job>)> {
        let unique = format!("{number}-{}", self.steps());
        let workspace = |place| self.workspace_at(place);
        let made = match call {
            CallKind::Discover(to) => (JobKind::Discover, job::discover(DiscoverPeer::of(workspace(to)))),
            CallKind::CheckAccess(to) => {
                (JobKind::CheckAccess, job::check_access(CheckAccess::new(workspace(to)).ok()?))
            }
            CallKind::Peer(ask) => {
                let call = PeerCall::new(format!("message {unique}")).route(ask.way.into());
                let call = call.timeout(Duration::from_secs(ask.limit_s.into()));
                (JobKind::CallPeer(ask), job::call_peer(CallPeer::new(workspace(ask.to), call).ok()?))
            }
            CallKind::Delegate { to, key } => {
                let task = Delegation::new(format!("task {unique}"));
                let task = match key {
                    Some(key) => task.idempotency_key(format!("key {key}")),
                    None => task,
                };
                (JobKind::Delegate, job::delegate(Delegate::new(workspace(to), task).ok()?))
            }
            CallKind::Register => (JobKind::Register, job::register()),
            CallKind::RecoverByAdmin => (JobKind::Recover { admin: true }, job::recover(Recovery::admin(ADMIN).ok()?)),
            CallKind::RecoverOwn => (JobKind::Recover { admin: false }, job::recover(Recovery::Own)),
            CallKind::Beat => (JobKind::Beat, job::beat()),
            CallKind::State => (JobKind::State, job::state()),
            CallKind::Secrets => (JobKind::Secrets, job::secrets()),
            CallKind::Card => {
                let card = AgentCard::new("another name");
                self.process_mut(number)?.session.update_card(card.clone()).ok()?;
                (JobKind::Card, job::card(card))
            }
            CallKind::Peers => (JobKind::Peers, job::peers()),
            CallKind::Delegations => (JobKind::Delegations, job::delegations()),
            CallKind::WaitDelegation(limit_s) => {
                let id = self.process(number)?.delegation.clone();
                let id = id.unwrap_or_else(|| DelegationId::from_random([9; 16]));
                let wait = WaitFor::new(id).at_most(Duration::from_secs(limit_s.into()));
                (JobKind::WaitDelegation(limit_s), job::wait_delegation(wait))
            }
            CallKind::QueueItem => (JobKind::QueueItem, job::queue_item(QueuedItem::new(self.queued(number)?).ok()?)),
            CallKind::WaitQueueItem(limit_s) => {
                let wait = WaitFor::new(self.queued(number)?).at_most(Duration::from_secs(limit_s.into()));
                (JobKind::WaitQueueItem(limit_s), job::wait_queue_item(Wait::for_queue_item(wait).ok()?))
            }
            CallKind::RetryDeadLetter => {
                let agent = self.process(number)?.agent;
                let letter = self.agents[agent].dead_letter.clone()?;
                (JobKind::RetryDeadLetter, job::retry_dead_letter(RetryDeadLetter::new(&letter).ok()?))
            }
        };
        Some(made)
    }

    /// The queue id of the process's latest queued message, or an id of no queue item.
    fn queued(&self, number: usize) -> Option<QueueId> {
        let id = self.process(number)?.queued.clone();
        Some(id.unwrap_or_else(|| QueueId::from_random([9; 16])))
    }
}

impl From<PeerWay> for Route {
    fn from(way: PeerWay) -> Self {
        match way {
            PeerWay::Auto => Self::Auto,
            PeerWay::Proxy => Self::Proxy,
            PeerWay::Direct => Self::Direct,
        }
    }
}
