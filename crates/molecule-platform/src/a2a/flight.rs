//! Calls to agents that are in flight, and the requests that wait for their answers (contract section 9.6; April 7.4).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use molecule_proto::{AcceptedAnswer, AcceptedMode, Dialect, Now, RateLimit, Time, WorkspaceId};

use crate::a2a::forward::Forward;
use crate::a2a::outcome::Landing;
use crate::a2a::queue::Queue;
use crate::a2a::{Delivery, Envelope, Purpose, SenderClass};
use crate::answer::{DispatchId, Ticket, Turn};
use crate::delegation::Delegations;
use crate::dispatch::DispatchFault;
use crate::platform::Platform;
use crate::reply::{self, Response};

/// The longest time that a call from one agent to another may take.
const CEILING: Duration = Duration::from_secs(30 * 60);

/// The calls in flight, the requests that wait for them, the queue and the delegations.
#[derive(Clone, Default)]
pub(crate) struct Mail {
    counter: u64,
    /// The requests that wait for an answer, each with the limit for its rate-limit headers.
    waiting: BTreeMap<Ticket, RateLimit>,
    flights: BTreeMap<DispatchId, Flight>,
    pub(super) forwards: BTreeMap<DispatchId, Forward>,
    /// The next instructions for the driver.
    turns: VecDeque<Turn>,
    pub(crate) queue: Queue,
    pub(crate) delegations: Delegations,
}

/// A call that is in flight.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) delivery: Delivery,
    pub(super) url: String,
    pub(super) started: Now,
    /// The number of redirects that April's server has followed.
    pub(super) hops: u8,
    /// The status of the answer, once its head has arrived.
    pub(super) head: Option<StatusCode>,
    /// The time at which it is cut off in any case; `None` if there is no such time.
    ends: Option<Time>,
    /// The time until which a person waits for the answer.
    patience: Option<Time>,
}

impl Mail {
    pub(crate) fn ticket(&mut self) -> Ticket {
        self.counter += 1;
        Ticket(self.counter)
    }

    /// Adds a request that waits for an answer.
    pub(crate) fn wait(&mut self, ticket: Ticket, limit: RateLimit) {
        self.waiting.insert(ticket, limit);
    }

    /// Asks the driver to call an agent.
    pub(super) fn dispatch(&mut self, request: Request<Bytes>) -> DispatchId {
        self.counter += 1;
        let id = DispatchId(self.counter);
        self.turns.push_back(Turn::Dispatch(id, request));
        id
    }

    /// The messages with which an agent is being called.
    pub(crate) fn calls_to(&self, target: &WorkspaceId) -> impl Iterator<Item = &Envelope> {
        let flights = self.flights.values().map(|flight| &flight.delivery);
        flights.filter(move |delivery| delivery.target == *target).map(|delivery| &delivery.envelope)
    }

    /// Adds an instruction for the driver.
    pub(crate) fn add_turn(&mut self, turn: Turn) {
        self.turns.push_back(turn);
    }

    pub(crate) fn next_turn(&mut self) -> Option<Turn> {
        self.turns.pop_front()
    }

    pub(super) fn answer(&mut self, ticket: Ticket, mut response: Response) {
        if let Some(limit) = self.waiting.remove(&ticket) {
            limit.write_to(response.headers_mut());
            self.turns.push_back(Turn::Answer(ticket, response));
        }
    }
}

impl Platform {
    /// Takes the outcome of a call that [`Turn::Dispatch`] asked for. An unknown id changes nothing, nor does the id of
    /// a call that was cut off meanwhile.
    pub fn dispatched(&mut self, now: Now, id: DispatchId, outcome: Result<http::Response<Bytes>, DispatchFault>) {
        let now = self.settle(now);
        if let Some(forward) = self.mail.forwards.remove(&id) {
            return self.forwarded(forward, outcome);
        }
        let Some(flight) = self.mail.flights.remove(&id) else { return };
        let landing = match outcome {
            Ok(response) => Landing::Answered(response),
            Err(fault) => Landing::Failed(fault),
        };
        self.land(now, flight, landing);
    }

    /// Notes that the head of an agent's answer has arrived, before its body is read. A call that is cut off from then on
    /// was delivered and has lost its answer; before, its agent counts as busy and gets the message again. An unknown id
    /// changes nothing.
    pub fn dispatch_head(&mut self, id: DispatchId, status: StatusCode) {
        if let Some(flight) = self.mail.flights.get_mut(&id) {
            flight.head = Some(status);
        }
    }

