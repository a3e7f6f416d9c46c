//! The requests that agents and users raise to each other, and what an agent hears of them (contract section 18.3).
//! Not on April's server.

use std::collections::BTreeMap;

use molecule_proto::{Dialect, Now, UnixTime, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::a2a::SenderClass;
use crate::platform::Platform;
use crate::platform_turns::{NUDGE, PlatformTurn};

/// The most requests that a list shows.
const MOST_LISTED: usize = 50;

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RequestKind {
    /// A task, which ends `done` or `rejected`.
    Task,
    /// An approval, which ends `approved` or `rejected`.
    Approval,
}

impl RequestKind {
    pub(crate) fn read(text: &str) -> Option<Self> {
        [Self::Task, Self::Approval].into_iter().find(|kind| kind.as_str() == text)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Approval => "approval",
        }
    }

    /// Returns whether a response with this action is possible.
    pub(crate) fn allows(self, action: &str) -> bool {
        match self {
            Self::Task => matches!(action, "done" | "rejected"),
            Self::Approval => matches!(action, "approved" | "rejected"),
        }
    }
}

/// The user or an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Party {
    User,
    /// An agent, by any id: the server does not check the recipient.
    Agent(String),
}

impl Party {
    fn kind(&self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent(_) => "agent",
        }
    }

    pub(crate) fn is(&self, id: &WorkspaceId) -> bool {
        matches!(self, Self::Agent(agent) if agent == id.as_str())
    }

    fn agent(&self) -> Option<WorkspaceId> {
        match self {
            Self::User => None,
            Self::Agent(agent) => agent.parse().ok(),
        }
    }

    /// Its id where it acts. The server calls a user without a name so.
    fn acting_id(&self) -> &str {
        match self {
            Self::User => "human",
            Self::Agent(agent) => agent,
        }
    }
}

/// A new request.
#[derive(Clone)]
pub(crate) struct NewRequest {
    pub(crate) kind: RequestKind,
    pub(crate) requester: Party,
    pub(crate) recipient: Party,
    pub(crate) title: String,
    pub(crate) detail: Option<String>,
    pub(crate) priority: Option<i64>,
}

/// A request, and the messages in its thread.
#[derive(Clone)]
pub(crate) struct Request {
    id: String,
    place: u64,
    about: NewRequest,
    status: String,
    responder: Option<Party>,
    created: UnixTime,
    updated: UnixTime,
    responded: Option<UnixTime>,
    messages: Vec<ThreadMessage>,
}

#[derive(Clone, Serialize)]
pub(crate) struct ThreadMessage {
    id: String,
    request_id: String,
    author_type: &'static str,
    author_id: String,
    body: String,
    created_at: UnixTime,
}

impl Request {
    pub(crate) fn about(&self) -> &NewRequest {
        &self.about
    }

    pub(crate) fn messages(&self) -> &[ThreadMessage] {
        &self.messages
    }

    pub(crate) fn status(&self) -> &str {
        &self.status
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status.as_str(), "pending" | "info_requested")
    }

    fn shown(&self, organisation: Option<&WorkspaceId>) -> Value {
        let about = &self.about;
        let recipient_id = match &about.recipient {
            Party::User => "",
            Party::Agent(agent) => agent,
        };
        json!({
            "id": self.id, "kind": about.kind.as_str(), "org_id": organisation,
            "requester_type": about.requester.kind(), "requester_id": about.requester.acting_id(),
            "recipient_type": about.recipient.kind(), "recipient_id": recipient_id,
            "title": about.title, "detail": about.detail, "status": self.status, "priority": about.priority,
            "responder_type": self.responder.as_ref().map(Party::kind),
            "responder_id": self.responder.as_ref().map(Party::acting_id),
            "created_at": self.created, "updated_at": self.updated, "responded_at": self.responded,
        })
    }
}

/// All requests.
#[derive(Clone, Default)]
pub(crate) struct Requests {
    by_id: BTreeMap<String, Request>,
}

impl Requests {
    pub(crate) fn get(&self, id: &str) -> Option<&Request> {
        self.by_id.get(id)
    }

    /// The newest requests that match, newest first.
    pub(crate) fn newest(&self, matches: impl Fn(&Request) -> bool) -> Vec<&Request> {
        let mut found: Vec<&Request> = self.by_id.values().filter(|request| matches(request)).collect();
        found.sort_by_key(|request| std::cmp::Reverse(request.place));
        found.truncate(MOST_LISTED);
        found
    }

    /// The number of open requests to an agent.
    pub(crate) fn open_to(&self, id: &WorkspaceId) -> usize {
        self.by_id.values().filter(|request| request.is_open() && request.about.recipient.is(id)).count()
    }
}

impl Platform {
    /// Raises a request of the user to an agent (current server); returns the request's id, or `None` on April's server
    /// or if there is no such workspace. The agent hears of it on its event stream at once, and with a
    /// [`nudge`](Self::nudge).
    pub fn raise_request(&mut self, now: Now, to: &WorkspaceId, kind: RequestKind, title: &str) -> Option<String> {
        let now = self.settle(now);
        self.live_on(Dialect::Current, to)?;
        let recipient = Party::Agent(to.to_string());
        let (requester, title) = (Party::User, title.to_owned());
        let new = NewRequest { kind, requester, recipient, title, detail: None, priority: None };
        Some(self.add_request(now, new))
    }

