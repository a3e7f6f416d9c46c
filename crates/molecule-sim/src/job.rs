//! Machines of every type behind one trait, as a driver of a whole program sees them.

use molecule_core::effect::{EffectId, Outcome};
use molecule_core::endpoint::{ActivityFeed, ActivityPage, CheckAccess, PollState, Secrets, UpdateCard};
use molecule_core::machine::{Cx, Machine, Step};
use molecule_core::machines::{
    Beat, Call, CallPeer, Delegate, Delegations, DiscoverPeer, ListPeers, QueuedItem, Recover, Register, ReplyTo,
    RetryDeadLetter, Run, Wait,
};
use molecule_core::{
    CallOutcome, DelegationView, Ended, PeerUrl, QueueOutcome, Recovered, Recovery, Registration, ReplyEnd, Result,
    WaitFor,
};
use molecule_proto::{AgentCard, DelegationId, HeartbeatAnswer, Peer, QueueItem, StateAnswer, UpdateCardAnswer};

use crate::calls::PeerAsk;

/// The type of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobKind {
    /// The loop.
    Run,
    /// `register()`.
    Register,
    /// `recover()`, with an administrator's credential or the agent's own.
    Recover {
        /// Whether the credential is an administrator's.
        admin: bool,
    },
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
    /// `discover_peer()`.
    Discover,
    /// `check_access()`.
    CheckAccess,
    /// `call_peer()`.
    CallPeer(PeerAsk),
    /// `delegate()`.
    Delegate,
    /// `delegations()`.
    Delegations,
    /// `wait_delegation()`, for at most this many seconds.
    WaitDelegation(u16),
    /// `queue_item()`.
    QueueItem,
    /// `wait_queue_item()`, for at most this many seconds.
    WaitQueueItem(u16),
    /// `retry_dead_letter()`.
    RetryDeadLetter,
    /// `reply_to()`.
    ReplyTo,
    /// A look of the agent's own server into the feed, with its number.
    LookUp(u64),
    /// The agent's own server, which is no machine.
    Serve,
}

/// The result of a machine.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is named after its machine")]
pub enum Ending {
    Run(Result<Ended>),
    Register(Result<Registration>),
    Recover(Result<Recovered>),
    Beat(Result<HeartbeatAnswer>),
    State(Result<StateAnswer>),
    Secrets(Result<molecule_proto::Secrets>),
    Card(Result<UpdateCardAnswer>),
    Peers(Result<Vec<Peer>>),
    Discover(Result<Option<PeerUrl>>),
    CheckAccess(Result<bool>),
    CallPeer(Result<CallOutcome>),
    Delegate(Result<DelegationId>),
    Delegations(Result<Vec<DelegationView>>),
    WaitDelegation(Result<DelegationView>),
    QueueItem(Result<QueueItem>),
    WaitQueueItem(Result<QueueOutcome>),
    RetryDeadLetter(Result<()>),
    ReplyTo(Result<ReplyEnd>),
    LookUp(Result<ActivityPage>),
}

impl Ending {
    /// The error; `None` after success.
    pub fn error(&self) -> Option<&molecule_core::Error> {
        match self {
            Self::Run(result) => result.as_ref().err(),
            Self::Register(result) => result.as_ref().err(),
            Self::Recover(result) => result.as_ref().err(),
            Self::Beat(result) => result.as_ref().err(),
            Self::State(result) => result.as_ref().err(),
            Self::Secrets(result) => result.as_ref().err(),
            Self::Card(result) => result.as_ref().err(),
            Self::Peers(result) => result.as_ref().err(),
            Self::Discover(result) => result.as_ref().err(),
            Self::CheckAccess(result) => result.as_ref().err(),
            Self::CallPeer(result) => result.as_ref().err(),
            Self::Delegate(result) => result.as_ref().err(),
            Self::Delegations(result) => result.as_ref().err(),
            Self::WaitDelegation(result) => result.as_ref().err(),
            Self::QueueItem(result) => result.as_ref().err(),
            Self::WaitQueueItem(result) => result.as_ref().err(),
            Self::RetryDeadLetter(result) => result.as_ref().err(),
            Self::ReplyTo(result) => result.as_ref().err(),
            Self::LookUp(result) => result.as_ref().err(),
        }
    }
}

