//! Requests to an agent whose program runs an A2A server of the SDK: the world is its driver.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use molecule_core::effect::{EffectId, Outcome};
use molecule_core::endpoint::ActivityPage;
use molecule_core::machine::{Cx, MAX_STEPS, Now};
use molecule_core::machines::{Admission, Answer, Inbound, InboundCall, LookUpId, Refusal, Ticket, Turn};
use molecule_core::{InboundMessage, Result, ServerOptions};
use molecule_proto::{Dialect, WorkspaceId};
use serde_json::Value;

use crate::job::{self, JobKind};
use crate::peers::{By, Reached, Speech, message_id};
use crate::process::Process;
use crate::relay::AgentRequest;
use crate::sabotage::Saboteur;
use crate::scenario::ServerSetup;
use crate::trace::{Taken, TraceEvent, Who};
use crate::world::{Happening, World};

/// The number of a process's server, in place of a machine's.
pub(crate) const SERVER: u32 = u32::MAX;

/// Where every request comes from: the platform and the peers are behind one proxy.
const FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 1));

/// The server in a process.
pub(crate) struct Serving {
    pub(crate) inbound: Inbound,
    pub(crate) options: ServerOptions,
    pub(crate) saboteur: Option<Box<dyn Saboteur>>,
    /// The requests that wait for their answers.
    waiting: BTreeMap<Ticket, (AgentRequest, Rc<Delivery>)>,
    /// The requests that came before it was open.
    early: Vec<(AgentRequest, Rc<Delivery>, Request<Bytes>)>,
    /// The requests whose heads it judges again.
    unjudged: Vec<(AgentRequest, Rc<Delivery>, Request<Bytes>)>,
    /// How the latest request with each message arrived.
    by: BTreeMap<String, By>,
    in_flight: BTreeSet<EffectId>,
    /// The number of the latest wake; earlier ones are void.
    wake: u64,
}

/// A request that reached an agent's own server.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The index of the agent.
    pub target: usize,
    /// The message's id; `""` for a request without a message.
    pub message: String,
    /// The bearer in it.
    pub bearer: Option<String>,
    /// How it arrived.
    pub by: By,
    /// The path below the registered URL; `""` for a call.
    pub path: String,
    /// The body, if it is JSON.
    pub body: Value,
    /// Its bytes.
    pub content: Bytes,
    /// Whether a proxy on the way made it of another one. Nobody gets its answer.
    pub is_copy: bool,
}

/// What a server does with a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Reaction {
    /// It answers with this status and this body.
    Answers(StatusCode, Value),
    /// It closes the connection without an answer.
    Cuts,
}

impl Serving {
    /// Starts a server. The options of a scenario are valid. `peers` are the tokens of other agents for it.
    pub(crate) fn new(setup: &ServerSetup, dialect: Dialect, url: &str, peers: &[(WorkspaceId, String)]) -> Self {
        let mut limits = molecule_core::ServerLimits::default();
        (limits.handlers, limits.queue) = (usize::from(setup.handlers.max(1)), setup.queue.into());
        let mut options = ServerOptions::new().url(url).limits(limits).look_up_senders(setup.looks_up);
        if setup.open || dialect == Dialect::April {
            options = options.allow_unauthenticated();
        }
        if setup.tasks {
            options = options.task_mode();
        }
        for (peer, token) in peers {
            options = options.peer_token(peer, token);
        }
        Self {
            inbound: Self::made(&options),
            options,
            saboteur: None,
            waiting: BTreeMap::new(),
            early: Vec::new(),
            unjudged: Vec::new(),
            by: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            wake: 0,
        }
    }

