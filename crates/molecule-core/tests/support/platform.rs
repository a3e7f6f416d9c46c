//! A small platform, in addition to `molecule-platform`, for states that a test sets by hand because no act of an owner
//! leads to them: any status at any time, bearers that are found wherever they print, a token that ends between two
//! requests, faults and odd answers.
//!
//! It models credentials, minting, statuses and deletion in both dialects, as far as the machines' decisions depend on
//! them. Its own answers were recorded from the servers; `small_platform.rs` compares them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use http::{Method, Request};
use molecule_core::Dialect;
use molecule_core::machine::Now;
use molecule_core::proto::Time;
use serde_json::{Value, json};

use super::agent::{ID, ORIGIN, secret};
use super::answer::{Answer, Reply};
use super::feed::Feed;

/// A request as a server receives it.
#[derive(Clone)]
pub struct Seen {
    pub at: Time,
    pub method: Method,
    /// Path and query, with the agent's own id as `:id`; the whole URL if the origin is not the platform's.
    pub path: String,
    pub bearer: Option<String>,
    pub body: Value,
    pub headers: http::HeaderMap,
}

impl Seen {
    pub fn new(request: &Request<Bytes>, now: Now) -> Self {
        let bearer = request.headers().get("authorization");
        let bearer = bearer.map(|value| value.to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned());
        let url = request.uri().to_string();
        let path = url.strip_prefix(ORIGIN).unwrap_or(&url);
        Self {
            at: now.mono,
            method: request.method().clone(),
            path: path.replace(ID, ":id").replace(PEER, ":peer"),
            bearer,
            body: serde_json::from_slice(request.body()).unwrap_or_default(),
            headers: request.headers().clone(),
        }
    }

    /// Returns whether this is a request such as `POST /registry/register`.
    pub fn is(&self, what: &str) -> bool {
        what == format!("{} {}", self.method, self.path)
    }
}

impl fmt::Display for Seen {
    /// Prints the request without its bearer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bearer = if self.bearer.is_some() { " (bearer)" } else { "" };
        write!(f, "{} {}{bearer}", self.method, self.path)
    }
}

pub const REGISTER: &str = "POST /registry/register";
pub const HEARTBEAT: &str = "POST /registry/heartbeat";
pub const STATE: &str = "GET /workspaces/:id/state";
pub const VIEW: &str = "GET /workspaces/:id";
pub const SECRETS: &str = "GET /workspaces/:id/secrets/values";
pub const TOKENS: &str = "GET /workspaces/:id/tokens?limit=200";
pub const MINT: &str = "POST /workspaces/:id/tokens";
pub const ROTATE: &str = "POST /workspaces/:id/external/rotate";

pub const PEERS: &str = "GET /registry/:id/peers";
/// A message of the agent to itself.
pub const SELF_A2A: &str = "POST /workspaces/:id/a2a";
pub const A2A: &str = "POST /workspaces/:peer/a2a";
pub const DELEGATE: &str = "POST /workspaces/:id/delegate";
pub const DELEGATIONS: &str = "GET /workspaces/:id/delegations";
pub const NOTIFY: &str = "POST /workspaces/:id/notify";
pub const STREAM: &str = "GET /workspaces/:id/events/stream";
pub const ACK: &str = "POST /workspaces/:id/activity/ack";
/// A request for a page of the feed, before its query.
pub const FEED: &str = "GET /workspaces/:id/activity?";
pub const DISCOVER: &str = "GET /registry/discover/:peer";

/// The workspace of another agent.
pub const PEER: &str = "414bc5a3-02a7-47dc-b86f-71e2e5767123";

/// A hook that may answer a request before the platform receives it.
pub type Weather = Box<dyn FnMut(&Seen) -> Option<Reply>>;

/// The platform's side of one workspace.
pub struct Platform {
    pub dialect: Dialect,
    pub status: String,
    pub removed: bool,
    pub purged: bool,
    /// The tokens that authenticate.
    pub live: BTreeSet<String>,
    pub admin: String,
    pub inbound: Option<String>,
    pub minted: u32,
    pub seen: Vec<Seen>,
    pub weather: Weather,
    /// The answers to requests that do not concern the machines' credentials.
    pub others: BTreeMap<&'static str, Answer>,
    pub feed: Feed,
}

