//! The messages of one workspace that wait for the coding agent.
//!
//! The handler of the agent's loop holds each message here, and returns once the message is popped or answered: only then
//! it is done, and recorded as such. What is held when the program ends, in whatever way, is offered again at the next
//! start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use molecule_async::{ActivityId, Event, InboundMessage, Reply, ReplyEnd, Sender, WorkspaceId};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// How long a tool waits until it is saved that a message is done.
const SAVED_WITHIN: Duration = Duration::from_secs(10);

/// How long a tool waits for the end of a reply, which is sent again later if that takes longer.
const SENT_WITHIN: Duration = Duration::from_secs(20);

/// The inbox of one workspace.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    /// Changes when a message comes, and when the inbox changes hands.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// The messages, in the order in which they were offered.
    held: BTreeMap<u64, Held>,
    arrivals: u64,
    /// Who waits until it is saved that a message is done.
    saving: BTreeMap<ActivityId, oneshot::Sender<()>>,
    /// Who waits for the end of the reply to a message.
    replying: BTreeMap<ActivityId, oneshot::Sender<Result<ReplyEnd, String>>>,
    standing: Standing,
}

#[derive(Debug)]
struct Held {
    message: InboundMessage,
    finish: oneshot::Sender<Option<Reply>>,
    /// Whether the coding agent has seen it.
    is_shown: bool,
}

/// Who has the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is not known yet.
    Starting,
    /// This program.
    Here,
    /// Another one, as the sentence says.
    Elsewhere(String),
    /// Nobody here: the sentence says why.
    Off(String),
}

