//! Histories: what agents and owners do, as one-word operations.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use molecule_platform::{
    Act, Acted, Answer, Dialect, DispatchFault, DispatchId, Input, Now, Platform, Recorded, RequestKind, Ticket, Turn,
};
use molecule_proto::{Message, Time, Token, UnixTime, WorkspaceId, path};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::log::{Entry, Header, Log, Repeats, Store, Verdict};

/// Something that happens; numbers choose a workspace, in a circle.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Create,
    /// As a push agent, or as a poll agent.
    Register(usize, bool),
    Beat(usize),
    State(usize),
    Poll(usize),
    /// Polls that ask for the same, so many times, with some milliseconds between them.
    Polls(usize, u32),
    Stream(usize),
    CloseStream,
    UserMessage(usize),
    Call(usize, usize),
    Delegate(usize, usize),
    /// The oldest call in flight ends: with an answer, or without.
    Answer(bool),
    Head,
    Secret(usize),
    Secrets(usize),
    Upload(usize),
    Ask(usize),
    Pause(usize),
    Resume(usize),
    Rotate(usize),
    Delete(usize),
    Database(bool),
    RowsLate,
    Wait(u64),
    /// Time passes, and only the next input notices.
    Late(u64),
    Odd(Vec<u8>),
}

pub(super) fn ops() -> impl Strategy<Value = Op> {
    let who = || 0..4usize;
    prop_oneof![
        3 => Just(Op::Create),
        6 => (who(), any::<bool>()).prop_map(|(who, push)| Op::Register(who, push)),
        6 => who().prop_map(Op::Beat),
        2 => who().prop_map(Op::State),
        3 => who().prop_map(Op::Poll),
        3 => (who(), 1..12u32).prop_map(|(who, times)| Op::Polls(who, times)),
        2 => who().prop_map(Op::Stream),
        1 => Just(Op::CloseStream),
        4 => who().prop_map(Op::UserMessage),
        4 => (who(), who()).prop_map(|(from, to)| Op::Call(from, to)),
        2 => (who(), who()).prop_map(|(from, to)| Op::Delegate(from, to)),
        4 => any::<bool>().prop_map(Op::Answer),
        1 => Just(Op::Head),
        1 => who().prop_map(Op::Secret),
        1 => who().prop_map(Op::Secrets),
        1 => who().prop_map(Op::Upload),
        1 => who().prop_map(Op::Ask),
        1 => who().prop_map(Op::Pause),
        1 => who().prop_map(Op::Resume),
        1 => who().prop_map(Op::Rotate),
        1 => who().prop_map(Op::Delete),
        1 => any::<bool>().prop_map(Op::Database),
        1 => Just(Op::RowsLate),
        3 => (0..400u64).prop_map(Op::Wait),
        2 => (0..400u64).prop_map(Op::Late),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Op::Odd),
    ]
}

/// A day of three agents.
pub(super) fn busy() -> Vec<Op> {
    let mut ops = vec![Op::Create, Op::Create, Op::Create];
    ops.extend([Op::Register(0, false), Op::Register(1, true), Op::Register(2, false)]);
    for round in 0..200 {
        ops.extend((0..3).flat_map(|who| [Op::Beat(who), Op::State(who), Op::Poll(who)]));
        match round % 5 {
            0 => ops.extend([Op::UserMessage(round), Op::Answer(true)]),
            1 => ops.extend([Op::Call(0, 1), Op::Head, Op::Answer(true)]),
            2 => ops.extend([Op::Call(1, 2), Op::Delegate(2, 1), Op::Answer(false), Op::Secrets(0)]),
            3 => ops.extend([Op::Upload(0), Op::Ask(2), Op::Secret(round), Op::Stream(0)]),
            _ => ops.extend([Op::CloseStream, Op::Odd(vec![0xff, 0, 0xc3])]),
        }
        ops.push(Op::Wait(20));
    }
    ops
}

