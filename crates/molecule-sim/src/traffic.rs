//! Performs effects: transmits requests to the platform or a peer, and feeds the outcome of each effect to its machine.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, Response, StatusCode};
use molecule_core::effect::{Decode, Effect, EffectId, Fault, FaultKind, Limits, Outcome, Phase, Sent};
use molecule_platform::{Answer, Ticket};
use molecule_proto::Time;

use crate::agent::ORIGIN;
use crate::clock::platform_now;
use crate::idle::Onto;
use crate::net::{self, PlannedEnd};
use crate::peers::{By, Speech};
use crate::relay::AgentRequest;
use crate::scenario::{Crash, Moment};
use crate::streams::StreamInFlight;
use crate::trace::{OutcomeRecord, RequestRecord, TraceEvent, Who};
use crate::weather::{Gust, Route};
use crate::world::{Happening, World};

/// A request in flight.
pub(crate) struct RequestInFlight {
    pub(crate) who: Who,
    ask: RequestRecord,
    /// The request until it reaches the server; `None` afterwards, or if it never does.
    request: Option<Request<Bytes>>,
    answer: Option<Response<Bytes>>,
    end: PlannedEnd,
    lands: Time,
    landed: bool,
    /// Whether it uses a pooled connection.
    is_kept: bool,
    total: Duration,
    /// The time at which the caller stops waiting for the answer's head.
    patience: Time,
    /// While the server works on the answer: the planned end, and the delay of the answer on its way back.
    thinking: Option<(PlannedEnd, Duration)>,
    /// The answer that a peer will send.
    said: Option<Speech>,
    /// Whether the platform's answer is still outstanding.
    owed: bool,
    /// The longest silence of the stream that is asked for; `None` for any other request.
    silence: Option<Duration>,
}

