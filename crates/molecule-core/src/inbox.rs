//! The inbox: what people, peers, channels and the platform send to the agent, and what it answers.

pub(crate) mod attachment;
mod dead_letters;
mod download;
mod entries;
mod failures;
pub(crate) mod feed;
pub(crate) mod file_name;
pub(crate) mod form;
pub(crate) mod journal;
pub(crate) mod message;
mod notice;
mod notify;
mod open;
mod orders;
mod outbox;
pub(crate) mod plain;
mod reply;
mod reply_handle;
mod reply_id;
mod reply_key;
mod reply_to;
mod row;
pub(crate) mod saves;
mod schedule;
mod send_files;
mod send_reply;
mod sender;
mod stored_reply;
mod try_again;
mod uploads;
pub(crate) mod watch;
mod work;

pub use attachment::{Attachment, AttachmentKind, OutgoingFile};
pub use dead_letters::{DeadLetter, DeadLetters, RetryDeadLetter};
pub use download::{Download, DownloadTo, DownloadToMemory, Downloaded};
pub use entries::{InboxEntry, InboxListing, InboxState, ListInbox};
pub(crate) use file_name::LONGEST as LONGEST_FILE_NAME;
pub use message::InboundMessage;
pub(crate) use notice::{LONGEST_NOTICE, MOST_FILES};
pub use notify::Notify;
pub(crate) use orders::RecordOrders;
pub(crate) use outbox::GIVEN_UP_AFTER;
pub use reply::{Notice, Reply};
pub use reply_handle::ReplyHandle;
pub use reply_to::ReplyTo;
pub(crate) use send_files::MAX_INLINE;
pub use sender::{PlatformKind, Sender};
pub(crate) use stored_reply::MOST_HOPS;
pub use try_again::TryAgain;
pub(crate) use work::{MAX_BACKOFF, MAX_WAITING, PUSHED_WITHIN, PUT_OFF_AT_MOST, READ_BESIDE_PUSHES};

use std::time::Duration;

use molecule_proto::Time;

use crate::effect::{EffectId, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Lane};
use crate::machine::{Cx, Machine, Step, Wake, pass};
use crate::session::delivery::PushMode;
use crate::session::handling::HandlingCount;
use open::Open;
use work::Work;

const OPERATION: &str = "run agent loop";

/// The longest wait before a store that cannot be read is tried again.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// What helps where the journal cannot be opened, for example on a read-only root.
const REMEDY: &str = "until then no message is received: let the agent write to a private directory, with \
                      storage(Storage::Dir(…)) or MOLECULE_HOME, or keep the journal in memory, with \
                      storage(Storage::Memory) or MOLECULE_HOME=:memory:";

/// The most steps that the inbox gives in a row. One outcome may have more consequences, such as a saved batch after which
/// a hundred handlers start; the others follow at the next wake.
const MAX_IN_A_ROW: usize = 32;

/// Receives the agent's messages: a lane of [`Run`](crate::machines::Run).
///
/// It reads the feed, offers each message to the handler, one at a time for each conversation and in the order of the
/// feed, and sends the replies. A message is offered at least once. Its reply is in the journal before it is sent, under
/// an id that is the same in every process. The machine ends well once it is drained, and with an error if the store
/// cannot hold a journal.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: State,
    /// How often in a row it could not be opened.
    failures: u32,
    handling: HandlingCount,
    /// The steps since the last wait.
    steps: usize,
    /// Until when the inbox gives no more steps, unless an outcome comes.
    rests_until: Option<Time>,
}

#[derive(Debug)]
enum State {
    Opening(Open),
    /// The store cannot be read now, and is tried again at this time.
    Waiting(Time),
    Working(Box<Work>),
    Done,
}

