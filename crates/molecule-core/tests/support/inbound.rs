//! A server on virtual time: its callers, its handlers and its store are the test.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{Request, Response};
use molecule_core::effect::{Effect, EffectId, Fault, FaultKind, Handle, HostOp, HostResult, Outcome, Sent};
use molecule_core::endpoint::{ActivityFeed, ActivityPage};
use molecule_core::machine::Cx;
use molecule_core::machines::{Admission, Answer, Caller, Inbound, InboundCall, LookUpId, Ticket, Turn};
use molecule_core::proto::{ActivityRow, Wake};
use molecule_core::{Error, Event, InboundMessage, Reply, ServerOptions};
use serde_json::{Value, json};

use super::agent::Agent;

/// The inbound secret of servers that have one.
pub const SECRET: &str = "inbound-s3cr3t-inbound-s3cr3t-inbound-s3cr3";
/// A direct peer, and its token.
pub const PEER: &str = "0a9b1c2d-0000-4000-8000-00000000beef";
pub const PEER_TOKEN: &str = "peer-s3cr3t-peer-s3cr3t";

/// A `message/send` of one text.
pub fn text(id: &str, text: &str) -> Value {
    message(id, json!({"parts": [{"kind": "text", "text": text}]}))
}

/// A `message/send` whose message has these fields besides.
pub fn message(id: &str, fields: Value) -> Value {
    let mut message = json!({"kind": "message", "role": "user", "messageId": id, "parts": []});
    message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    rpc(&format!("r-{id}"), "message/send", json!({"message": message}))
}

