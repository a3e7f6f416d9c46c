//! The platform's own calls of agents, on the same faulty network as everything else.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use molecule_core::effect::{FaultKind, Limits, Phase};
use molecule_platform::{DispatchFault, DispatchId, Ticket, Turn};
use molecule_proto::Time;

use crate::agent::is_made_up;
use crate::clock::platform_now;
use crate::net::{self, PlannedEnd};
use crate::peers::{By, Speech};
use crate::trace::TraceEvent;
use crate::weather::{Gust, Route, SlowPart};
use crate::world::{Happening, World};

/// The platform's work in flight.
#[derive(Default)]
pub(crate) struct PlatformCalls {
    /// Requests that the platform answers later, with the number of the flight that carries each.
    pub(crate) waiting: BTreeMap<Ticket, u64>,
    legs: BTreeMap<DispatchId, Leg>,
    /// The time at which the platform is polled next.
    armed: Option<Time>,
}

/// A call from the platform to an agent.
struct Leg {
    by: By,
    request: Request<Bytes>,
    end: PlannedEnd,
    gust: Option<Gust>,
    /// The delay of the agent's answer on its way back.
    back: Duration,
    said: Option<Speech>,
}

/// The request that an agent's server answers: one sent directly, or one from the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AgentRequest {
    Flight(u64),
    Leg(DispatchId),
    /// That of a client.
    Client(u64),
    /// A copy that a proxy on the way sent, whose answer nobody gets.
    Copy,
}

/// Longer than the platform's own timeout, which ends a call first.
const PATIENCE: Duration = Duration::from_secs(7200);
const DIAL: Duration = Duration::from_secs(10);