    /// Responds to a request for the user: a task is `done` or `rejected`, an approval `approved` or `rejected`. The
    /// agent that raised it gets a turn with its next idle heartbeat. Returns `false` if the request is unknown or
    /// resolved, or if it has no such action.
    pub fn respond_to_request(&mut self, now: Now, request: &str, action: &str) -> bool {
        let now = self.settle(now);
        let is_possible = |request: &Request| request.is_open() && request.about.kind.allows(action);
        self.requests.get(request).is_some_and(is_possible)
            && self.resolve_request(now, request, Party::User, action).is_some()
    }

    /// Adds a message of the user to the thread of a request. The agent that raised it gets a turn with its next idle
    /// heartbeat. Returns `false` if the request is unknown.
    pub fn add_request_message(&mut self, now: Now, request: &str, text: &str) -> bool {
        let now = self.settle(now);
        self.extend_request(now, request, Party::User, text.to_owned()).is_some()
    }

    /// A request as the routes show it. Its organisation is the root above its agents.
    pub(crate) fn shown_request(&self, request: &Request) -> Value {
        let agents = [request.about.requester.agent(), request.about.recipient.agent()];
        let agent = agents.into_iter().flatten().next();
        request.shown(agent.as_ref().and_then(|agent| self.top_of(agent)))
    }

    pub(crate) fn add_request(&mut self, now: Now, new: NewRequest) -> String {
        let id = self.random.uuid();
        let (place, status) = (self.requests.by_id.len() as u64, "pending".to_owned());
        let heard = [new.requester.agent(), new.recipient.agent()];
        let (kind, title) = (new.kind.as_str(), new.title.clone());
        let (recipient_type, recipient_id) = (new.recipient.kind(), new.recipient.agent());
        let (responder, responded, messages) = (None, None, Vec::new());
        let (created, updated) = (now.unix, now.unix);
        let request =
            Request { id: id.clone(), place, about: new, status, responder, created, updated, responded, messages };
        self.requests.by_id.insert(id.clone(), request);
        for agent in heard.iter().flatten() {
            self.emit(now, agent, "REQUEST_CREATED", || {
                json!({"request_id": id, "kind": kind, "title": title, "recipient_type": recipient_type,
                       "recipient_id": recipient_id})
            });
        }
        id
    }

    /// Ends a request with a response. The requester hears of it, unless it responded itself.
    pub(crate) fn resolve_request(&mut self, now: Now, id: &str, responder: Party, action: &str) -> Option<()> {
        let request = self.requests.by_id.get_mut(id)?;
        request.status = action.to_owned();
        request.updated = now.unix;
        request.responded = Some(now.unix);
        let (kind, title) = (request.about.kind.as_str(), request.about.title.clone());
        let requester = request.about.requester.clone();
        let by = match &responder {
            Party::User => "the user".to_owned(),
            Party::Agent(agent) => format!("agent {agent}"),
        };
        let told = json!({"request_id": id, "status": action, "responder_type": responder.kind(),
                          "responder_id": responder.acting_id(), "kind": kind, "title": title});
        request.responder = Some(responder.clone());
        let Some(agent) = requester.agent().filter(|agent| !responder.is(agent)) else { return Some(()) };
        self.emit(now, &agent, "REQUEST_RESPONDED", || told);
        let text = format!(
            "Your {kind} request \"{title}\" (id {id}) was {action} by {by}. Use get_request to read the thread."
        );
        let message_id = format!("request-responded:{id}-{}", self.random.uuid());
        self.tell_requester(now, &agent, message_id, text);
        Some(())
    }

    /// Ends a request because its requester withdrew it. Nobody hears of it.
    pub(crate) fn withdraw_request(&mut self, now: Now, id: &str) {
        if let Some(request) = self.requests.by_id.get_mut(id) {
            request.status = "cancelled".to_owned();
            request.updated = now.unix;
        }
    }

    /// Adds a message to the thread of a request, and returns the message's id. The requester hears of the others'
    /// messages, also after the request's end.
    pub(crate) fn extend_request(&mut self, now: Now, id: &str, author: Party, body: String) -> Option<String> {
        let message_id = self.random.uuid();
        let request = self.requests.by_id.get_mut(id)?;
        request.messages.push(ThreadMessage {
            id: message_id.clone(),
            request_id: id.to_owned(),
            author_type: author.kind(),
            author_id: author.acting_id().to_owned(),
            body: body.clone(),
            created_at: now.unix,
        });
        if author == request.about.requester {
            return Some(message_id);
        }
        if request.is_open() {
            request.status = "info_requested".to_owned();
            request.updated = now.unix;
        }
        let (kind, title) = (request.about.kind.as_str(), request.about.title.clone());
        let Some(agent) = request.about.requester.agent() else { return Some(message_id) };
        self.emit(now, &agent, "REQUEST_MESSAGE", || {
            json!({"request_id": id, "message_id": message_id, "author_type": author.kind(),
                   "author_id": author.acting_id()})
        });
        let text = format!(
            "More info requested on your {kind} request \"{title}\" (id {id}): {body}\nReply with add_request_message."
        );
        let turn_id = format!("request-message:{message_id}-{}", self.random.uuid());
        self.tell_requester(now, &agent, turn_id, text);
        Some(message_id)
    }

    /// Queues a turn for the agent that raised a request. It has no metadata at all, and looks like a person's message.
    fn tell_requester(&mut self, now: Now, agent: &WorkspaceId, message_id: String, text: String) {
        let turn = PlatformTurn { message_id, text, metadata: None, wake_key: None };
        self.queue_turn(now, agent, SenderClass::Person, NUDGE, turn);
    }
}