/// A machine whose type is erased.
pub(crate) trait Job {
    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Ending>;
    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome>;
    fn cancel(&mut self, cx: &mut Cx<'_>);
    /// Its `Debug` output.
    fn printed(&self) -> String;
}

struct Typed<M: Machine> {
    machine: M,
    end: fn(M::Output) -> Ending,
}

impl<M: Machine + std::fmt::Debug> Job for Typed<M> {
    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Ending> {
        match self.machine.poll(cx) {
            Step::Start(id, effect) => Step::Start(id, effect),
            Step::Cancel(id) => Step::Cancel(id),
            Step::Event(event) => Step::Event(event),
            Step::Idle(wake) => Step::Idle(wake),
            Step::Done(output) => Step::Done((self.end)(output)),
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        self.machine.feed(cx, id, outcome)
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        self.machine.cancel(cx);
    }

    fn printed(&self) -> String {
        format!("{:?}", self.machine)
    }
}

/// The loop.
pub(crate) fn run() -> Box<dyn Job> {
    call(Run::new(), Ending::Run)
}

/// The loop that also receives messages.
pub(crate) fn run_with_inbox() -> Box<dyn Job> {
    call(Run::with_inbox(), Ending::Run)
}

/// `reply_to()`.
pub(crate) fn reply_to(reply: ReplyTo) -> Box<dyn Job> {
    call(reply, Ending::ReplyTo)
}

/// A look into the feed.
pub(crate) fn look_up(feed: ActivityFeed) -> Box<dyn Job> {
    call(Call::new(feed), Ending::LookUp)
}

/// `retry_dead_letter()`.
pub(crate) fn retry_dead_letter(retry: RetryDeadLetter) -> Box<dyn Job> {
    call(retry, Ending::RetryDeadLetter)
}

/// `register()`.
pub(crate) fn register() -> Box<dyn Job> {
    call(Register::new(), Ending::Register)
}

/// `recover()`.
pub(crate) fn recover(recovery: Recovery) -> Box<dyn Job> {
    call(Recover::new(recovery), Ending::Recover)
}

/// `heartbeat()`.
pub(crate) fn beat() -> Box<dyn Job> {
    call(Beat::new(), Ending::Beat)
}

/// `poll_state()`.
pub(crate) fn state() -> Box<dyn Job> {
    call(Call::new(PollState), Ending::State)
}

/// `pull_secrets()`.
pub(crate) fn secrets() -> Box<dyn Job> {
    call(Call::new(Secrets), Ending::Secrets)
}

/// `update_card()`.
pub(crate) fn card(card: AgentCard) -> Box<dyn Job> {
    call(Call::new(UpdateCard(card)), Ending::Card)
}

/// `peers()`.
pub(crate) fn peers() -> Box<dyn Job> {
    call(ListPeers::all(), Ending::Peers)
}

/// `discover_peer()`.
pub(crate) fn discover(peer: DiscoverPeer) -> Box<dyn Job> {
    call(peer, Ending::Discover)
}

/// `check_access()`.
pub(crate) fn check_access(question: CheckAccess) -> Box<dyn Job> {
    call(Call::new(question), Ending::CheckAccess)
}

/// `call_peer()`.
pub(crate) fn call_peer(peer: CallPeer) -> Box<dyn Job> {
    call(peer, Ending::CallPeer)
}

/// `delegate()`.
pub(crate) fn delegate(task: Delegate) -> Box<dyn Job> {
    call(task, Ending::Delegate)
}

/// `delegations()`.
pub(crate) fn delegations() -> Box<dyn Job> {
    call(Delegations::newest(), Ending::Delegations)
}

/// `wait_delegation()`.
pub(crate) fn wait_delegation(wait: WaitFor) -> Box<dyn Job> {
    call(Wait::for_delegation(wait), Ending::WaitDelegation)
}

/// `queue_item()`.
pub(crate) fn queue_item(item: QueuedItem) -> Box<dyn Job> {
    call(item, Ending::QueueItem)
}

/// `wait_queue_item()`.
pub(crate) fn wait_queue_item(wait: Wait<QueueOutcome>) -> Box<dyn Job> {
    call(wait, Ending::WaitQueueItem)
}

fn call<M>(machine: M, end: fn(M::Output) -> Ending) -> Box<dyn Job>
where
    M: Machine + std::fmt::Debug + 'static,
{
    Box::new(Typed { machine, end })
}
