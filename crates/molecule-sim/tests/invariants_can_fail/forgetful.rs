//! Saboteurs that make mistakes with messages and replies.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{Request, Response};
use molecule_core::Event;
use molecule_core::effect::{Effect, EffectId, Handled, HostOp, HostResult, Limits, Outcome, Slot};
use molecule_core::machine::{Cx, Step};
use molecule_sim::{Ending, Saboteur, Verdict};

type AStep = Step<Ending>;

/// Takes messages for handled that were dead letters, without offering them.
#[derive(Default)]
pub(crate) struct LeavesTheDead {
    dead: Vec<molecule_core::proto::ActivityId>,
}

impl Saboteur for LeavesTheDead {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        match step {
            Step::Event(Event::DeadLetter { ref message, .. }) => {
                self.dead.push(message.clone());
                Verdict::Pass(step)
            }
            Step::Start(id, Effect::Handle(handle)) if self.dead.contains(handle.message.id()) => {
                Verdict::Answer(id, Outcome::Handled(Handled::Reply(None)))
            }
            step => Verdict::Pass(step),
        }
    }
}

/// Takes the first message for handled without offering it.
#[derive(Default)]
pub(crate) struct OverlooksTheFirst {
    is_over: bool,
}

impl Saboteur for OverlooksTheFirst {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        match step {
            Step::Start(id, Effect::Handle(_)) if !std::mem::replace(&mut self.is_over, true) => {
                Verdict::Answer(id, Outcome::Handled(Handled::Reply(None)))
            }
            step => Verdict::Pass(step),
        }
    }
}

/// Reports the journal's records as stored without storing them.
pub(crate) struct KeepsNoJournal;

impl Saboteur for KeepsNoJournal {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        match step {
            Step::Start(id, Effect::Host(HostOp::Append(Slot::Inbox, ..))) => {
                Verdict::Answer(id, Outcome::Host(HostResult::Appended))
            }
            step => Verdict::Pass(step),
        }
    }
}

/// Gives every message to a peer another id.
#[derive(Default)]
pub(crate) struct RenamesReplies {
    sent: u32,
}

impl Saboteur for RenamesReplies {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        Verdict::Pass(match step {
            Step::Start(id, Effect::Http(request, limits)) if request.uri().path().ends_with("/a2a") => {
                self.sent += 1;
                let named = format!("\"messageId\":\"{}-", self.sent);
                let request =
                    request.map(|body| String::from_utf8_lossy(&body).replacen("\"messageId\":\"", &named, 1).into());
                Step::Start(id, Effect::Http(request, limits))
            }
            step => step,
        })
    }
}

/// Reads one text of the feed as another one.
pub(crate) struct Misreads {
    from: &'static str,
    to: &'static str,
}

impl Misreads {
    /// Takes a webhook for a person.
    pub(crate) fn webhooks() -> Self {
        Self { from: "\"source\":\"github\"", to: "\"source\":\"gitlab\"" }
    }

    /// Does not see that a message is a reply.
    pub(crate) fn replies() -> Self {
        Self { from: "molecule.in_reply_to", to: "molecule.in_reply_no" }
    }

    /// Does not see how many replies led to a message.
    pub(crate) fn hops() -> Self {
        Self { from: "molecule.hops", to: "molecule.hope" }
    }
}

impl Saboteur for Misreads {
    fn outcome(&mut self, _: &mut Cx<'_>, _: EffectId, outcome: Outcome) -> Option<Outcome> {
        Some(match outcome {
            Outcome::Response(answer) => Outcome::Response(answer.map(|body| match std::str::from_utf8(&body) {
                Ok(text) if text.contains(self.from) => text.replace(self.from, self.to).into(),
                Ok(_) | Err(_) => body,
            })),
            other => other,
        })
    }
}

/// Sends every notice twice.
#[derive(Default)]
pub(crate) struct NotifiesTwice {
    named: u64,
    waiting: VecDeque<(Request<Bytes>, Limits)>,
}

impl Saboteur for NotifiesTwice {
    fn instead(&mut self, _: &mut Cx<'_>) -> Option<AStep> {
        let (request, limits) = self.waiting.pop_front()?;
        self.named += 1;
        Some(Step::Start(EffectId((1 << 40) + self.named), Effect::Http(request, limits)))
    }

    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        if let Step::Start(_, Effect::Http(request, limits)) = &step
            && request.uri().path().ends_with("/notify")
        {
            self.waiting.push_back((request.clone(), *limits));
        }
        Verdict::Pass(step)
    }

    fn outcome(&mut self, _: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Option<Outcome> {
        (id.0 < 1 << 40).then_some(outcome)
    }
}

/// Takes replies for sent without sending them.
pub(crate) struct TellsNobody {
    /// Whether it tells the application that they were sent.
    pub(crate) claims: bool,
}

impl Saboteur for TellsNobody {
    fn step(&mut self, _: &mut Cx<'_>, step: AStep) -> Verdict {
        match step {
            Step::Start(id, Effect::Http(request, _)) if request.uri().path().ends_with("/notify") => {
                Verdict::Answer(id, Outcome::Response(Response::new(Bytes::from_static(b"{\"status\":\"sent\"}"))))
            }
            Step::Start(id, Effect::Http(request, _)) if request.uri().path().ends_with("/a2a") => {
                let taken = b"{\"status\":\"queued\",\"delivery_mode\":\"poll\",\"method\":\"message/send\"}";
                Verdict::Answer(id, Outcome::Response(Response::new(Bytes::from_static(taken))))
            }
            Step::Event(Event::ReplyEnded { .. }) if self.claims => Verdict::Pass(step),
            Step::Event(Event::ReplyEnded { .. }) => Verdict::Swallow,
            step => Verdict::Pass(step),
        }
    }
}