/// What became of a message that was popped or answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finished {
    /// Whether it is saved that the message is done. If not, it may come again.
    pub(super) is_saved: bool,
    /// The end of its reply; `None` if there is none, or it is still being sent.
    pub(super) reply: Option<Result<ReplyEnd, String>>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        let state = State {
            held: BTreeMap::new(),
            arrivals: 0,
            saving: BTreeMap::new(),
            replying: BTreeMap::new(),
            standing: Standing::Starting,
        };
        Self { state: Mutex::new(state), changes: watch::Sender::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says when a message has come, or the inbox has changed hands.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    pub(super) fn standing(&self) -> Standing {
        self.state().standing.clone()
    }

    pub(super) fn set_standing(&self, standing: Standing) {
        self.state().standing = standing;
        self.changed();
    }

    /// Waits a moment for the standing, if it is not known yet.
    pub(super) async fn known_standing(&self) -> Standing {
        let mut changes = self.changes();
        let known = changes.wait_for(|_| self.standing() != Standing::Starting);
        let _ = timeout(SAVED_WITHIN, known).await;
        self.standing()
    }

    /// Holds a message until it is popped or answered: the handler of the agent's loop.
    pub(super) async fn hold(self: Arc<Self>, message: InboundMessage) -> Result<Option<Reply>, String> {
        let (finish, finished) = oneshot::channel();
        let arrival = {
            let mut state = self.state();
            state.arrivals += 1;
            let arrival = state.arrivals;
            state.held.insert(arrival, Held { message, finish, is_shown: false });
            state.standing = Standing::Here;
            arrival
        };
        self.changed();
        let _place = Place { inbox: &self, arrival };
        // The sender is in the list until it is used, and the list outlives this.
        finished.await.map_err(|_| "the message was given back".to_owned())
    }

    /// Follows what the loop tells of.
    pub(super) fn told(&self, event: &Event) {
        let mut state = self.state();
        match event {
            Event::MessageDone { message, .. } => {
                if let Some(waiting) = state.saving.remove(message) {
                    let _ = waiting.send(());
                }
            }
            Event::ReplyEnded { message, end, .. } => {
                if let Some(waiting) = state.replying.remove(message) {
                    let _ = waiting.send(Ok(end.clone()));
                }
            }
            Event::ReplyDropped { message, why, .. } => {
                if let Some(waiting) = state.replying.remove(message) {
                    let _ = waiting.send(Err(why.clone()));
                }
            }
            Event::Registered { .. } | Event::Online if state.standing == Standing::Starting => {
                state.standing = Standing::Here;
                drop(state);
                self.changed();
            }
            _ => {}
        }
    }

    /// Says that a message is done, and waits until that is saved; with a reply also a while for its end. `None` if the
    /// message is not held.
    pub(super) async fn finish(&self, id: &ActivityId, reply: Option<Reply>) -> Option<Finished> {
        let (saved, replied) = {
            let mut state = self.state();
            let arrival = state.held.iter().find(|(_, held)| held.message.id() == id).map(|(arrival, _)| *arrival)?;
            let held = state.held.remove(&arrival)?;
            let (saving, saved) = oneshot::channel();
            state.saving.insert(id.clone(), saving);
            let replied = reply.is_some().then(|| {
                let (replying, replied) = oneshot::channel();
                state.replying.insert(id.clone(), replying);
                replied
            });
            // The handler may be gone, in which case nothing is saved.
            let _ = held.finish.send(reply);
            (saved, replied)
        };
        let is_saved = matches!(timeout(SAVED_WITHIN, saved).await, Ok(Ok(())));
        let reply = match replied {
            Some(replied) if is_saved => timeout(SENT_WITHIN, replied).await.ok().and_then(Result::ok),
            _ => None,
        };
        let mut state = self.state();
        state.saving.remove(id);
        state.replying.remove(id);
        Some(Finished { is_saved, reply })
    }

    /// The oldest message that the coding agent has not seen. It counts as seen then.
    pub(super) fn show_new(&self) -> Option<InboundMessage> {
        self.show(|held| !held.is_shown)
    }

    /// The oldest message that the coding agent has seen, and not popped or answered.
    pub(super) fn show_again(&self) -> Option<InboundMessage> {
        self.show(|held| held.is_shown)
    }

    fn show(&self, which: impl Fn(&Held) -> bool) -> Option<InboundMessage> {
        let mut state = self.state();
        let held = state.held.values_mut().find(|held| which(held))?;
        held.is_shown = true;
        Some(held.message.clone())
    }

    /// When the oldest message came that the coding agent has not seen.
    pub(super) fn oldest_new(&self) -> Option<molecule_async::UnixTime> {
        let state = self.state();
        state.held.values().find(|held| !held.is_shown).map(|held| held.message.received_at())
    }

    /// The oldest messages. They count as seen then.
    pub(super) fn peek(&self, most: usize) -> Vec<InboundMessage> {
        let mut state = self.state();
        let oldest = state.held.values_mut().take(most).map(|held| {
            held.is_shown = true;
            held.message.clone()
        });
        oldest.collect()
    }

    /// All messages, for a client that is told of each.
    pub(super) fn all(&self) -> Vec<InboundMessage> {
        self.state().held.values().map(|held| held.message.clone()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.state().held.len()
    }

    pub(super) fn get(&self, id: &ActivityId) -> Option<InboundMessage> {
        self.state().held.values().find(|held| held.message.id() == id).map(|held| held.message.clone())
    }

    /// The oldest message of a peer, or of a person without one, that the coding agent has seen.
    pub(super) fn seen_of(&self, peer: Option<&WorkspaceId>) -> Option<InboundMessage> {
        let is_from = |sender: &Sender| match (sender, peer) {
            (Sender::Peer { id, .. }, Some(peer)) => id == peer,
            (Sender::User, None) => true,
            _ => false,
        };
        let state = self.state();
        let mut seen = state.held.values().filter(|held| held.is_shown && is_from(held.message.sender()));
        seen.next().map(|held| held.message.clone())
    }

    /// The reply of a peer to a message that the agent sent, if it has come.
    pub(super) fn reply_of(&self, peer: &WorkspaceId, to: &str) -> Option<InboundMessage> {
        let is_it = |message: &InboundMessage| {
            matches!(message.sender(), Sender::Peer { id, .. } if id == peer) && message.in_reply_to() == Some(to)
        };
        self.state().held.values().map(|held| &held.message).find(|message| is_it(message)).cloned()
    }
}

/// The place of a message among those that are held. It is given up when the handler is dropped.
struct Place<'a> {
    inbox: &'a Inbox,
    arrival: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.inbox.state().held.remove(&self.arrival);
    }
}