impl Platform {
    /// A workspace that exists and is online, with one live token.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            status: "online".to_owned(),
            removed: false,
            purged: false,
            live: BTreeSet::from([secret("first")]),
            admin: secret("admin"),
            inbound: (dialect == Dialect::Current).then(|| secret("inbound")),
            minted: 0,
            seen: Vec::new(),
            weather: Box::new(|_| None),
            others: BTreeMap::new(),
            feed: Feed::default(),
        }
    }

    pub fn current() -> Self {
        Self::new(Dialect::Current)
    }

    pub fn april() -> Self {
        Self::new(Dialect::April)
    }

    /// A workspace that was created with a URL, so that it has no token yet.
    pub fn without_token(mut self) -> Self {
        self.live.clear();
        self
    }

    /// Gives this answer to one kind of request while the bearer is live.
    pub fn answering(mut self, what: &'static str, answer: Answer) -> Self {
        self.others.insert(what, answer);
        self
    }

    pub fn serve(&mut self, seen: &Seen) -> Reply {
        self.seen.push(seen.clone());
        if let Some(reply) = (self.weather)(seen) {
            return reply;
        }
        self.answer(seen).into()
    }

    /// How often this request was received.
    pub fn count(&self, what: &str) -> usize {
        self.seen.iter().filter(|seen| seen.is(what)).count()
    }

    /// When this request was received.
    pub fn times(&self, what: &str) -> Vec<Time> {
        self.seen.iter().filter(|seen| seen.is(what)).map(|seen| seen.at).collect()
    }

    /// The last request of this kind.
    pub fn last(&self, what: &str) -> &Seen {
        self.seen.iter().rev().find(|seen| seen.is(what)).unwrap()
    }

    fn is_april(&self) -> bool {
        self.dialect == Dialect::April
    }

    fn answer(&mut self, seen: &Seen) -> Answer {
        let what = format!("{} {}", seen.method, seen.path);
        let known = seen.bearer.as_ref().is_some_and(|bearer| !self.removed && self.live.contains(bearer));
        let admin = seen.bearer.as_ref() == Some(&self.admin);
        let open = self.live.is_empty() || self.removed;
        match what.as_str() {
            VIEW => self.view(),
            REGISTER => self.register(seen, known || open),
            HEARTBEAT if !known && !open => Self::unauthorized(seen),
            HEARTBEAT => self.heartbeat(),
            _ if !known && !admin => Self::unauthorized(seen),
            STATE if self.removed => Answer::json(404, json!({"workspace_id": ID, "deleted": true})),
            STATE => Answer::json(
                200,
                json!({"workspace_id": ID, "status": self.status, "paused": self.status == "paused", "deleted": false}),
            ),
            SECRETS => Answer::json(200, json!({"OPENAI_API_KEY": secret("openai")})),
            ROTATE if self.is_april() => Answer::text(404, "404 page not found"),
            ROTATE => {
                self.live.clear();
                let token = self.mint();
                let connection = json!({
                    "workspace_id": ID, "platform_url": ORIGIN, "auth_token": token,
                    "registry_endpoint": "", "heartbeat_endpoint": "",
                });
                Answer::json(200, json!({ "connection": connection }))
            }
            MINT => {
                let token = self.mint();
                Answer::json(201, json!({"auth_token": token, "workspace_id": ID, "message": "shown once"}))
            }
            TOKENS => {
                let row = |token: &String| json!({"id": row_id(token), "prefix": token[..8]});
                let rows: Vec<Value> = self.live.iter().map(row).collect();
                Answer::json(200, json!({"tokens": rows, "count": rows.len()}))
            }
            other if self.others.contains_key(other) => self.others[other].clone(),
            STREAM => Answer::text(404, "404 page not found"),
            ACK => Answer::json(200, json!({"last_acked_seq": seen.body["seq"]})),
            NOTIFY => Answer::json(200, json!({"status": "sent"})),
            other if other.starts_with("POST /workspaces/") && other.ends_with("/a2a") => {
                Answer::json(200, json!({"status": "queued", "delivery_mode": "poll", "method": "message/send"}))
            }
            other => match other.strip_prefix(FEED) {
                Some(query) => self.feed.page(seen.at, query),
                None => self.revoke(other),
            },
        }
    }

    fn unauthorized(seen: &Seen) -> Answer {
        let which = if seen.bearer.is_some() { "invalid" } else { "missing" };
        Answer::error(401, &format!("{which} workspace auth token"))
    }

    fn view(&self) -> Answer {
        if self.purged {
            return Answer::error(404, "workspace not found");
        }
        let status = if self.removed { "removed" } else { &self.status };
        if self.is_april() {
            return Answer::json(200, json!({"id": ID, "status": status, "name": "tester"}));
        }
        if self.removed {
            return Answer::json(410, json!({"error": "workspace removed", "id": ID, "hint": "gone"}));
        }
        Answer::json(200, json!({"id": ID, "status": status, "name": "tester", "kind": "workspace"}))
    }

    fn register(&mut self, seen: &Seen, allowed: bool) -> Answer {
        if self.is_april() && seen.body["url"] == "" {
            return Answer::error(400, "invalid request body");
        }
        if !allowed {
            return Self::unauthorized(seen);
        }
        if self.status != "paused" || self.is_april() {
            self.status = "online".to_owned();
        }
        let mut answer = json!({"status": "registered"});
        if self.live.is_empty() {
            answer["auth_token"] = self.mint().into();
        }
        if !self.is_april() {
            answer["delivery_mode"] = seen.body["delivery_mode"].clone();
            answer["platform_inbound_secret"] = self.inbound.clone().into();
        }
        Answer::json(200, answer)
    }

    fn heartbeat(&mut self) -> Answer {
        if matches!(self.status.as_str(), "provisioning" | "offline" | "failed" | "awaiting_agent") {
            self.status = "online".to_owned();
        }
        let mut answer = json!({"status": "ok"});
        if !self.is_april() {
            answer["generation"] = 3.into();
            answer["platform_inbound_secret"] = self.inbound.clone().into();
        }
        Answer::json(200, answer)
    }

    fn mint(&mut self) -> String {
        self.minted += 1;
        let token = secret(&format!("minted{}", self.minted));
        self.live.insert(token.clone());
        token
    }

    fn revoke(&mut self, what: &str) -> Answer {
        let row = what.strip_prefix("DELETE /workspaces/:id/tokens/").expect(what);
        let token = self.live.iter().find(|token| row_id(token) == row).cloned();
        match token {
            Some(token) => {
                self.live.remove(&token);
                Answer::json(200, json!({"status": "revoked"}))
            }
            None => Answer::error(404, "token not found or already revoked"),
        }
    }
}

/// A row's id, which does not change when other rows are removed.
fn row_id(token: &str) -> String {
    let sum = token.bytes().fold(7u64, |sum, byte| (sum * 31 + u64::from(byte)) % 1_000_000_000_000);
    format!("00000000-0000-4000-8000-{sum:012}")
}