/// A request of JSON-RPC.
pub fn rpc(id: &str, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// What a handler may be in: the effect and its message.
pub type Handling = (EffectId, InboundMessage);

pub struct Server {
    pub agent: Agent,
    pub inbound: Inbound,
    options: ServerOptions,
    pub handlers: VecDeque<Handling>,
    pub looks: VecDeque<(LookUpId, ActivityFeed)>,
    pub answers: BTreeMap<Ticket, Answer>,
    pub events: Vec<Event>,
    pub cancelled: Vec<EffectId>,
    /// Whether appends wait until [`save`](Self::save).
    pub holds_saves: bool,
    pub held: VecDeque<(EffectId, HostOp)>,
    /// Whether files that replies name are never read.
    pub holds_reads: bool,
    /// The files that replies may name.
    pub files: BTreeMap<String, Vec<u8>>,
    pub wake: Option<Wake>,
}

impl Server {
    /// A server with these options, opened.
    pub fn with(options: ServerOptions) -> Self {
        Self::of(Agent::new(), options)
    }

    /// A server on this machine that needs no credential.
    pub fn unauthenticated() -> Self {
        Self::with(ServerOptions::new().allow_unauthenticated())
    }

    /// A server that the platform calls with its secret, and a direct peer with a token; senders are not looked up.
    pub fn secured() -> Self {
        Self::with_secret(ServerOptions::new().look_up_senders(false).peer_token(PEER, PEER_TOKEN))
    }

    pub fn with_secret(options: ServerOptions) -> Self {
        let mut agent = Agent::new();
        agent.store.inbound = Some(SECRET.to_owned());
        Self::of(agent, options)
    }

    pub fn of(agent: Agent, options: ServerOptions) -> Self {
        let inbound = Inbound::new(&options, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8080)).unwrap();
        let mut server = Self {
            agent,
            inbound,
            options,
            handlers: VecDeque::new(),
            looks: VecDeque::new(),
            answers: BTreeMap::new(),
            events: Vec::new(),
            cancelled: Vec::new(),
            holds_saves: false,
            holds_reads: false,
            held: VecDeque::new(),
            files: BTreeMap::new(),
            wake: None,
        };
        server.turn();
        assert!(server.inbound.is_open());
        server
    }

    /// The process dies, and another one starts with the same store.
    pub fn restart(self) -> Self {
        let mut agent = Agent::new();
        (agent.store, agent.now) = (self.agent.store, self.agent.now);
        let files = self.files;
        Self { files, ..Self::of(agent, self.options) }
    }

    /// Polls until the server is idle.
    pub fn turn(&mut self) {
        for _ in 0..100_000 {
            let mut cx = Cx { now: self.agent.now, session: &mut self.agent.session };
            match self.inbound.poll(&mut cx) {
                Turn::Start(id, Effect::Handle(Handle { message })) => self.handlers.push_back((id, message)),
                Turn::Start(id, Effect::Host(op)) => self.perform(id, op),
                Turn::Start(_, other) => panic!("a server asks for no such effect: {other:?}"),
                Turn::Cancel(id) => self.cancelled.push(id),
                Turn::LookUp(id, feed) => self.looks.push_back((id, feed)),
                Turn::Event(event) => self.events.push(event),
                Turn::Answer(ticket, answer) => {
                    assert!(!matches!(answer, Answer::Later(_)), "an answer is never later");
                    assert!(self.answers.insert(ticket, answer).is_none(), "a ticket is answered once");
                }
                Turn::Idle(wake) => {
                    assert!(wake.is_none_or(|wake| wake.at > self.agent.now.mono));
                    self.wake = wake;
                    return;
                }
            }
        }
        panic!("the server is never idle");
    }

    fn perform(&mut self, id: EffectId, op: HostOp) {
        if self.holds_saves && matches!(op, HostOp::Append(..) | HostOp::Replace(..)) {
            return self.held.push_back((id, op));
        }
        let outcome = match &op {
            HostOp::ReadFile(..) if self.holds_reads => return,
            HostOp::ReadFile(path, most) => match self.files.get(path.to_str().unwrap()) {
                Some(content) if content.len() as u64 <= *most => {
                    Outcome::Host(HostResult::FileRead(content.clone().into()))
                }
                _ => Outcome::Failed(Fault::with_source(Sent::No, FaultKind::File, "it is not there or too long")),
            },
            op => self.agent.store.perform(op),
        };
        self.give(id, outcome);
    }

    fn give(&mut self, id: EffectId, outcome: Outcome) {
        let mut cx = Cx { now: self.agent.now, session: &mut self.agent.session };
        let back = self.inbound.feed(&mut cx, id, outcome);
        assert!(back.is_ok(), "{back:?}");
    }

    /// Performs the oldest append that is held. Returns whether there was one.
    pub fn save(&mut self) -> bool {
        let Some((id, op)) = self.held.pop_front() else { return false };
        let outcome = self.agent.store.perform(&op);
        self.give(id, outcome);
        self.turn();
        true
    }

    /// Advances the clocks, and polls.
    pub fn advance(&mut self, by: std::time::Duration) {
        self.agent.advance(by);
        self.turn();
    }

    /// Judges a head.
    pub fn admit(&mut self, request: &Request<()>) -> Admission {
        let (head, ()) = request.clone().into_parts();
        let mut cx = Cx { now: self.agent.now, session: &mut self.agent.session };
        self.inbound.admit(&mut cx, &head, IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// Sends a request: its head is judged, and its body is read if it may be.
    pub fn send(&mut self, request: Request<()>, body: impl Into<Bytes>) -> Told {
        let body = body.into();
        let caller: Caller = match self.admit(&request) {
            Admission::Read(caller) => caller,
            Admission::Answer(answer) => return Told(Answer::Ready(answer)),
            other => panic!("the head is not that of a call: {other:?}"),
        };
        let (head, ()) = request.into_parts();
        let call = InboundCall::read(&head, body);
        let mut cx = Cx { now: self.agent.now, session: &mut self.agent.session };
        let answer = self.inbound.handle(&mut cx, caller, call);
        self.turn();
        Told(answer)
    }

    /// A call without a credential.
    pub fn call(&mut self, body: &Value) -> Told {
        self.send(post(None), body.to_string())
    }

    /// A call of the platform.
    pub fn push(&mut self, body: &Value) -> Told {
        self.send(post(Some(SECRET)), body.to_string())
    }

    /// A call of the direct peer.
    pub fn call_directly(&mut self, body: &Value) -> Told {
        self.send(post(Some(PEER_TOKEN)), body.to_string())
    }

    /// The handler that began first, of those that run.
    pub fn handler(&mut self) -> Handling {
        self.handlers.pop_front().expect("a handler runs")
    }

    /// The handler returns this.
    pub fn returns(&mut self, id: EffectId, result: Result<Option<Reply>, &str>) {
        self.give(id, Handle::returned(result.map_err(str::to_owned)));
        self.turn();
    }

    pub fn reply(&mut self, id: EffectId, reply: impl Into<Reply>) {
        self.returns(id, Ok(Some(reply.into())));
    }

    pub fn ends(&mut self, id: EffectId, outcome: Outcome) {
        self.give(id, outcome);
        self.turn();
    }

    /// Sends a message, and has its handler reply. Returns the answer.
    pub fn exchange(&mut self, body: &Value, reply: impl Into<Reply>) -> Value {
        let ticket = self.call(body).later();
        let (id, _) = self.handler();
        self.reply(id, reply);
        self.answer_to(ticket).json()
    }

    /// The answer under a ticket.
    pub fn answer_to(&mut self, ticket: Ticket) -> Told {
        Told(self.answers.remove(&ticket).expect("the caller is answered"))
    }

    pub fn is_answered(&self, ticket: Ticket) -> bool {
        self.answers.contains_key(&ticket)
    }

    /// Answers the oldest look with these rows.
    pub fn shows(&mut self, rows: Vec<ActivityRow>) {
        let (id, _) = self.looks.pop_front().expect("the feed is asked");
        let mut page = ActivityPage::default();
        page.rows = rows;
        self.looked_up(id, Ok(page));
    }

    pub fn looked_up(&mut self, id: LookUpId, page: Result<ActivityPage, Error>) {
        let mut cx = Cx { now: self.agent.now, session: &mut self.agent.session };
        self.inbound.looked_up(&mut cx, id, page);
        self.turn();
    }

    pub fn hang_up(&mut self, ticket: Ticket) {
        self.inbound.hang_up(ticket);
        self.turn();
    }

    pub fn drain(&mut self) {
        let mut cx = Cx { now: self.agent.now, session: &mut self.agent.session };
        self.inbound.drain(&mut cx);
        self.turn();
    }
}

/// The head of a call.
pub fn post(bearer: Option<&str>) -> Request<()> {
    let mut head = Request::post("/").header("host", "localhost:8080").header("content-type", "application/json");
    if let Some(bearer) = bearer {
        head = head.header("authorization", format!("Bearer {bearer}"));
    }
    head.body(()).unwrap()
}

/// The head of a `GET`.
pub fn get(path: &str) -> Request<()> {
    Request::get(path).header("host", "localhost:8080").body(()).unwrap()
}

/// What a call was told.
#[derive(Debug)]
pub struct Told(pub Answer);

impl Told {
    pub fn later(self) -> Ticket {
        match self.0 {
            Answer::Later(ticket) => ticket,
            other => panic!("the answer is there: {other:?}"),
        }
    }

    pub fn response(self) -> Response<Bytes> {
        match self.0 {
            Answer::Ready(response) => response,
            other => panic!("there is no answer: {other:?}"),
        }
    }

    pub fn ready(self) -> Self {
        assert!(matches!(self.0, Answer::Ready(_)), "{self:?}");
        self
    }

    pub fn is_cut(&self) -> bool {
        matches!(self.0, Answer::Cut)
    }

    /// The status, and the body as JSON.
    pub fn whole(self) -> (u16, Value) {
        let response = self.response();
        let body = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
        (response.status().as_u16(), body)
    }

    /// The body as JSON, at 200.
    pub fn json(self) -> Value {
        let (status, body) = self.whole();
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The code of the error, at 200.
    pub fn code(self) -> i64 {
        let body = self.json();
        assert!(body.get("result").is_none() && body["jsonrpc"] == "2.0", "{body}");
        body["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error: {body}"))
    }
}