impl World<'_> {
    /// Polls the platform until it is idle. Messages that it sends now are attributed to `by`.
    pub(crate) fn pump(&mut self, by: By) {
        loop {
            match self.platform.poll(platform_now(self.now)) {
                Turn::Dispatch(id, request) => self.dispatch(id, request, by),
                Turn::Cancel(id) => {
                    self.mail.legs.remove(&id);
                    self.caller_left(AgentRequest::Leg(id));
                }
                Turn::Answer(ticket, response) => {
                    if let Some(flight) = self.mail.waiting.remove(&ticket) {
                        self.server_answers(flight, response);
                    }
                }
                Turn::Chunk(ticket, event) => self.event_sent(ticket, &event),
                Turn::Idle(wake) => {
                    let Some(wake) = wake else { return };
                    if self.mail.armed.is_none_or(|armed| wake.at < armed) {
                        self.mail.armed = Some(wake.at);
                        self.plan(wake.at, Happening::PlatformWakes);
                    }
                    return;
                }
                other => unreachable!("a turn that is not known here: {other:?}"),
            }
        }
    }

    pub(crate) fn platform_wakes(&mut self) {
        // The queue may still hold a later wake that an earlier one replaced.
        if self.mail.armed.is_some_and(|armed| armed <= self.now) {
            self.mail.armed = None;
            self.pump(By::Platform);
        }
    }

    fn dispatch(&mut self, id: DispatchId, request: Request<Bytes>, by: By) {
        let meets = match self.door_at(request.uri()) {
            Ok(agent) => self.gust(agent, Some(Route::Dispatch)),
            Err(shut) => Some(shut),
        };
        let limits = Limits::of(PATIENCE, u64::MAX).connect(DIAL);
        let date = platform_now(self.now).unix;
        let way = net::way(meets.as_ref(), None, &limits, &mut self.rng, date);
        if let Some(arrives) = way.arrives {
            self.plan(self.now + arrives, Happening::Knocks(id));
        }
        let end = match (way.end, &meets) {
            // These faults change the agent's answer, if there is one.
            (PlannedEnd::Fault(..), Some(Gust::Cut)) | (PlannedEnd::AboveCap, _) => PlannedEnd::Answer,
            (PlannedEnd::EdgeAboveCap(page), _) => PlannedEnd::Edge(page),
            (end, _) => end,
        };
        match &end {
            PlannedEnd::Answer
            | PlannedEnd::Corrupt
            | PlannedEnd::Fault(_, FaultKind::Timeout(Phase::Head | Phase::Read | Phase::Total)) => {}
            PlannedEnd::Edge(_) | PlannedEnd::EdgeAboveCap(_) | PlannedEnd::AboveCap | PlannedEnd::Fault(..) => {
                self.plan(self.now + way.lands, Happening::Returns(id))
            }
        }
        let back = way.lands.saturating_sub(way.arrives.unwrap_or_default());
        self.mail.legs.insert(id, Leg { by, request, end, gust: meets, back, said: None });
    }

    /// The agent that listens on a URL, or the fault that a request there meets.
    pub(crate) fn door_at(&self, url: &Uri) -> Result<usize, Gust> {
        let text = url.to_string();
        let Some(agent) = self.agents.iter().position(|agent| agent.is_at(&text)) else {
            return Err(if is_made_up(url) { Gust::Refused } else { Gust::Unresolved });
        };
        let computer = &self.agents[agent];
        if self.now < computer.asleep_until {
            return Err(Gust::Slow { part: SlowPart::Connect, ms: 3_600_000 });
        }
        // The program is the server, so the port is closed while no process runs.
        let listens = computer.process.is_some_and(|number| {
            computer.setup.server.is_none() || self.process(number).is_some_and(|process| process.serving.is_some())
        });
        if listens { Ok(agent) } else { Err(Gust::Refused) }
    }

    /// Delivers a request of the platform to an agent's server.
    pub(crate) fn knocks(&mut self, id: DispatchId) {
        let Some(leg) = self.mail.legs.get(&id) else { return };
        let (by, request, is_twice) = (leg.by, leg.request.clone(), leg.gust == Some(Gust::Twice));
        if let Some(agent) = self.serves_at(request.uri()) {
            if is_twice {
                self.deliver(agent, AgentRequest::Copy, request.clone(), by);
            }
            return self.deliver(agent, AgentRequest::Leg(id), request, by);
        }
        let (said, thinks) = self.visit(&request, by);
        if let Some(leg) = self.mail.legs.get_mut(&id) {
            leg.said = Some(said);
            self.plan(self.now + thinks, Happening::Speaks(AgentRequest::Leg(id)));
        }
    }

    /// The agent with a server of the SDK that listens on a URL now.
    pub(crate) fn serves_at(&self, url: &Uri) -> Option<usize> {
        self.door_at(url).ok().filter(|agent| self.agents[*agent].setup.server.is_some())
    }

    /// Notes what an agent's server sends; returns whether anybody waits for it.
    pub(crate) fn has_said(&mut self, exchange: AgentRequest, speech: Speech) -> bool {
        match exchange {
            AgentRequest::Flight(number) => self.peer_says(number, speech),
            AgentRequest::Leg(id) => self.mail.legs.get_mut(&id).map(|leg| leg.said = Some(speech)).is_some(),
            AgentRequest::Client(_) | AgentRequest::Copy => false,
        }
    }

    /// Delivers a request to the agent that listens on its URL now.
    pub(crate) fn visit(&mut self, request: &Request<Bytes>, by: By) -> (Speech, Duration) {
        let Ok(agent) = self.door_at(request.uri()) else { return (Speech::HangsUp, Duration::ZERO) };
        let secret = self.platform.inbound_secret(&self.agents[agent].workspace);
        let (reached, speech, thinks) = self.peers.take(agent, secret.as_ref(), request, by);
        let who = match by {
            By::Direct(who) | By::Relayed(who) => who,
            By::Platform | By::Client(_) => self.program(agent),
        };
        self.see(who, TraceEvent::Reached(&reached));
        (speech, thinks)
    }

    /// Sends an agent's answer after its delay.
    pub(crate) fn speaks(&mut self, exchange: AgentRequest) {
        match exchange {
            AgentRequest::Client(_) | AgentRequest::Copy => {}
            AgentRequest::Flight(flight) => self.peer_answers(flight),
            AgentRequest::Leg(id) => {
                let Some(leg) = self.mail.legs.get(&id) else { return };
                let waits = matches!(leg.end, PlannedEnd::Answer | PlannedEnd::Corrupt);
                if waits && !matches!(leg.said, Some(Speech::Silent) | None) {
                    self.plan(self.now + leg.back, Happening::Returns(id));
                }
            }
        }
    }

    /// Reports the outcome of a call to the platform.
    pub(crate) fn returns(&mut self, id: DispatchId) {
        let Some(leg) = self.mail.legs.remove(&id) else { return };
        self.caller_left(AgentRequest::Leg(id));
        let outcome = match (leg.end, leg.said) {
            (PlannedEnd::Edge(answer) | PlannedEnd::EdgeAboveCap(answer), _) => Ok(answer),
            (PlannedEnd::Fault(_, kind), _) => Err(faulty(kind)),
            (PlannedEnd::Answer | PlannedEnd::AboveCap, Some(Speech::Answers(answer))) => match leg.gust {
                Some(Gust::Cut) => Err(DispatchFault::Cut(answer.status())),
                Some(Gust::TooLarge) => Ok(self.too_long()),
                _ => Ok(answer),
            },
            (PlannedEnd::Corrupt, Some(Speech::Answers(answer))) => Ok(net::corrupt(answer)),
            (_, Some(Speech::Cut(status))) => Err(DispatchFault::Cut(status)),
            (_, Some(Speech::TooLong)) => Ok(self.too_long()),
            (_, Some(Speech::HangsUp | Speech::Silent) | None) => Err(DispatchFault::Closed),
        };
        self.platform.dispatched(platform_now(self.now), id, outcome);
        self.pump(leg.by);
    }

    fn too_long(&self) -> Response<Bytes> {
        Response::new(vec![0; self.platform.most_reply() + 1].into())
    }
}

fn faulty(kind: FaultKind) -> DispatchFault {
    match kind {
        FaultKind::Resolve => DispatchFault::Resolve,
        FaultKind::Tls | FaultKind::CertificateTime | FaultKind::NotTls => DispatchFault::Tls,
        FaultKind::Protocol => DispatchFault::Protocol,
        FaultKind::Interrupted => DispatchFault::Closed,
        FaultKind::Connect
        | FaultKind::Proxy
        | FaultKind::ProxyAuth
        | FaultKind::OutOfReach
        | FaultKind::TooLarge
        | FaultKind::Timeout(_)
        | FaultKind::Archive
        | FaultKind::Host(_)
        | FaultKind::File
        | FaultKind::Locked
        | FaultKind::Handler
        | FaultKind::HandlerPanicked
        | FaultKind::TryAgain
        | FaultKind::Cancelled => DispatchFault::Connect(None),
    }
}
