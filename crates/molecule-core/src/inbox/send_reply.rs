//! One reply that is sent at once, beside any loop.

use molecule_proto::{Time, Wake};

use super::outbox::{Outbox, OutboxStep, OutgoingReply, ReplyKey, ReplyRecord};
use crate::effect::{EffectId, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::event::ReplyEnd;
use crate::machine::{Cx, Machine, Step, pass};

/// Sends one reply, as the outbox of a loop does, within a time limit. Its marks are not kept: a process that dies has
/// not told its caller that the reply was sent.
#[derive(Debug)]
pub(super) struct SendReply {
    outbox: Outbox,
    key: ReplyKey,
    limit: Time,
    end: Option<ReplyEnd>,
    /// Whether the limit has passed, or the caller is gone.
    is_cut: Option<Cut>,
}

#[derive(Debug, Clone, Copy)]
enum Cut {
    Limit,
    Cancel,
}

const OPERATION: &str = "reply";

impl SendReply {
    pub(super) fn new(cx: &Cx<'_>, reply: OutgoingReply, limit: Time) -> Self {
        let (mut outbox, key) = (Outbox::new(cx.session.config().inbox.trail), reply.key.clone());
        outbox.push(cx, reply);
        Self { outbox, key, limit, end: None, is_cut: None }
    }

    fn cut(&mut self, cx: &mut Cx<'_>, why: Cut) {
        if self.is_cut.is_none() {
            self.is_cut = Some(why);
            self.outbox.cancel(cx);
        }
    }

    fn out_of_time(&self) -> Error {
        let why = self.outbox.why(&self.key).unwrap_or("the limit passed before it could be sent");
        Error::new(ErrorKind::Timeout, OPERATION, format!("it is not known to be delivered: {why}"))
            .retryable(true)
            .remedy(
                "reply once more: a peer gets it once, since it has the same id; look at the chat before you repeat it \
                     to the user",
            )
    }
}

impl Machine for SendReply {
    type Output = Result<ReplyEnd>;

    fn operation(&self) -> &'static str {
        OPERATION
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Self::Output> {
        if self.limit <= cx.now.mono {
            self.cut(cx, Cut::Limit);
        }
        loop {
            match self.outbox.poll(cx) {
                OutboxStep::Step(step) => return pass(step),
                OutboxStep::Record(key, ReplyRecord::Marked(_)) => self.outbox.recorded(cx, &key),
                // A process that dies uploads the files again.
                OutboxStep::Record(_, ReplyRecord::Attached(_)) => {}
                OutboxStep::Record(_, ReplyRecord::Ended(end)) => self.end = Some(end),
                OutboxStep::Idle(wake) => {
                    let limit = Wake { at: self.limit, why: "the reply's limit" };
                    let limit = self.is_cut.is_none().then_some(limit);
                    return Step::Idle(Wake::earliest(wake, limit));
                }
                OutboxStep::Empty => {
                    return Step::Done(match (self.end.take(), self.is_cut) {
                        (Some(end), _) => Ok(end),
                        (None, Some(Cut::Cancel)) => Err(Error::cancelled(OPERATION)),
                        (None, Some(Cut::Limit) | None) => Err(self.out_of_time()),
                    });
                }
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        self.outbox.feed(cx, id, outcome)
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        self.cut(cx, Cut::Cancel);
    }
}