    fn made(options: &ServerOptions) -> Inbound {
        let local = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8080);
        Inbound::new(options, local).expect("a scenario's server has valid options")
    }

    pub(crate) fn arm(&mut self) -> u64 {
        self.wake += 1;
        self.wake
    }

    pub(crate) fn is_armed(&self, wake: u64) -> bool {
        self.wake == wake
    }

    /// Everybody whose connection it holds.
    pub(crate) fn callers(self) -> impl Iterator<Item = AgentRequest> {
        let early = self.early.into_iter().chain(self.unjudged).map(|(exchange, ..)| exchange);
        self.waiting.into_values().map(|(exchange, _)| exchange).chain(early)
    }
}

impl Process {
    /// Feeds the outcome of an effect to the server.
    pub(crate) fn feed_server(&mut self, now: Now, id: EffectId, outcome: Outcome) -> Taken {
        let Self { serving: Some(serving), session, host, .. } = self else {
            self.host.dispose(outcome);
            return Taken::TooLate;
        };
        serving.in_flight.remove(&id);
        match serving.inbound.feed(&mut Cx { now, session }, id, outcome) {
            Ok(()) => Taken::Yes,
            Err(outcome) => {
                host.dispose(outcome);
                Taken::GivenBack
            }
        }
    }
}