/// What the inbox asks of the loop that it is a lane of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// A heartbeat now: the platform has a request's turn for the agent, which it gives to an idle one alone.
    pub(crate) beat: bool,
    /// A poll of the state now: the stream told of a pause or a deletion.
    pub(crate) state: bool,
    /// A register: the feed refused the bearer.
    pub(crate) register: bool,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Opening(Open::new()),
            failures: 0,
            handling: HandlingCount::default(),
            steps: 0,
            rests_until: None,
        }
    }

    /// Reads no further messages, and waits for the handlers that run.
    pub(crate) fn drain(&mut self, cx: &mut Cx<'_>) {
        match &mut self.state {
            State::Opening(open) => open.cancel(cx),
            State::Working(work) => work.drain(cx),
            State::Waiting(_) => self.state = State::Done,
            State::Done => {}
        }
    }

    /// Says whether the workspace is paused: no message is fetched or offered then. Handlers that run finish, and their
    /// replies are sent.
    pub(crate) fn hold(&mut self, is_held: bool) {
        if let State::Working(work) = &mut self.state {
            work.hold(is_held);
        }
    }

    /// Returns until when a loop that must end at once waits for what is being written; `None` if nothing is.
    pub(crate) fn last_write(&self, now: Time) -> Option<Wake> {
        let State::Working(work) = &self.state else { return None };
        work.last_write(now).map(|at| Wake { at, why: "the last write of the inbox" })
    }

    /// Says since when the platform sends the messages to the agent's own server, if it does. The feed is then read until it has
    /// shown what came before, and seldom after that, for what no push has brought.
    pub(crate) fn leave_to_push(&mut self, mode: Option<PushMode>) {
        if let State::Working(work) = &mut self.state {
            work.leave_to_push(mode);
        }
    }

    /// Ends the inbox, whatever is left.
    pub(crate) fn close(&mut self) {
        self.state = State::Done;
        self.handling = HandlingCount::default();
    }

    /// Reports to the inbox that a heartbeat was answered, which the stream must show as well.
    pub(crate) fn beaten(&mut self, now: Time, sent_at: Time) {
        if let State::Working(work) = &mut self.state {
            work.beaten(now, sent_at);
        }
    }

    /// Waits until the store is tried again: an agent whose disk fails for a while is online meanwhile.
    fn wait(&mut self, cx: &mut Cx<'_>, error: &Error) -> Event {
        self.failures = self.failures.saturating_add(1);
        cx.session.vitals.failed(Lane::Inbox, self.failures);
        let wait = Duration::from_secs(1).saturating_mul(1 << (self.failures - 1).min(6)).min(MAX_WAIT);
        self.state = State::Waiting(cx.now.mono + wait);
        let error = error.clone().remedy(REMEDY).to_string();
        Event::Degraded { lane: Lane::Inbox, failures: self.failures, error }
    }

    /// Takes what the inbox asks of the loop; a heartbeat and a poll of the state only if the loop can begin one.
    pub(crate) fn take_wishes(&mut self, can_beat: bool, can_poll: bool) -> Wishes {
        match &mut self.state {
            State::Working(work) => work.take_wishes(can_beat, can_poll),
            State::Opening(_) | State::Waiting(_) | State::Done => Wishes::default(),
        }
    }
}

impl Machine for Inbox {
    type Output = Result<()>;

    fn operation(&self) -> &'static str {
        OPERATION
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Result<()>> {
        if let Some(wake) = self.rest(cx) {
            return Step::Idle(Some(wake));
        }
        let step = self.next(cx);
        self.steps = if let Step::Idle(_) | Step::Done(_) = step { 0 } else { self.steps + 1 };
        step
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match &mut self.state {
            State::Opening(open) => open.feed(cx, id, outcome)?,
            State::Working(work) => work.feed(cx, id, outcome)?,
            State::Waiting(_) | State::Done => return Err(outcome),
        }
        self.rests_until = None;
        Ok(())
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        match &mut self.state {
            State::Opening(open) => open.cancel(cx),
            State::Working(work) => work.cancel(cx),
            State::Waiting(_) => self.state = State::Done,
            State::Done => {}
        }
    }
}

impl Inbox {
    fn next(&mut self, cx: &mut Cx<'_>) -> Step<Result<()>> {
        if let State::Waiting(at) = self.state {
            if at > cx.now.mono {
                return Step::Idle(Some(Wake { at, why: "open the inbox" }));
            }
            self.state = State::Opening(Open::new());
        }
        if let State::Opening(open) = &mut self.state {
            match open.poll(cx) {
                Step::Done(Ok(opened)) => {
                    self.state = State::Working(Box::new(Work::new(cx, opened)));
                    if self.failures > 0 {
                        let failures = std::mem::take(&mut self.failures);
                        return Step::Event(Event::Recovered { lane: Lane::Inbox, failures });
                    }
                }
                Step::Done(Err(error)) if error.kind() == ErrorKind::Storage => {
                    return Step::Event(self.wait(cx, &error));
                }
                Step::Done(Err(error)) => {
                    self.close();
                    return Step::Done(Err(error));
                }
                other => return pass(other),
            }
        }
        let State::Working(work) = &mut self.state else { return Step::Done(Ok(())) };
        let step = work.poll(cx);
        cx.session.handling.set(&self.handling, work.running());
        if let Step::Done(_) = step {
            self.close();
        }
        step
    }

    /// Returns the shortest wait once enough steps were given in a row.
    fn rest(&mut self, cx: &Cx<'_>) -> Option<Wake> {
        if self.steps >= MAX_IN_A_ROW {
            (self.steps, self.rests_until) = (0, Some(cx.now.mono + Duration::from_nanos(1)));
        }
        // At the end of the clock's range no wake is later than now.
        let at = self.rests_until.filter(|at| *at > cx.now.mono)?;
        Some(Wake { at, why: "go on with the inbox" })
    }
}