    /// The calls to agents that have no outcome yet. A driver that lost them, because its process ended, passes
    /// [`DispatchFault::Closed`] for each.
    pub fn open_calls(&self) -> Vec<DispatchId> {
        self.mail.flights.keys().chain(self.mail.forwards.keys()).copied().collect()
    }

    /// The longest body of an agent's answer that the platform accepts, in bytes. A driver needs to read at most one
    /// byte more. The current server discards a longer body, April's truncates it.
    pub fn most_reply(&self) -> usize {
        match self.config.dialect {
            Dialect::April => 10 << 20,
            Dialect::Current => 64 << 20,
        }
    }

    /// The time for which the driver keeps an idle connection to an agent; `None` is without limit.
    pub(crate) fn idle_connection_timeout(&self) -> Option<Duration> {
        self.config.idle_connection_timeout
    }

    /// Starts the call of an agent.
    pub(super) fn take_off(&mut self, now: Now, delivery: Delivery, url: String, request: Request<Bytes>) {
        let in_person = delivery.sender.class == SenderClass::Person && matches!(delivery.purpose, Purpose::Call(_));
        let patient = self.config.dialect == Dialect::April;
        let flight = Flight {
            ends: (!in_person && !delivery.sender.unbounded).then(|| now.mono + CEILING),
            patience: (in_person && !patient).then(|| now.mono + self.config.ui_budget),
            delivery,
            url,
            started: now,
            hops: 0,
            head: None,
        };
        self.launch(flight, request);
    }

    pub(super) fn launch(&mut self, flight: Flight, request: Request<Bytes>) {
        let id = self.mail.dispatch(request);
        self.mail.flights.insert(id, flight);
    }

    /// Cuts off calls that took too long, and answers people who have waited too long.
    pub(crate) fn settle_flights(&mut self, now: Now) {
        let due = |at: Option<Time>| at.is_some_and(|at| at <= now.mono);
        let impatient: Vec<DispatchId> =
            self.mail.flights.iter().filter(|(_, f)| due(f.patience)).map(|(id, _)| *id).collect();
        for id in impatient {
            let Some(flight) = self.mail.flights.get_mut(&id) else { continue };
            flight.patience = None;
            if let Purpose::Call(ticket) = flight.delivery.purpose {
                let answer = AcceptedAnswer::new(AcceptedMode::PushAsync, flight.delivery.envelope.method());
                self.mail.answer(ticket, reply::ok(&answer));
            }
        }
        let cut: Vec<DispatchId> =
            self.mail.flights.iter().filter(|(_, f)| self.cut_at(f) <= now.mono).map(|(id, _)| *id).collect();
        for id in cut {
            let Some(flight) = self.mail.flights.remove(&id) else { continue };
            self.mail.turns.push_back(Turn::Cancel(id));
            self.land(now, flight, Landing::CutOff);
        }
        self.settle_forwards(now.mono);
    }

    /// The time at which a call is cut off: at its ceiling, or after too long a time without a sign of life of its
    /// target.
    fn cut_at(&self, flight: &Flight) -> Time {
        let row = self.workspaces.get(&flight.delivery.target);
        let limit = row.and_then(|row| row.idle_timeout).unwrap_or(self.config.idle_timeout);
        let heard = row.map_or(Time::ZERO, |row| row.last_event).max(flight.started.mono);
        flight.ends.into_iter().fold(heard + limit, Time::min)
    }

    /// The times of the next events of calls and delegations, each with its reason.
    pub(crate) fn mail_wakes(&self) -> impl Iterator<Item = (Time, &'static str)> {
        let flights = || self.mail.flights.values();
        let patience = flights().filter_map(|flight| flight.patience).map(|at| (at, "a person stops waiting"));
        let cuts = flights().map(|flight| (self.cut_at(flight), "a call is cut"));
        let forwards = self.mail.forwards.values().map(|forward| (forward.ends, "a forwarded request is cut"));
        let retries = self.mail.delegations.retries().map(|at| (at, "a delegation is tried again"));
        patience.chain(cuts).chain(forwards).chain(retries)
    }

    /// Passes an answer to its purpose.
    pub(crate) fn conclude(&mut self, now: Now, purpose: Purpose, response: Response) {
        match purpose {
            Purpose::Call(ticket) => self.mail.answer(ticket, response),
            Purpose::Drain(item) => self.drained(now, &item, &response),
            Purpose::Delegation(id) => self.delegated(now, &id, &response),
            Purpose::Greeting(id) => self.greeted(now, &id, &response),
            Purpose::Unanswered => {}
        }
    }
}