impl World<'_> {
    /// Starts the server of a process, if its agent has one, and says so to the session, which registers its URL.
    pub(crate) fn start_server(&mut self, agent: usize, number: usize) {
        let Some(setup) = self.agents[agent].setup.server.clone() else { return };
        let dialect = self.scenario.setup.dialect;
        let url = self.agents[agent].reported_url.clone();
        let home = crate::agent::url(agent, 0);
        let saboteur = self.saboteurs.and_then(|saboteurs| saboteurs(JobKind::Serve));
        let peers = self.tokens_of_peers(agent);
        let Some(process) = self.process_mut(number) else { return };
        let mut serving = Serving::new(&setup, dialect, url.as_deref().unwrap_or(&home), &peers);
        serving.saboteur = saboteur;
        process.serving = Some(serving);
        if let Some(url) = url {
            process.session.serve(url, setup.plan()).expect("a scenario's URLs are URLs");
        }
        self.see(self.server(agent, number), TraceEvent::Began);
        self.drive_server(number);
    }

    fn server(&self, agent: usize, process: usize) -> Who {
        Who { agent, process, job: SERVER, kind: JobKind::Serve }
    }

    /// Gives a request to an agent's server.
    pub(crate) fn deliver(&mut self, agent: usize, exchange: AgentRequest, mut request: Request<Bytes>, by: By) {
        let Some(number) = self.agents[agent].process else { return self.say(exchange, Speech::HangsUp) };
        let bearer = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let delivery = Rc::new(Delivery {
            target: agent,
            message: message_id(request.body()),
            bearer: bearer.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned),
            by,
            path: self.agents[agent].below(request.uri().path()),
            content: request.body().clone(),
            body: serde_json::from_slice(request.body()).unwrap_or_default(),
            is_copy: exchange == AgentRequest::Copy,
        });
        self.see(self.server(agent, number), TraceEvent::Delivered(&delivery));
        let Some(serving) = self.process_mut(number).and_then(|process| process.serving.as_mut()) else {
            return self.say(exchange, Speech::HangsUp);
        };
        if let Some(saboteur) = &mut serving.saboteur {
            saboteur.arrives(&mut request);
        }
        if serving.inbound.is_open() {
            self.take(number, exchange, delivery, request);
        } else {
            serving.early.push((exchange, delivery, request));
        }
    }

    fn take(&mut self, number: usize, exchange: AgentRequest, delivery: Rc<Delivery>, request: Request<Bytes>) {
        let agent = delivery.target;
        let now = self.clock(agent);
        let (head, body) = request.into_parts();
        let Some(Process { serving: Some(serving), session, .. }) = self.process_mut(number) else { return };
        let cx = &mut Cx { now, session };
        let answer = match serving.inbound.admit(cx, &head, FROM) {
            Admission::Answer(answer) => Answer::Ready(answer),
            Admission::Close => Answer::Cut,
            Admission::Later(wait) => {
                serving.unjudged.push((exchange, delivery, Request::from_parts(head, body)));
                // The first one has all of them judged again.
                if serving.unjudged.len() == 1 {
                    self.plan(self.now + wait, Happening::JudgedAgain(number));
                }
                return;
            }
            Admission::Ingest(_) => return self.form_begins(number, exchange, delivery, &head, &body),
            Admission::Other(_) => Answer::Ready(Refusal::NOT_FOUND.answer()),
            Admission::Read(caller) => {
                serving.by.insert(delivery.message.clone(), delivery.by);
                serving.inbound.handle(cx, caller, InboundCall::read(&head, body))
            }
        };
        match answer {
            Answer::Later(ticket) => drop(serving.waiting.insert(ticket, (exchange, delivery))),
            answer => self.replies(number, exchange, &delivery, answer),
        }
        self.drive_server(number);
    }

    /// Has a server judge the heads again that it could not judge before.
    pub(crate) fn judge_again(&mut self, number: usize) {
        let Some(Process { serving: Some(serving), .. }) = self.process_mut(number) else { return };
        for (exchange, delivery, request) in std::mem::take(&mut serving.unjudged) {
            self.take(number, exchange, delivery, request);
        }
    }

    /// Sends what the server says.
    pub(crate) fn replies(&mut self, number: usize, exchange: AgentRequest, delivery: &Delivery, answer: Answer) {
        let Some(serving) = self.process_mut(number).and_then(|process| process.serving.as_mut()) else { return };
        let answer = match &mut serving.saboteur {
            Some(saboteur) => saboteur.replies(answer),
            None => answer,
        };
        let forgets = serving.saboteur.as_mut().is_some_and(|saboteur| saboteur.forgets());
        let (reaction, speech) = match answer {
            Answer::Ready(answer) => (said(&answer), Speech::Answers(answer)),
            Answer::Cut | Answer::Later(_) => (Reaction::Cuts, Speech::HangsUp),
        };
        self.clients.learn(delivery.target, &reaction);
        self.see(self.server(delivery.target, number), TraceEvent::Reacted(delivery, &reaction));
        self.say(exchange, speech);
        if forgets {
            self.forgets_answers(delivery.target, number);
        }
    }

    /// Lets a saboteur's server lose what it knows: it begins anew without its slot.
    fn forgets_answers(&mut self, agent: usize, number: usize) {
        self.agents[agent].disk.remove(molecule_core::effect::Slot::Answers);
        let Some(Process { serving: Some(serving), .. }) = self.process_mut(number) else { return };
        serving.inbound = Serving::made(&serving.options);
    }

    /// Has an agent's server send something on a connection.
    pub(crate) fn say(&mut self, exchange: AgentRequest, speech: Speech) {
        if self.has_said(exchange, speech) {
            self.plan(self.now, Happening::Speaks(exchange));
        }
    }

    /// Notes that the caller of a request is gone, so that its connection is closed.
    pub(crate) fn caller_left(&mut self, exchange: AgentRequest) {
        self.leave_forms(|form| form.exchange == exchange);
        for number in 0..self.processes.len() {
            let Some(Process { serving: Some(serving), .. }) = self.process_mut(number) else { continue };
            serving.early.retain(|(of, ..)| *of != exchange);
            serving.unjudged.retain(|(of, ..)| *of != exchange);
            let ticket = serving.waiting.iter().find(|(_, (of, _))| *of == exchange).map(|(ticket, _)| *ticket);
            let Some(ticket) = ticket else { continue };
            serving.waiting.remove(&ticket);
            serving.inbound.hang_up(ticket);
            self.drive_server(number);
        }
    }

    /// Polls a server until it is idle.
    pub(crate) fn drive_server(&mut self, number: usize) {
        for steps in 1..=MAX_STEPS {
            let Some(agent) = self.process(number).map(|process| process.agent) else { return };
            let (now, who) = (self.clock(agent), self.server(agent, number));
            self.stepped();
            let Some(Process { serving: Some(serving), session, .. }) = self.process_mut(number) else { return };
            match serving.inbound.poll(&mut Cx { now, session }) {
                Turn::Start(id, effect) => {
                    serving.in_flight.insert(id);
                    self.start_effect(who, id, effect);
                }
                Turn::Cancel(id) => self.cancel_effect(who, id),
                Turn::LookUp(LookUpId(id), feed) => {
                    self.begin(number, JobKind::LookUp(id), job::look_up(feed));
                }
                Turn::Event(event) => self.see(who, TraceEvent::Told(&event)),
                Turn::Answer(ticket, answer) => {
                    if let Some((exchange, delivery)) = serving.waiting.remove(&ticket) {
                        self.replies(number, exchange, &delivery, answer);
                    }
                }
                Turn::Idle(wake) => {
                    let (armed, in_flight) = (serving.arm(), serving.in_flight.len());
                    let early = if serving.inbound.is_open() { std::mem::take(&mut serving.early) } else { Vec::new() };
                    let is_over = serving.inbound.is_drained();
                    if let Some(wake) = wake {
                        let at = self.now + wake.at.since(now.mono);
                        self.plan(at, Happening::Wake { process: number, job: SERVER, wake: armed });
                    }
                    let wake = wake.map(|wake| wake.at);
                    self.see(who, TraceEvent::Rested { steps, wake, in_flight, in_vain: false });
                    if is_over {
                        self.close_server(number);
                    }
                    for (exchange, delivery, request) in early {
                        self.take(number, exchange, delivery, request);
                    }
                    return;
                }
            }
            if self.is_broken() {
                return;
            }
        }
        if let Some(process) = self.process(number) {
            self.see(self.server(process.agent, number), TraceEvent::Raced);
        }
    }

    /// Gives a server the page of its agent's feed.
    pub(crate) fn looked_up(&mut self, number: usize, id: u64, page: Result<ActivityPage>) {
        let Some(agent) = self.process(number).map(|process| process.agent) else { return };
        let now = self.clock(agent);
        let Some(Process { serving: Some(serving), session, .. }) = self.process_mut(number) else { return };
        serving.inbound.looked_up(&mut Cx { now, session }, LookUpId(id), page);
        self.drive_server(number);
    }

    /// Stops a server: what runs may end, and what waits is told that the agent is busy.
    pub(crate) fn drain_server(&mut self, number: usize) {
        let Some(agent) = self.process(number).map(|process| process.agent) else { return };
        let now = self.clock(agent);
        let Some(Process { serving: Some(serving), session, .. }) = self.process_mut(number) else { return };
        serving.inbound.drain(&mut Cx { now, session });
        self.drive_server(number);
    }

    /// Closes the port and every connection of a server that has ended.
    fn close_server(&mut self, number: usize) {
        self.leave_forms(|form| form.process == number);
        let serving = self.process_mut(number).and_then(|process| process.serving.take());
        serving.into_iter().flat_map(Serving::callers).for_each(|exchange| self.say(exchange, Speech::HangsUp));
    }

    /// Records that a pushed message is offered to the handler.
    pub(crate) fn push_is_handled(&mut self, who: Who, message: &InboundMessage) {
        let Some(Process { serving: Some(serving), .. }) = self.process(who.process) else { return };
        let id = message.message_id().unwrap_or_default().to_owned();
        let by = serving.by.get(&id).copied().unwrap_or(By::Platform);
        self.peers.handle(who.agent, &id, by);
        let sender = match by {
            By::Direct(who) | By::Relayed(who) => who,
            By::Platform | By::Client(_) => self.program(who.agent),
        };
        let reached = Reached { target: who.agent, message: id, by, handled: true };
        self.see(sender, TraceEvent::Reached(&reached));
    }
}

fn said(answer: &Response<Bytes>) -> Reaction {
    Reaction::Answers(answer.status(), serde_json::from_slice(answer.body()).unwrap_or_default())
}
