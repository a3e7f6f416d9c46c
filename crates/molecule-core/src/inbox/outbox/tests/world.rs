//! An outbox on virtual time, whose requests a test answers one by one.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use molecule_proto::{ActivityId, ActivityRow, ActivityType, AgentCard, Now, Time, UnixTime, WorkspaceId};
use serde_json::{Value, json};

use crate::config::options::Options;
use crate::effect::{Effect, EffectId, Fault, FaultKind, HostOp, HostResult, LockId, Outcome, Sent};
use crate::event::{Event, ReplyEnd};
use crate::inbox::message::InboundMessage;
use crate::inbox::outbox::{Outbox, OutboxStep, OutgoingReply, ReplyKey, ReplyRecord};
use crate::inbox::reply::Reply;
use crate::inbox::reply_id::ReplyIds;
use crate::inbox::sender::Sender;
use crate::machine::{Cx, MAX_STEPS, Step, Wake};
use crate::session::Session;

pub(super) const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";
pub(super) const PEER: &str = "414bc5a3-02a7-47dc-b86f-71e2e5767123";
pub(super) const NOTIFY: &str = "POST /workspaces/:id/notify";
pub(super) const UPLOAD: &str = "upload";
pub(super) const READ: &str = "read";
pub(super) const TRAIL: Duration = Duration::from_secs(35);

/// The creation of every message, by the server's clock.
const RECEIVED: i64 = 1_795_000_000;

pub(super) struct World {
    pub(super) session: Session,
    pub(super) start: Time,
    pub(super) now: Now,
    pub(super) outbox: Outbox,
    /// What is in flight, with the body of its request.
    pub(super) in_flight: BTreeMap<EffectId, (String, Value)>,
    /// Whether marks stay undurable until the test says otherwise.
    pub(super) holds_records: bool,
    held: VecDeque<ReplyKey>,
    log: Vec<String>,
    wake: Option<Wake>,
    pub(super) is_over: bool,
    /// The journal: the replies that have not come to their end, with their marks.
    pub(super) journal: BTreeMap<ReplyKey, OutgoingReply>,
    /// The replies that have, in their order.
    pub(super) ended: Vec<(ReplyKey, ReplyEnd)>,
}

pub(super) struct Answer(Outcome);

impl Answer {
    pub(super) fn json(status: u16, body: Value) -> Self {
        let answer = Response::builder().status(status).header("content-type", "application/json");
        Self(Outcome::Response(answer.body(Bytes::from(body.to_string())).unwrap()))
    }

    pub(super) fn error(status: u16, error: &str) -> Self {
        Self::json(status, json!({ "error": error }))
    }

    /// The server has no time, and says when it may.
    pub(super) fn busy(seconds: u64) -> Self {
        let answer = Response::builder().status(503).header("retry-after", seconds);
        Self(Outcome::Response(answer.body(Bytes::new()).unwrap()))
    }

    pub(super) fn fault(kind: FaultKind) -> Self {
        Self(Outcome::Failed(Fault::new(Sent::Maybe, kind)))
    }

    pub(super) fn file_read(content: &'static [u8]) -> Self {
        Self(Outcome::Host(HostResult::FileRead(Bytes::from_static(content))))
    }

    /// A file cannot be sent, for this reason.
    pub(super) fn file(sentence: &str) -> Self {
        Self(Outcome::Failed(Fault::with_source(Sent::No, FaultKind::File, sentence)))
    }

    pub(super) fn unsent(kind: FaultKind) -> Self {
        Self(Outcome::Failed(Fault::new(Sent::No, kind)))
    }
}

/// The row of the message with this number.
pub(super) fn row_id(number: u8) -> ActivityId {
    ActivityId::from_random([number; 16])
}

fn number_of(row: &ActivityId) -> u8 {
    (0..=u8::MAX).find(|number| row_id(*number) == *row).unwrap()
}

impl World {
    pub(super) fn new() -> Self {
        let options = Options::new("https://platform.example.com", ID).card(AgentCard::new("tester"));
        let config = options.token("the-token-of-the-agent").build().unwrap();
        let now = Now { mono: Time::ZERO + Duration::from_secs(86_400), unix: UnixTime::from_secs(RECEIVED + 10) };
        Self {
            session: Session::new(config, 7),
            start: now.mono,
            now,
            outbox: Outbox::new(TRAIL),
            in_flight: BTreeMap::new(),
            holds_records: false,
            held: VecDeque::new(),
            log: Vec::new(),
            wake: None,
            is_over: false,
            journal: BTreeMap::new(),
            ended: Vec::new(),
        }
    }

    /// A process that learned the server's time long before it sends anything.
    pub(super) fn begun() -> Self {
        let mut world = Self::new();
        world.session.notices.begin(Time::ZERO, || Some(UnixTime::from_secs(RECEIVED - 60)));
        world
    }

