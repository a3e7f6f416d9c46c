//! The server's half of A2A: what the platform and other agents send to an agent that listens.
//!
//! Requests come in, so that it is no [`Machine`](crate::machine::Machine). It has the shape of the platform's model: a
//! driver gives it each request, polls it, and feeds it the outcomes of the effects that it asks for.
//!
//! 1. The head: [`Inbound::admit`] judges it before a byte of the body is read.
//! 2. The body: [`InboundCall::read`] parses it without any lock.
//! 3. The call: [`Inbound::handle`] answers it, or gives a [`Ticket`].
//! 4. After each `handle`, `feed`, `looked_up`, `hang_up`, `drain` and wake the driver polls until [`Turn::Idle`].
//!    [`Turn::Answer`] is the answer under a ticket; each ticket gets one unless its caller [hung up](Inbound::hang_up).
//!
//! The outcome of each [`Turn::Start`] is fed once, as for a machine.

mod admit;
mod answer;
mod answers;
mod call;
mod card;
mod handled;
mod ingest;
mod legacy;
mod looks;
mod open;
mod reply;
mod run;
mod settle;
mod shape;
mod tasks;
mod ticket;
mod turn;
mod work;

pub use admit::{Admission, Caller};
pub use answer::{Answer, Refusal};
pub use call::InboundCall;
pub use ingest::{Ingest, IngestStep};
pub use ticket::{LookUpId, Ticket};
pub use turn::Turn;

use core::net::{IpAddr, SocketAddr};

use http::request::Parts;

use crate::config::server::ServerOptions;
use crate::effect::{EffectId, Outcome};
use crate::endpoint::ActivityPage;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::inbox::saves::Saved;
use crate::machine::{Cx, Machine, Step};
use admit::{Gate, Paths};
use answers::Answers;
use card::Card;
use open::Open;
use work::Work;

/// The state of one server. The driver keeps it under a lock of its own, and locks it before the session.
#[derive(Debug)]
pub struct Inbound {
    options: ServerOptions,
    url: String,
    gate: Gate,
    card: Card,
    state: State,
    /// Whether the stop came before the server was open.
    is_drained_early: bool,
    /// Whether the application was told that April's platform cannot call.
    is_april_told: bool,
}

const APRIL: &str = "the platform, April's server, calls without a credential, and was refused: start the server with \
     allow_unauthenticated(), and let it listen on 127.0.0.1 alone";

#[derive(Debug)]
enum State {
    Opening(Open),
    Open(Box<Work>),
}

impl Inbound {
    /// Makes the state of a server that listens on this address.
    ///
    /// # Errors
    /// `Config` if the options are not valid.
    pub fn new(options: &ServerOptions, local: SocketAddr) -> Result<Self> {
        options.check()?;
        let url = options.url_at(local);
        let gate = Gate {
            paths: Paths::of(&url),
            peers: options.peers()?,
            allow_unauthenticated: options.allow_unauthenticated,
            body_bytes: options.limits.body_bytes,
            waits_until: None,
        };
        let state = State::Opening(Open::new(options.limits.clone()));
        Ok(Self {
            options: options.clone(),
            url,
            gate,
            card: Card::default(),
            state,
            is_drained_early: false,
            is_april_told: false,
        })
    }

    /// Returns the URL to register.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns whether the server can serve: polls have loaded the answers that are kept. Connections that come before wait
    /// in the listener.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Judges a head before a byte of the body is read: framing, path, method, credential, declared length.
    pub fn admit(&mut self, cx: &mut Cx<'_>, head: &Parts, from: IpAddr) -> Admission {
        if !self.is_open() {
            return Admission::Close;
        }
        let Self { card, url, gate, .. } = self;
        let needs_bearer = !gate.allow_unauthenticated;
        let admission = gate
            .admit(cx, head, from, |cx, headers| card.answer(&cx.session.config().card, url, needs_bearer, headers));
        if gate.refuses_april(cx, head, &admission)
            && let State::Open(work) = &mut self.state
            && !std::mem::replace(&mut self.is_april_told, true)
        {
            work.turns.push_back(Turn::Event(Event::Warning(APRIL.to_owned())));
        }
        admission
    }