impl World<'_> {
    /// Performs an effect. The process may crash at it, if the scenario says so.
    pub(crate) fn start_effect(&mut self, who: Who, id: EffectId, effect: Effect) {
        // Decoding takes no virtual time, so that nothing can happen in the middle of it.
        if let Effect::Decode(decode) = effect {
            return self.decode(who, id, decode);
        }
        let crash = self.doom(who, id);
        match effect {
            Effect::Http(..) | Effect::Watch(..) => self.send(who, id, effect, crash),
            Effect::Fetch(..) | Effect::Upload(..) => {
                unreachable!("no scenario's agent installs plugins or sends files")
            }
            Effect::Handle(handle) => self.handle(who, id, handle.message, crash),
            Effect::Host(op) => self.perform(who, id, op, crash),
            Effect::Decode(_) => unreachable!("read above"),
        }
    }

    fn decode(&mut self, who: Who, id: EffectId, decode: Decode) {
        let now = self.clock(who.agent);
        if let Some(process) = self.process_mut(who.process) {
            process.feed(who.job, now, id, decode.perform());
        }
    }

    /// The crash planned for this effect, if there is one.
    fn doom(&mut self, who: Who, id: EffectId) -> Option<Crash> {
        let agent = &mut self.agents[who.agent];
        if agent.process != Some(who.process) {
            return None;
        }
        let doom = agent.doom.as_mut()?;
        if let Some(left) = doom.after_effects.checked_sub(1) {
            doom.after_effects = left;
            return None;
        }
        let crash = agent.doom.take()?;
        if crash.moment == Moment::After {
            self.process_mut(who.process)?.fatal = Some((id, crash));
            return None;
        }
        Some(crash)
    }

    /// Sends a request, or opens a stream on a connection of its own.
    fn send(&mut self, who: Who, id: EffectId, effect: Effect, crash: Option<Crash>) {
        let printed = format!("{effect:?}");
        let (mut request, limits, is_stream) = match effect {
            Effect::Http(request, limits) => (request, limits, false),
            Effect::Watch(request, limits) => (request, limits, true),
            other => unreachable!("no request: {other:?}"),
        };
        self.requests += 1;
        let uri = request.uri();
        let origin =
            format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |host| host.as_str()));
        let home = origin == ORIGIN;
        let route = if home { Route::of(request.method(), uri.path()) } else { Some(Route::Direct) };
        let bearer = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
        let onto = if is_stream { Onto::New } else { self.connection(who, &origin, &limits) };
        let dead = if let Onto::Dead(idle) = onto { Some(idle) } else { None };
        // A request on a dead connection never arrives, whatever the weather.
        let gust = dead.map(|_| Gust::LostBefore { silent: true }).or_else(|| self.gust(who.agent, route));
        let about = crate::read::about(route, &request).map(Rc::new);
        let is_look = route == Some(Route::Feed) && uri.query().is_some_and(|query| query.contains("source=canvas"));
        let shut = if home { None } else { self.door_at(request.uri()).err() };
        let ask = RequestRecord { id, route, origin, bearer, is_look, printed, gust, dead, about };
        self.see(who, TraceEvent::Asked(&ask));
        if let Some(crash) = crash.filter(|crash| crash.moment == Moment::Before) {
            return self.crash(who.agent, crash);
        }
        if let Some(host) = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
            request.headers_mut().insert(HOST, host);
        }
        let date = platform_now(self.now).unix;
        let meets = ask.gust.clone().or(shut);
        let way = net::way(meets.as_ref(), ask.bearer.as_deref(), &limits, &mut self.rng, date);
        let number = self.requests;
        let lands = self.now + way.lands;
        let request = way.arrives.map(|_| request);
        let flight = RequestInFlight {
            who,
            ask,
            request,
            answer: None,
            end: way.end,
            lands,
            landed: false,
            is_kept: onto != Onto::New,
            total: limits.total,
            patience: self.now + limits.head.min(limits.total),
            thinking: None,
            said: None,
            owed: false,
            silence: is_stream.then_some(limits.read),
        };
        self.flights.insert(number, flight);
        if let Some(arrives) = way.arrives {
            self.plan(self.now + arrives, Happening::Arrives(number));
        }
        self.plan(lands, Happening::Lands(number));
        if let Some(crash) = crash {
            self.crash(who.agent, crash);
        }
    }

    /// Takes the connection for a request to this origin.
    fn connection(&mut self, who: Who, origin: &str, limits: &Limits) -> Onto {
        let clock = self.clock(who.agent);
        self.process_mut(who.process).map_or(Onto::New, |process| process.idle.take(origin, clock, limits.max_idle))
    }

    /// Returns a connection to the pool or discards it after a request.
    fn release(&mut self, who: Who, origin: &str, is_kept: bool, outcome: &Outcome) {
        let clock = self.clock(who.agent);
        let Some(process) = self.process_mut(who.process) else { return };
        match outcome {
            Outcome::Response(_) => process.idle.give(origin, clock),
            _ if is_kept => process.idle.forget(origin),
            _ => {}
        }
    }

    /// Chooses the network fault for an agent's request on a route.
    pub(crate) fn gust(&mut self, agent: usize, route: Option<Route>) -> Option<Gust> {
        let strikes = &mut self.agents[agent].strikes;
        if let Some(place) = strikes.iter().position(|(struck, _)| Some(*struck) == route) {
            return strikes.remove(place).map(|(_, gust)| gust);
        }
        if self.weather.is_fair() || self.weather.route.is_some_and(|only| Some(only) != route) {
            return None;
        }
        let meets = self.rng.u8(0..100) < self.weather.percent;
        if meets { self.rng.choice(&self.weather.gusts).cloned() } else { None }
    }

    pub(crate) fn arrives(&mut self, number: u64) {
        // A request arrives even if its process is gone or its caller no longer waits.
        let Some(flight) = self.flights.get_mut(&number) else { return };
        let Some(request) = flight.request.take() else { return };
        let (who, route) = (flight.who, flight.ask.route);
        if let Some(agent) = self.serves_at(request.uri()).filter(|_| route == Some(Route::Direct)) {
            self.waits(number, |_| {});
            return self.deliver(agent, AgentRequest::Flight(number), request, By::Direct(who));
        }
        if route == Some(Route::Direct) {
            let (said, thinks) = self.visit(&request, By::Direct(who));
            self.waits(number, |flight| flight.said = Some(said));
            return self.plan(self.now + thinks, Happening::Speaks(AgentRequest::Flight(number)));
        }
        if route == Some(Route::A2a) {
            // Work of the platform that is already due is not attributed to this request.
            self.pump(By::Platform);
        }
        let peer = Some(std::net::Ipv4Addr::new(93, 184, 216, 1).into());
        match self.platform.handle(platform_now(self.now), peer, request) {
            Answer::Ready(answer) => {
                self.server_answers(number, answer);
                self.pump(By::Platform);
            }
            Answer::Later(ticket) => {
                self.mail.waiting.insert(ticket, number);
                self.waits(number, |flight| flight.owed = true);
                self.pump(By::Relayed(who));
            }
            Answer::Stream(ticket, _) => {
                self.stream_begins(number, ticket);
                self.pump(By::Platform);
            }
            other => unreachable!("an answer that is not known here: {other:?}"),
        }
    }

    /// Opens the stream that is the answer to a request, unless the answer is lost.
    fn stream_begins(&mut self, number: u64, ticket: Ticket) {
        let Some(flight) = self.flights.get_mut(&number) else { return self.platform.close_stream(ticket) };
        let (who, ask) = (flight.who, flight.ask.clone());
        self.see(who, TraceEvent::Answered(&ask, StatusCode::OK, None));
        let Some(flight) = self.flights.get_mut(&number) else { return };
        let breaks = match &flight.end {
            PlannedEnd::Answer | PlannedEnd::AboveCap => false,
            PlannedEnd::Fault(Sent::Maybe, FaultKind::Interrupted) => true,
            PlannedEnd::Corrupt => {
                // Something on the way compresses it.
                flight.end = PlannedEnd::Fault(Sent::Maybe, FaultKind::Protocol);
                return self.platform.close_stream(ticket);
            }
            PlannedEnd::Edge(_) | PlannedEnd::EdgeAboveCap(_) | PlannedEnd::Fault(..) => {
                return self.platform.close_stream(ticket);
            }
        };
        match self.flights.remove(&number) {
            Some(RequestInFlight { who, ask, lands, silence: Some(silence), landed: false, .. }) => {
                let stream = StreamInFlight::new(who, ask, ticket, lands.since(self.now), silence);
                self.open_stream(number, stream, breaks);
            }
            // Nobody waits for it any more.
            _ => self.platform.close_stream(ticket),
        }
    }

    /// Makes the caller of a request wait for an answer that the server sends later, at most until the caller's timeout
    /// for the head.
    fn waits(&mut self, number: u64, change: impl FnOnce(&mut RequestInFlight)) {
        let now = self.now;
        let Some(flight) = self.flights.get_mut(&number) else { return };
        change(flight);
        let comes = matches!(flight.end, PlannedEnd::Answer | PlannedEnd::Corrupt | PlannedEnd::AboveCap);
        if flight.landed || !comes {
            return self.forget(number);
        }
        let none = PlannedEnd::Fault(Sent::Maybe, FaultKind::Timeout(Phase::Head));
        let end = std::mem::replace(&mut flight.end, none);
        flight.thinking = Some((end, flight.lands.since(now)));
        flight.lands = flight.patience.max(now);
        let lands = flight.lands;
        self.plan(lands, Happening::Lands(number));
    }

    /// Sends an answer, or the fault in its place, back to the caller. An answer that comes too late is dropped.
    fn comes_back(&mut self, number: u64, end: Option<PlannedEnd>, answer: Option<Response<Bytes>>) {
        let now = self.now;
        let Some(flight) = self.flights.get_mut(&number) else { return };
        flight.answer = answer;
        let Some((planned, back)) = flight.thinking.take() else { return };
        let lands = now + back;
        if !flight.landed && lands <= flight.lands {
            flight.end = end.unwrap_or(planned);
            flight.lands = lands;
            self.plan(lands, Happening::Lands(number));
        }
    }

    /// Notes what a peer sends that was called directly; returns whether its caller still waits.
    pub(crate) fn peer_says(&mut self, number: u64, speech: Speech) -> bool {
        self.flights.get_mut(&number).map(|flight| flight.said = Some(speech)).is_some()
    }

    /// Sends the answer of a peer that was called directly.
    pub(crate) fn peer_answers(&mut self, number: u64) {
        let said = self.flights.get_mut(&number).and_then(|flight| flight.said.take());
        let broke = |kind| Some(PlannedEnd::Fault(Sent::Maybe, kind));
        match said {
            Some(Speech::Answers(answer)) => self.comes_back(number, None, Some(answer)),
            Some(Speech::HangsUp | Speech::Cut(_)) => self.comes_back(number, broke(FaultKind::Interrupted), None),
            Some(Speech::TooLong) => self.comes_back(number, Some(PlannedEnd::AboveCap), Some(long_reply())),
            Some(Speech::Silent) | None => {}
        }
    }

    /// Sends the platform's answer to a request.
    pub(crate) fn server_answers(&mut self, number: u64, answer: Response<Bytes>) {
        let Some(flight) = self.flights.get_mut(&number) else { return };
        flight.owed = false;
        let (who, ask) = (flight.who, flight.ask.clone());
        let token = crate::read::minted(ask.route, &answer);
        if let Some(token) = &token {
            self.watch().knows(token);
        }
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            self.limited += 1;
        }
        let workspace = &self.agents[who.agent].workspace;
        if let Some(secret) = self.platform.inbound_secret(workspace) {
            self.watch().keeps_secret(secret.expose());
        }
        let status = answer.status();
        self.comes_back(number, None, Some(answer));
        self.see(who, TraceEvent::Answered(&ask, status, token.as_deref()));
        self.forget(number);
    }

    pub(crate) fn lands(&mut self, number: u64) {
        let now = self.now;
        let Some(flight) = self.flights.get_mut(&number).filter(|flight| !flight.landed) else { return };
        // The landing was planned again for a later time.
        if now < flight.lands {
            return;
        }
        flight.landed = true;
        let who = flight.who;
        let late = now.since(flight.lands);
        let end = std::mem::replace(&mut flight.end, PlannedEnd::Answer);
        let answer = flight.answer.take();
        let (ask, total, is_kept) = (flight.ask.clone(), flight.total, flight.is_kept);
        let is_stream = flight.silence.is_some();
        self.forget(number);
        if ask.route == Some(Route::Direct) {
            self.caller_left(AgentRequest::Flight(number));
        }
        if self.process(who.process).is_none() {
            return;
        }
        let outcome = match (end, answer) {
            // The computer was suspended past every limit.
            (_, _) if late > total && self.rng.bool() => fault(Sent::Maybe, FaultKind::Timeout(Phase::Total)),
            (PlannedEnd::Answer, Some(answer)) => Outcome::Response(answer),
            (PlannedEnd::Corrupt, Some(answer)) => Outcome::Response(net::corrupt(answer)),
            (PlannedEnd::Edge(answer), _) => Outcome::Response(answer),
            (PlannedEnd::AboveCap, Some(answer)) | (PlannedEnd::EdgeAboveCap(answer), _) => {
                Outcome::Failed(net::above_cap(answer))
            }
            (PlannedEnd::Fault(sent, kind), _) => fault(sent, kind),
            (PlannedEnd::Answer | PlannedEnd::Corrupt | PlannedEnd::AboveCap, None) => {
                fault(Sent::Maybe, FaultKind::Interrupted)
            }
        };
        if !is_stream {
            self.release(who, &ask.origin, is_kept, &outcome);
        }
        self.hand_over(who, ask.id, Some(ask), outcome);
    }

    /// Removes a flight once its request has arrived or never will, and its outcome has landed.
    fn forget(&mut self, number: u64) {
        if self.flights.get(&number).is_some_and(|flight| flight.landed && flight.request.is_none() && !flight.owed) {
            self.flights.remove(&number);
        }
    }

    /// Cancels an effect; the performer may stop it or let it go on.
    pub(crate) fn cancel_effect(&mut self, who: Who, id: EffectId) {
        self.see(who, TraceEvent::Cancelled(id));
        self.leave_streams(|stream| stream.who.process == who.process && stream.ask.id == id);
        let goes_on = self.rng.bool();
        let now = self.now;
        let found =
            self.flights.iter_mut().find(|(_, flight)| flight.who.process == who.process && flight.ask.id == id);
        let Some((number, flight)) = found else { return };
        // A stream has no end of its own: one that is not open yet must not open for nobody.
        let is_watch = flight.ask.route == Some(Route::Events);
        if goes_on && !is_watch {
            return;
        }
        let (number, lands) = (*number, now + Duration::from_millis(1));
        if is_watch && !flight.landed && flight.lands <= lands {
            flight.end = PlannedEnd::Fault(Sent::Maybe, FaultKind::Cancelled);
        }
        if !flight.landed && flight.lands > lands {
            flight.thinking = None;
            flight.end = PlannedEnd::Fault(Sent::Maybe, FaultKind::Cancelled);
            flight.lands = lands;
            self.plan(lands, Happening::Lands(number));
        }
    }

    pub(crate) fn hand_over(&mut self, who: Who, id: EffectId, ask: Option<RequestRecord>, outcome: Outcome) {
        if let Some((_, crash)) =
            self.process(who.process).and_then(|process| process.fatal.filter(|(of, _)| *of == id))
        {
            return self.crash(who.agent, crash);
        }
        let clock = self.clock(who.agent);
        let landing = OutcomeRecord::of(id, ask, &outcome, clock);
        let Some(process) = self.process_mut(who.process) else { return };
        let process_is_rival = process.is_rival;
        let taken = process.feed(who.job, clock, id, outcome);
        self.see(who, TraceEvent::Landed(&landing, taken));
        // A second loop that got the lock, or runs without a lock, has nothing more to show.
        let without_lock = landing.fault.is_some_and(|(_, kind)| matches!(kind, FaultKind::Host(_)));
        if process_is_rival && (landing.locked || without_lock) {
            return self.dies(who.process, false);
        }
        self.drive(who.process, who.job);
    }
}

/// The head of an agent's endless answer, whose body nobody reads to its end.
fn long_reply() -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

pub(crate) fn fault(sent: Sent, kind: FaultKind) -> Outcome {
    Outcome::Failed(Fault::with_source(sent, kind, format!("simulated {kind:?}")))
}
