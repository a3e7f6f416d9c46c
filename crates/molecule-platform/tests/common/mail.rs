//! Agents that the platform calls, for tests that set its clock themselves.

use bytes::Bytes;
use molecule_platform::{Answer, DispatchFault, DispatchId, Ticket, Turn};
use molecule_proto::{Token, WorkspaceId, path};
use serde_json::{Value, json};

use super::Bench;

pub(crate) type Outcome = Result<http::Response<Bytes>, DispatchFault>;

/// The platform's instructions, in order.
#[derive(Default)]
pub(crate) struct Turns {
    pub(crate) calls: Vec<(DispatchId, http::Request<Bytes>)>,
    pub(crate) cancelled: Vec<DispatchId>,
    pub(crate) answers: Vec<(Ticket, http::Response<Bytes>)>,
    pub(crate) chunks: Vec<(Ticket, Bytes)>,
}

pub(crate) fn reply(status: u16, body: &Value) -> Outcome {
    Ok(http::Response::builder().status(status).body(Bytes::from(body.to_string())).unwrap())
}

pub(crate) fn said(text: &str) -> Outcome {
    let message =
        json!({"kind": "message", "role": "agent", "messageId": "r", "parts": [{"kind": "text", "text": text}]});
    reply(200, &json!({"jsonrpc": "2.0", "id": "rpc", "result": message}))
}

pub(crate) fn read(response: &http::Response<Bytes>) -> (u16, Value) {
    let text = std::str::from_utf8(response.body()).unwrap();
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(text).unwrap_or(json!(text)) };
    (response.status().as_u16(), body)
}

pub(crate) fn message(id: &str, text: &str) -> Value {
    let message = json!({"role": "user", "messageId": id, "parts": [{"kind": "text", "text": text}]});
    json!({"jsonrpc": "2.0", "id": "rpc", "method": "message/send", "params": {"message": message}})
}

impl Bench {
    /// Creates a push agent and registers it.
    pub(crate) fn push_agent(&mut self, name: &str) -> (WorkspaceId, Token) {
        let (id, token) = self.create(name);
        assert_eq!(self.register(&id, Some(&token)).0, 200);
        (id, token)
    }

    /// Creates a poll agent and registers it.
    pub(crate) fn poll_agent(&mut self, name: &str) -> (WorkspaceId, Token) {
        let (id, token) = self.create(name);
        let body = json!({"id": id, "agent_card": {}, "url": "", "delivery_mode": "poll"});
        assert_eq!(self.post(path::REGISTER, Some(token.expose()), &body).0, 200);
        (id, token)
    }

    /// Sends a message as an agent. Both servers require the header with the caller's id, one of them the bearer too.
    pub(crate) fn tell(&mut self, from: &(WorkspaceId, Token), to: &WorkspaceId, body: &Value) -> Answer {
        let request = http::Request::post(path::a2a(to))
            .header("host", "127.0.0.1:1")
            .header("authorization", from.1.bearer())
            .header("x-workspace-id", from.0.as_str())
            .body(Bytes::from(body.to_string()))
            .unwrap();
        self.platform.handle(self.now, None, request)
    }

    /// Sends a message that is answered at once.
    pub(crate) fn tell_now(&mut self, from: &(WorkspaceId, Token), to: &WorkspaceId, body: &Value) -> (u16, Value) {
        let answer = self.tell(from, to, body).ready().expect("answered at once");
        read(&answer)
    }

    /// Sends a message for which exactly one agent is called, and returns the final answer.
    pub(crate) fn tell_agent(
        &mut self,
        from: &(WorkspaceId, Token),
        to: &WorkspaceId,
        body: &Value,
        outcome: Outcome,
    ) -> (u16, Value) {
        let Answer::Later(ticket) = self.tell(from, to, body) else { panic!("nobody was called") };
        let (call, _) = self.turns().calls.remove(0);
        self.platform.dispatched(self.now, call, outcome);
        self.turns().answer(ticket)
    }

    /// Polls the platform; returns its instructions.
    pub(crate) fn turns(&mut self) -> Turns {
        let mut turns = Turns::default();
        loop {
            match self.platform.poll(self.now) {
                Turn::Dispatch(id, request) => turns.calls.push((id, request)),
                Turn::Cancel(id) => turns.cancelled.push(id),
                Turn::Answer(ticket, response) => turns.answers.push((ticket, response)),
                Turn::Chunk(ticket, chunk) => turns.chunks.push((ticket, chunk)),
                Turn::Idle(_) => return turns,
                _ => panic!("a turn of a new kind"),
            }
        }
    }

    /// Lets time pass, and returns the platform's instructions after that.
    pub(crate) fn turns_after(&mut self, millis: u64) -> Turns {
        let time = std::time::Duration::from_millis(millis);
        self.now = molecule_platform::Now { mono: self.now.mono + time, unix: self.now.unix + time };
        self.turns()
    }

    /// The rows of a feed, newest first.
    pub(crate) fn feed(&mut self, of: &(WorkspaceId, Token), about: &str) -> Vec<Value> {
        let (status, rows) = self.get(&format!("{}?type={about}", path::activity(&of.0)), Some(of.1.expose()));
        assert_eq!(status, 200);
        rows.as_array().unwrap().clone()
    }
}

impl Turns {
    /// The answer to the only request that was answered.
    pub(crate) fn answer(&self, ticket: Ticket) -> (u16, Value) {
        let [(answered, response)] = self.answers.as_slice() else { panic!("{} answers", self.answers.len()) };
        assert_eq!(*answered, ticket);
        read(response)
    }
}