/// A platform whose inputs are logged, and the clock that drives it.
pub(super) struct History {
    pub(super) log: Log,
    pub(super) platform: Platform,
    pub(super) now: Now,
    pub(super) inputs: Vec<(Now, Input)>,
    /// Each step with all of its bytes.
    pub(super) steps: Vec<String>,
    pub(super) keeps_steps: bool,
    /// Counts reads that repeat, as a running platform does.
    pub(super) repeats: Option<Repeats>,
    pub(super) tokens: Vec<(WorkspaceId, Token)>,
    calls: BTreeMap<DispatchId, ()>,
    streams: Vec<Ticket>,
    counter: u64,
    /// A header of the next request alone.
    extra: Option<String>,
}

impl History {
    pub(super) fn new(april: bool, seed: u64) -> Self {
        let dialect = if april { Dialect::April } else { Dialect::Current };
        let created = UnixTime::from_secs(1_795_383_587);
        let header = Header { seed, credential_seed: seed + 1, ..Header::new(dialect, created) };
        let platform = Platform::new(header.config());
        let log = Log::begin(header, Store::memory()).unwrap();
        Self::on(log, platform, Now { mono: Time::ZERO, unix: created }, Vec::new())
    }

    pub(super) fn on(log: Log, platform: Platform, now: Now, tokens: Vec<(WorkspaceId, Token)>) -> Self {
        let (inputs, steps, calls, streams) = (Vec::new(), Vec::new(), BTreeMap::new(), Vec::new());
        Self {
            log,
            platform,
            now,
            inputs,
            steps,
            keeps_steps: true,
            repeats: None,
            tokens,
            calls,
            streams,
            counter: 0,
            extra: None,
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.log.reader().unwrap().copy_to(None, &mut bytes).unwrap();
        bytes
    }

    fn input(&mut self, input: Input) -> (Option<Answer>, Option<Acted>) {
        let step = self.platform.step(self.now, input.clone());
        let digest = step.digest();
        let verdict = match &mut self.repeats {
            Some(repeats) => repeats.judge(self.now, &input, &step, &digest, &self.platform),
            None => Verdict::Write,
        };
        if verdict == Verdict::FlushAndWrite {
            self.flush();
        }
        if verdict != Verdict::Count {
            let recorded = Recorded::new(self.now, input.clone()).digest(digest);
            if let Some(repeats) = &mut self.repeats {
                repeats.wrote(self.log.line() + 1, &recorded);
            }
            self.log.append(&Entry::Input(recorded, None)).unwrap();
        }
        if self.keeps_steps {
            self.steps.push(format!("{step:?}"));
            self.inputs.push((self.now, input));
        }
        for turn in &step.turns {
            match turn {
                Turn::Dispatch(id, _) => drop(self.calls.insert(*id, ())),
                Turn::Cancel(id) => drop(self.calls.remove(id)),
                _ => {}
            }
        }
        if let Some(Answer::Stream(ticket, _)) = &step.answer {
            self.streams.push(*ticket);
        }
        (step.answer, step.acted)
    }

    /// Writes what was counted.
    pub(super) fn flush(&mut self) {
        let entries = self.repeats.as_mut().map(|repeats| repeats.flush(self.now)).unwrap_or_default();
        entries.iter().for_each(|entry| assert!(self.log.append(entry).is_ok()));
    }

    fn act(&mut self, act: Act) -> Acted {
        self.input(Input::Act(act)).1.unwrap()
    }

    fn request(&mut self, method: &str, path: &str, bearer: &Token, body: &Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:1");
        let request = request.header("authorization", format!("Bearer {}", bearer.expose()));
        let mut request = request.header("content-length", body.len());
        if let Some(extra) = self.extra.take() {
            request = request.header("x-request-id", extra);
        }
        let request = request.body(Bytes::from(body)).unwrap();
        self.input(Input::Request { peer: Some([127, 0, 0, 1].into()), request });
    }

    fn who(&self, number: usize) -> Option<(WorkspaceId, Token)> {
        self.tokens.get(number % self.tokens.len().max(1)).cloned()
    }

    pub(super) fn perform(&mut self, op: &Op) {
        self.counter += 1;
        let number = self.counter;
        let agent = |who: &usize| self.who(*who);
        match op {
            Op::Create => {
                let act = Act::CreateWorkspace { name: format!("agent {number}"), url: None, parent: None };
                if let Acted::Created { id, token: Some(token) } = self.act(act) {
                    self.tokens.push((id, token));
                }
            }
            Op::Register(who, push) => {
                let Some((id, token)) = agent(who) else { return };
                let mode = if *push { "push" } else { "poll" };
                let body = json!({"id": id, "url": "http://localhost:9/a2a", "delivery_mode": mode, "agent_card": {"name": "ż"}});
                self.request("POST", path::REGISTER, &token, &body);
            }
            Op::Beat(who) => {
                let Some((id, token)) = agent(who) else { return };
                let body = json!({"workspace_id": id, "uptime_seconds": number, "active_tasks": number % 2});
                self.request("POST", path::HEARTBEAT, &token, &body);
            }
            Op::State(who) => {
                let Some((id, token)) = agent(who) else { return };
                self.extra = Some((number % 3).to_string());
                self.request("GET", &path::state(&id), &token, &Value::Null);
            }
            Op::Poll(who) => {
                let Some((id, token)) = agent(who) else { return };
                let path = format!("/workspaces/{id}/activity?type=a2a_receive&limit={}", 1 + number % 3);
                self.request("GET", &path, &token, &Value::Null);
            }
            Op::Polls(who, times) => {
                let Some((id, token)) = agent(who) else { return };
                for _ in 0..*times {
                    let by = Duration::from_millis(700);
                    self.now = Now { mono: self.now.mono + by, unix: self.now.unix + by };
                    let path = format!("/workspaces/{id}/activity?type=a2a_receive&limit=1");
                    self.request("GET", &path, &token, &Value::Null);
                    let by = Duration::from_millis(1);
                    self.now = Now { mono: self.now.mono + by, unix: self.now.unix + by };
                    self.request("GET", &path::state(&id), &token, &Value::Null);
                }
            }
            Op::Stream(who) => {
                let Some((id, token)) = agent(who) else { return };
                self.request("GET", &format!("/workspaces/{id}/events/stream"), &token, &Value::Null);
            }
            Op::CloseStream => {
                if let Some(ticket) = self.streams.pop() {
                    self.input(Input::CloseStream { ticket });
                }
            }
            Op::UserMessage(who) => {
                let Some((to, _)) = agent(who) else { return };
                let message = Message::text(format!("hello {number} \u{1f980}"));
                self.act(Act::SendUserMessage { to, message });
            }
            Op::Call(from, to) => {
                let (Some((_, token)), Some((to, _))) = (agent(from), agent(to)) else { return };
                let message = json!({"role": "user", "messageId": format!("m-{number}"), "parts": [{"kind": "text", "text": "hi"}]});
                let body =
                    json!({"jsonrpc": "2.0", "id": "1", "method": "message/send", "params": {"message": message}});
                self.request("POST", &path::a2a(&to), &token, &body);
            }
            Op::Delegate(from, to) => {
                let (Some((from, token)), Some((to, _))) = (agent(from), agent(to)) else { return };
                let body = json!({"target_id": to, "task": format!("task {number}")});
                self.request("POST", &format!("/workspaces/{from}/delegate"), &token, &body);
            }
            Op::Answer(is_answered) => {
                let Some((id, ())) = self.calls.pop_first() else { return };
                let body = json!({"jsonrpc": "2.0", "id": "1", "result": {"parts": [{"kind": "text", "text": format!("a {number}")}]}});
                let outcome = if *is_answered {
                    Ok(Response::new(Bytes::from(body.to_string())))
                } else {
                    Err(DispatchFault::Closed)
                };
                self.input(Input::Dispatched { id, outcome });
            }
            Op::Head => {
                if let Some((id, ())) = self.calls.first_key_value() {
                    let id = *id;
                    self.input(Input::DispatchHead { id, status: http::StatusCode::OK });
                }
            }
            Op::Secret(who) => {
                let Some((id, _)) = agent(who) else { return };
                self.act(Act::SetSecret {
                    id,
                    key: format!("KEY_{}", number % 3),
                    value: format!("secret-value-{number}"),
                });
            }
            Op::Secrets(who) => {
                let Some((id, token)) = agent(who) else { return };
                self.request("GET", &format!("/workspaces/{id}/secrets/values"), &token, &Value::Null);
            }
            Op::Upload(who) => {
                let Some((to, _)) = agent(who) else { return };
                let content = Bytes::from(vec![0xff, 0, 1, 2]);
                self.act(Act::Upload { to, name: format!("{number}.bin"), mime_type: String::new(), content });
            }
            Op::Ask(who) => {
                let Some((to, _)) = agent(who) else { return };
                self.act(Act::RaiseRequest { to, kind: RequestKind::Approval, title: format!("may I {number}") });
            }
            Op::Pause(who) => {
                let Some((id, _)) = agent(who) else { return };
                self.act(Act::Pause { id, cascade: false });
            }
            Op::Resume(who) => {
                let Some((id, _)) = agent(who) else { return };
                self.act(Act::Resume { id, cascade: false });
            }
            Op::Rotate(who) => {
                let Some((id, old)) = agent(who) else { return };
                if let Acted::Token { token } = self.act(Act::Rotate { id: id.clone() })
                    && let Some(entry) = self.tokens.iter_mut().find(|entry| entry.1 == old)
                {
                    *entry = (id, token);
                }
            }
            Op::Delete(who) => {
                let Some((id, _)) = agent(who) else { return };
                self.act(Act::Delete { id, purge: number.is_multiple_of(2) });
            }
            Op::Database(down) => drop(self.act(Act::SetDatabaseDown { down: *down })),
            Op::RowsLate => drop(self.act(Act::SetRowsLate { most_ms: 3000 })),
            Op::Wait(seconds) => {
                let by = Duration::from_secs(*seconds);
                self.now = Now { mono: self.now.mono + by, unix: self.now.unix + by };
                self.input(Input::Wake);
            }
            Op::Late(seconds) => {
                let by = Duration::from_secs(*seconds);
                self.now = Now { mono: self.now.mono + by, unix: self.now.unix + by };
            }
            Op::Odd(body) => {
                let request =
                    Request::put("/workspaces/%ff/x?y=%zz").header("x-odd", "a").body(Bytes::from(body.clone()));
                self.input(Input::Request { peer: None, request: request.unwrap() });
            }
        }
    }
}

/// Everything that a platform tells about its state, and what it does next.
pub(super) fn fingerprint(platform: &Platform, now: Now) -> Vec<String> {
    let mut platform = platform.clone();
    let mut found =
        vec![format!("{platform:?} {:?} {:?}", platform.open_calls(), platform.streams().collect::<Vec<_>>())];
    found.push(platform.credentials_minted().to_string());
    let admin = platform.config().admin_token.clone().unwrap();
    let ids: Vec<WorkspaceId> = platform.workspaces().cloned().collect();
    for id in &ids {
        found.push(format!("{:?}", platform.activity(id)));
        found.push(format!(
            "{:?} {:?}",
            platform.last_heartbeat(id),
            platform.inbound_secret(id).map(|s| s.expose().to_owned())
        ));
        found.push(format!("{:?} {:?}", platform.secret_names(id), platform.requests_of(id)));
        let bearer = platform.newest_token(id).unwrap_or_else(|| admin.clone());
        for below in [
            "",
            "/state",
            "/secrets/values",
            "/activity",
            "/delegations",
            "/tokens",
            "/chat-history",
            "/memory",
            "/requests",
        ] {
            let request = Request::get(format!("/workspaces/{id}{below}")).header("authorization", bearer.bearer());
            let request = request.body(Bytes::new()).unwrap();
            found.push(format!("{:?}", platform.step(now, Input::Request { peer: None, request })));
        }
    }
    // The generators stand at the same place.
    let act = Act::CreateWorkspace { name: "next".to_owned(), url: None, parent: None };
    found.push(format!("{:?}", platform.step(now, Input::Act(act))));
    let later = Now { mono: now.mono + Duration::from_secs(2000), unix: now.unix + Duration::from_secs(2000) };
    found.push(format!("{:?}", platform.step(later, Input::Wake)));
    found
}