    /// Takes a call whose body was read.
    pub fn handle(&mut self, cx: &mut Cx<'_>, caller: Caller, call: InboundCall) -> Answer {
        match &mut self.state {
            State::Open(work) => work.handle(cx, caller, call),
            State::Opening(_) => Answer::Cut,
        }
    }

    /// Returns what to do next. Poll until `Idle`.
    pub fn poll(&mut self, cx: &mut Cx<'_>) -> Turn {
        if let State::Opening(open) = &mut self.state {
            match open.poll(cx) {
                Step::Start(id, effect) => return Turn::Start(id, effect),
                Step::Cancel(id) => return Turn::Cancel(id),
                Step::Event(event) => return Turn::Event(event),
                Step::Idle(wake) => return Turn::Idle(wake),
                Step::Done(opened) => {
                    // It fails if it is cancelled, which nobody does.
                    let answers = opened.unwrap_or_else(|_| Answers::new(&self.options.limits));
                    let mut work = Work::new(cx, self.options.clone(), answers);
                    if self.is_drained_early {
                        work.drain(cx);
                    }
                    self.state = State::Open(Box::new(work));
                }
            }
        }
        let State::Open(work) = &mut self.state else { return Turn::Idle(None) };
        work.follow_saves(false);
        work.end_drain(cx);
        work.follow_inbox(cx);
        if let Some(turn) = work.turns.pop_front() {
            return turn;
        }
        if let Some(turn) = work.start(cx) {
            return turn;
        }
        if let Some((id, feed)) = work.looks.begin() {
            return Turn::LookUp(id, feed);
        }
        if let Some((id, effect)) = work.saves.start(cx, &mut work.answers) {
            return Turn::Start(id, effect);
        }
        work.count(cx);
        Turn::Idle(work.wake(cx))
    }

    /// Takes the outcome of an effect.
    ///
    /// # Errors
    /// Gives the outcome back unchanged unless the effect is one of this server's and still in flight.
    pub fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        let work = match &mut self.state {
            State::Opening(open) => return open.feed(cx, id, outcome),
            State::Open(work) => work,
        };
        if let Some(running) = work.running.remove(&id) {
            let ended = match outcome {
                Outcome::Handled(handled) => Ok(handled),
                Outcome::Failed(fault) => Err(fault),
                other => {
                    work.running.insert(id, running);
                    return Err(other);
                }
            };
            work.ended(cx, running.key, ended);
            return Ok(());
        }
        let outcome = match work.saves.feed(cx, id, outcome) {
            Ok(Saved::Well(_)) => return Ok(()),
            Ok(Saved::Failed(failures, fault)) => {
                if failures == 1 {
                    let error = Error::from_fault("save the kept answers", fault);
                    work.turns.push_back(Turn::Event(Event::Warning(error.to_string())));
                }
                work.follow_saves(true);
                return Ok(());
            }
            Err(outcome) => outcome,
        };
        work.has_read(cx, id, outcome)
    }

    /// Takes the page of a look; an error counts as a page without rows.
    pub fn looked_up(&mut self, cx: &mut Cx<'_>, id: LookUpId, page: Result<ActivityPage>) {
        if let State::Open(work) = &mut self.state {
            let found = work.looks.end_of(id, page.ok());
            work.looked_up(cx, found);
        }
    }

    /// Notes that the caller with this ticket is gone. Its handler goes on; once nobody waits, its message says so.
    pub fn hang_up(&mut self, ticket: Ticket) {
        if let State::Open(work) = &mut self.state {
            work.hang_up(ticket);
        }
    }

    /// Starts no further handler, and answers what waits that the agent is busy. Handlers that run are awaited for
    /// [`drain`](ServerOptions::drain).
    pub fn drain(&mut self, cx: &mut Cx<'_>) {
        match &mut self.state {
            State::Open(work) => work.drain(cx),
            State::Opening(open) => {
                self.is_drained_early = true;
                open.cancel(cx);
            }
        }
    }

    /// Returns whether a drained server has nothing left to do.
    pub fn is_drained(&self) -> bool {
        match &self.state {
            State::Open(work) => work.is_drained(),
            State::Opening(_) => self.is_drained_early,
        }
    }
}
