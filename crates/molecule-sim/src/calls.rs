//! What an agent's application calls beside the loop: as plain data, and as the machine that does it.

use std::time::Duration;

use molecule_core::endpoint::CheckAccess;
use molecule_core::machines::{CallPeer, Delegate, DiscoverPeer, QueuedItem, Wait};
use molecule_core::{Delegation, PeerCall, Recovery, Route, WaitFor};
use molecule_proto::{AgentCard, DelegationId, QueueId, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::job::{self, Job, JobKind};
use crate::world::{ADMIN, Happening, World};

/// A call beside the loop.
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
    /// `discover_peer()` of the agent at this place; where there is none, of a workspace that does not exist.
    Discover(u8),
    /// `check_access()`.
    CheckAccess(u8),
    /// `call_peer()`.
    Peer(PeerAsk),
    /// `delegate()`.
    Delegate {
        /// To the agent at this place.
        to: u8,
        /// Under a key of its own, or a random one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<u8>,
    },
    /// `delegations()`.
    Delegations,
    /// `wait_delegation()` of the delegation that the process began last, at most so many seconds.
    WaitDelegation(u16),
    /// `queue_item()` of the message that the platform queued last for the process.
    QueueItem,
    /// `wait_queue_item()` of it, at most so many seconds.
    WaitQueueItem(u16),
}

/// A call of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerAsk {
    /// The agent at this place; where there is none, a workspace that does not exist.
    pub to: u8,
    /// Which way.
    #[serde(default, skip_serializing_if = "PeerWay::is_auto")]
    pub way: PeerWay,
    /// For how many seconds it waits.
    pub limit_s: u16,
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PeerWay {
    /// Directly where that is possible.
    #[default]
    Auto,
    /// Through the platform.
    Proxy,
    /// Directly.
    Direct,
}

impl PeerWay {
    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

impl CallKind {
    /// How long it may take at most, in seconds.
    pub(crate) fn limit_s(self) -> u64 {
        match self {
            Self::Peer(ask) => ask.limit_s.into(),
            // The last look begins by then.
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
            | Self::QueueItem => 90,
        }
    }
}

impl World<'_> {
    /// An agent's application calls something; nothing happens while its program does not run.
    pub(crate) fn call(&mut self, agent: usize, call: CallKind, gives_up_ms: Option<u32>, dies: bool) {
        let Some(number) = self.agents[agent].process else { return };
        let Some((kind, job)) = self.machine(number, call) else { return };
        let begun = self.begin(number, kind, job);
        if let (Some(job), Some(ms)) = (begun, gives_up_ms) {
            let end = Happening::GivesUp { process: number, job, dies };
            self.plan(self.now + Duration::from_millis(ms.into()), end);
        }
    }

    /// The workspace of the agent at a place, or one that there is none of.
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
        };
        Some(made)
    }

    /// The message that was queued last, or one that there is none of.
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