    pub(super) fn id(&self) -> &'static str {
        ID
    }

    fn reply(&self, number: u8, sender: Sender, reply: Reply) -> OutgoingReply {
        let own: WorkspaceId = ID.parse().unwrap();
        let created = UnixTime::from_secs(RECEIVED);
        let mut row = ActivityRow::new(row_id(number), own.clone(), ActivityType::A2aReceive, created);
        let message = json!({"messageId": format!("m-{number}"), "contextId": "c-1", "taskId": "t-1", "parts": []});
        row.request_body = Some(json!({"method": "message/send", "params": {"message": message}}));
        let message = InboundMessage::from_row(row, sender, Vec::new());
        let ids = ReplyIds::stored(&[7; 32], &own).unwrap();
        OutgoingReply::of_handler(self.now.unix, &message, reply, &ids).unwrap()
    }

    pub(super) fn to_user(&self, number: u8, reply: Reply) -> OutgoingReply {
        self.reply(number, Sender::User, reply)
    }

    pub(super) fn to_peer(&self, number: u8, reply: Reply) -> OutgoingReply {
        self.to_peer_named(PEER, number, reply)
    }

    pub(super) fn to_peer_named(&self, peer: &str, number: u8, reply: Reply) -> OutgoingReply {
        let id = peer.parse().unwrap();
        self.reply(number, Sender::Peer { id, name: None, role: None }, reply)
    }

    /// A row that shows a notice, created some seconds after the messages.
    pub(super) fn notice_row(&self, text: &str, second: u8) -> ActivityRow {
        notice_row(text, second.into(), [second; 16])
    }

    pub(super) fn push(&mut self, reply: OutgoingReply) {
        self.journal.insert(reply.key.clone(), reply.clone());
        let cx = Cx { now: self.now, session: &mut self.session };
        self.outbox.push(&cx, reply);
    }

    pub(super) fn echo(&mut self, row: &ActivityRow) -> bool {
        self.outbox.echo(&mut Cx { now: self.now, session: &mut self.session }, row)
    }

    pub(super) fn cancel(&mut self) {
        self.outbox.cancel(&mut Cx { now: self.now, session: &mut self.session });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.outbox.lines.is_empty() && self.outbox.steps.is_empty()
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.outbox.is_flushed(self.now.mono)
    }

    /// The replies that are left, as a journal has them.
    pub(super) fn left(&self) -> Vec<OutgoingReply> {
        assert_eq!(self.outbox.lines.values().map(VecDeque::len).sum::<usize>(), self.journal.len());
        self.journal.values().cloned().collect()
    }

    /// Polls until the outbox rests.
    pub(super) fn settle(&mut self) {
        for _ in 0..MAX_STEPS {
            match self.outbox.poll(&mut Cx { now: self.now, session: &mut self.session }) {
                OutboxStep::Step(Step::Start(id, Effect::Http(request, _))) => {
                    let path = request.uri().to_string().replace("https://platform.example.com", "");
                    let path = path.replace(ID, ":id").replace(PEER, ":peer");
                    let body = serde_json::from_slice(request.body()).unwrap_or_default();
                    let request = format!("{} {path}", request.method());
                    let is_busy = self.in_flight.values().any(|(other, _)| *other == request);
                    assert!(!is_busy, "{request} twice at once");
                    self.in_flight.insert(id, (request, body));
                }
                OutboxStep::Step(Step::Start(id, Effect::Upload(request, _, upload))) => {
                    assert!(request.uri().path().ends_with("/chat/uploads"));
                    let names: Vec<_> = upload.files.iter().map(|file| file.name.clone()).collect();
                    self.in_flight.insert(id, (UPLOAD.to_owned(), json!(names)));
                }
                OutboxStep::Step(Step::Start(id, Effect::Host(HostOp::ReadFile(path, max_bytes)))) => {
                    let asked = json!({"path": path, "max_bytes": max_bytes});
                    self.in_flight.insert(id, (READ.to_owned(), asked));
                }
                // The store has no newer token, and no journal of a loop.
                OutboxStep::Step(Step::Start(id, Effect::Host(op))) => {
                    let result = match op {
                        HostOp::Append(..) => HostResult::Appended,
                        HostOp::Lock => HostResult::Locked(LockId(1)),
                        HostOp::Unlock(_) => HostResult::Unlocked,
                        _ => HostResult::Loaded(None),
                    };
                    let mut cx = Cx { now: self.now, session: &mut self.session };
                    self.outbox.feed(&mut cx, id, Outcome::Host(result)).unwrap();
                }
                OutboxStep::Step(Step::Cancel(id)) => drop(self.in_flight.remove(&id).unwrap()),
                OutboxStep::Step(Step::Event(Event::ReplyEnded { message, end })) => {
                    self.log.push(format!("event {} {end}", number_of(&message)));
                }
                OutboxStep::Step(Step::Event(_)) => {}
                OutboxStep::Step(step) => panic!("{step:?}"),
                OutboxStep::Record(key, record) => self.record(key, record),
                OutboxStep::Idle(wake) => {
                    match wake {
                        Some(wake) => assert!(wake.at > self.now.mono, "a wake in the past: {wake:?}"),
                        None => assert!(!self.in_flight.is_empty() || !self.held.is_empty(), "idle for ever"),
                    }
                    self.wake = wake;
                    return;
                }
                OutboxStep::Empty => {
                    self.is_over = true;
                    return;
                }
            }
        }
        panic!("more than {MAX_STEPS} steps without input");
    }

    fn record(&mut self, key: ReplyKey, record: ReplyRecord) {
        let number = number_of(&key.row);
        match record {
            ReplyRecord::Attached(files) => {
                self.log.push(format!("record {number} attached"));
                self.journal.get_mut(&key).unwrap().reply.files = files;
            }
            ReplyRecord::Marked(mark) => {
                self.log.push(format!("record {number} marked"));
                let reply = self.journal.get_mut(&key).unwrap();
                assert_eq!(reply.mark.replace(mark), None, "marked twice");
                self.held.push_back(key);
            }
            ReplyRecord::Ended(end) => {
                self.log.push(format!("record {number} ended {end}"));
                self.journal.remove(&key).expect("it ends once");
                self.ended.push((key, end));
            }
        }
        if !self.holds_records {
            self.records_are_durable();
        }
    }

    pub(super) fn records_are_durable(&mut self) {
        while let Some(key) = self.held.pop_front() {
            let cx = Cx { now: self.now, session: &mut self.session };
            self.outbox.recorded(&cx, &key);
        }
    }

    pub(super) fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.now.mono = self.now.mono + by;
        self.now.unix = self.now.unix + by;
    }

    /// Sleeps until the outbox wants to be polled.
    pub(super) fn sleep(&mut self) {
        let wake = self.wake.take().expect("nothing to wait for");
        self.advance(wake.at.since(self.now.mono));
    }

    /// Sleeps until this request is in flight.
    pub(super) fn run_until_request(&mut self, what: &str) {
        self.settle();
        for _ in 0..100 {
            if self.count(what) > 0 {
                return;
            }
            self.sleep();
            self.settle();
        }
        panic!("{what} is not sent: {:?}", self.in_flight);
    }

    pub(super) fn count(&self, what: &str) -> usize {
        self.in_flight.values().filter(|(request, _)| request == what).count()
    }

    pub(super) fn count_of(&self, method: &str) -> usize {
        self.in_flight.values().filter(|(request, _)| request.starts_with(method)).count()
    }

    /// The body of this request, which is in flight once.
    pub(super) fn only_request(&self, what: &str) -> Value {
        let mut found = self.in_flight.values().filter(|(request, _)| request == what);
        let (_, body) = found.next().unwrap_or_else(|| panic!("no {what}: {:?}", self.in_flight));
        assert!(found.next().is_none(), "{what} twice");
        body.clone()
    }

    /// Answers the first such request in flight.
    pub(super) fn answer(&mut self, what: &str, answer: Answer) {
        let found = self.in_flight.iter().find(|(_, (request, _))| request == what).map(|(id, _)| *id);
        self.answer_id(found.unwrap_or_else(|| panic!("no {what}: {:?}", self.in_flight)), answer);
    }

    /// Answers the look at the feed.
    pub(super) fn answer_rows(&mut self, rows: Value) {
        let found = self.in_flight.iter().find(|(_, (request, _))| request.starts_with("GET")).map(|(id, _)| *id);
        self.answer_id(found.unwrap(), Answer::json(200, rows));
    }

    pub(super) fn answer_id(&mut self, id: EffectId, Answer(outcome): Answer) {
        self.in_flight.remove(&id).unwrap();
        let mut cx = Cx { now: self.now, session: &mut self.session };
        self.outbox.feed(&mut cx, id, outcome).expect("it is the outbox's");
    }
}

/// A row that shows a notice, created some seconds after the messages.
pub(super) fn notice_row(text: &str, second: i64, id: [u8; 16]) -> ActivityRow {
    let created = UnixTime::from_secs(RECEIVED + second);
    let mut row = ActivityRow::new(ActivityId::from_random(id), ID.parse().unwrap(), ActivityType::A2aReceive, created);
    row.method = Some("notify".to_owned());
    row.response_body = Some(json!({ "result": text }));
    row
}
