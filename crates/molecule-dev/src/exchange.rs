//! What was said, line by line: requests and their answers, calls to agents, acts of the owner.

use bytes::Bytes;
use http::{Request, Response};
use molecule_platform::{Act, Acted, Dialect, DispatchFault, Input, Now, RouteName};
use molecule_proto::WorkspaceId;

use crate::chaos::Fault;
use crate::contract;
use crate::log::{About, Entry, Note, Reads};

/// One line of the log, as people read it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Exchange {
    /// The line.
    pub line: u64,
    /// When it happened.
    pub at: Now,
    /// What it is.
    pub kind: ExchangeKind,
    /// The route of a request.
    pub route: Option<String>,
    /// The contract's section about the route, such as `9.4`.
    pub section: Option<&'static str>,
    /// The workspace in the path, the bearer's or the act's.
    pub workspace: Option<WorkspaceId>,
    /// The status of the answer; `None` if there is none, or not yet.
    pub status: Option<u16>,
    /// The line at which the answer came, if later.
    pub answered: Option<u64>,
    /// The fault that it met on purpose.
    pub chaos: Option<Fault>,
}

/// What a line of the log is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ExchangeKind {
    /// A client's request. The answer is there in [`World::exchange`](crate::World::exchange) alone.
    Request {
        /// The request.
        request: Request<Bytes>,
        /// The answer. An event stream has a head and no body.
        answer: Option<Response<Bytes>>,
    },
    /// A call of the platform to a push agent that came to its end. The request is there in
    /// [`World::exchange`](crate::World::exchange) alone.
    Call {
        /// The method and the URL.
        call: String,
        /// The request.
        request: Option<Request<Bytes>>,
        /// The agent's answer, or why there is none.
        outcome: Result<Response<Bytes>, DispatchFault>,
    },
    /// An act of the owner. The outcome is there in [`World::exchange`](crate::World::exchange) alone.
    Act {
        /// The act.
        act: Act,
        /// Its outcome.
        acted: Option<Acted>,
    },
    /// A client's reads that repeated an earlier line, and got the same answer each time.
    Reads {
        /// The line of the request that was repeated.
        line: u64,
        /// How often it was.
        count: u64,
        /// When the first repetition came; the last one came at the exchange's own time.
        first: Now,
        /// The method and the target.
        call: String,
    },
    /// The clock was moved forward by so many milliseconds.
    Forward(u64),
    /// The faults on purpose were changed.
    Chaos(crate::Chaos),
    /// The program started.
    Started,
}

/// Which exchanges to list, newest first.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Filter {
    /// Those that concern this workspace.
    pub workspace: Option<WorkspaceId>,
    /// Those whose method, path, URL, route or act contains this text, in any case.
    pub text: Option<String>,
    /// Those that failed: a status of 400 or more, a refused act, a call without an answer.
    pub failed: bool,
    /// Without heartbeats, reads of the state and polls of the feed that were answered with 2xx.
    pub quiet: bool,
    /// Those up to this line; `None` is the newest.
    pub until: Option<u64>,
    /// At most so many; 0 is 50.
    pub limit: usize,
    /// At most so many lines are read in search of them; 0 is all.
    pub depth: u64,
}

impl Filter {
    /// Everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Restricts it to a workspace.
    #[must_use]
    pub fn workspace(mut self, workspace: impl Into<Option<WorkspaceId>>) -> Self {
        self.workspace = workspace.into();
        self
    }

    /// Restricts it to those that contain a text.
    #[must_use]
    pub fn text(mut self, text: impl Into<Option<String>>) -> Self {
        self.text = text.into();
        self
    }

    /// Restricts it to failures.
    #[must_use]
    pub fn failed(mut self, failed: bool) -> Self {
        self.failed = failed;
        self
    }

    /// Leaves out what repeats all the time.
    #[must_use]
    pub fn quiet(mut self, quiet: bool) -> Self {
        self.quiet = quiet;
        self
    }

    /// Starts at a line, and goes back from there.
    #[must_use]
    pub fn until(mut self, until: impl Into<Option<u64>>) -> Self {
        self.until = until.into();
        self
    }

    /// Sets how many are listed at most.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sets how many lines are read at most. A filter that lets little pass would read the whole log.
    #[must_use]
    pub fn depth(mut self, depth: u64) -> Self {
        self.depth = depth;
        self
    }

    /// The first line that is read, if `newest` is the newest.
    pub(crate) fn floor(&self, newest: u64) -> u64 {
        let last = self.until.unwrap_or(newest).min(newest);
        if self.depth == 0 { 1 } else { (last + 1).saturating_sub(self.depth).max(1) }
    }

    pub(crate) fn passes(&self, exchange: &Exchange) -> bool {
        let of_workspace = self.workspace.as_ref().is_none_or(|id| exchange.workspace.as_ref() == Some(id));
        of_workspace
            && (!self.failed || exchange.has_failed())
            && (!self.quiet || !exchange.repeats())
            && self.text.as_ref().is_none_or(|text| exchange.title().to_lowercase().contains(&text.to_lowercase()))
    }
}

impl Exchange {
    /// Makes the exchange of a line; `None` for what nobody said, such as a wake.
    pub(crate) fn of(line: u64, entry: Entry, dialect: Dialect) -> Option<Self> {
        let at = entry.at();
        let (input, about, digest) = match entry {
            Entry::Note(_, note) => return Self::of_note(line, at, note, dialect),
            Entry::Input(recorded, about) => (recorded.input, about, recorded.digest),
        };
        let status = digest.and_then(|digest| digest.status());
        let About { call, chaos, reads, .. } = about.unwrap_or_default();
        let mut exchange = Self { status, chaos, ..Self::blank(line, at) };
        exchange.kind = match input {
            Input::Request { request, .. } => {
                exchange.find_route(&request, dialect);
                ExchangeKind::Request { request, answer: None }
            }
            Input::Dispatched { outcome, .. } => {
                exchange.status = outcome.as_ref().ok().map(|response| response.status().as_u16());
                ExchangeKind::Call { call: call.unwrap_or_default(), request: None, outcome }
            }
            Input::TokenUsed { .. } => {
                exchange.of_reads(reads?);
                return Some(exchange);
            }
            Input::Act(act) => {
                exchange.workspace = exchange.workspace.or_else(|| act_workspace(&act));
                ExchangeKind::Act { act, acted: None }
            }
            _ => return None,
        };
        Some(exchange)
    }

    fn blank(line: u64, at: Now) -> Self {
        let (route, section, workspace) = (None, None, None);
        let (status, answered, chaos) = (None, None, None);
        Self { line, at, kind: ExchangeKind::Started, route, section, workspace, status, answered, chaos }
    }

    fn of_note(line: u64, at: Now, note: Note, dialect: Dialect) -> Option<Self> {
        let mut exchange = Self::blank(line, at);
        exchange.kind = match note {
            Note::Started { .. } => ExchangeKind::Started,
            Note::Forward { ms } => ExchangeKind::Forward(ms),
            Note::Chaos(chaos) => ExchangeKind::Chaos(chaos),
            Note::Reads(reads) => {
                exchange.of_reads(reads);
                return Some(exchange);
            }
            Note::Hit { input, fault } => {
                let Input::Request { request, .. } = *input else { return None };
                exchange.find_route(&request, dialect);
                exchange.chaos = Some(fault);
                let answer = match fault.effect() {
                    crate::chaos::Effect::Answer(response) => Some(response),
                    crate::chaos::Effect::Conditions(_) => None,
                };
                exchange.status = answer.as_ref().map(|response| response.status().as_u16());
                ExchangeKind::Request { request, answer }
            }
        };
        Some(exchange)
    }

    fn of_reads(&mut self, reads: Reads) {
        let Reads { line, count, first, last, call } = reads;
        self.at = last;
        self.status = Some(200);
        self.workspace = call.split('/').find_map(|segment| segment.parse().ok());
        self.kind = ExchangeKind::Reads { line, count, first, call };
    }

    fn find_route(&mut self, request: &Request<Bytes>, dialect: Dialect) {
        let Some(route) = RouteName::find(dialect, request.method(), request.uri().path()) else { return };
        self.section = contract::section(dialect, &route.name);
        // What an agent says of itself has its id in the body.
        self.workspace = route.workspace.or_else(|| match route.name.as_str() {
            "Register" => id_in(request.body(), "id"),
            "Heartbeat" | "UpdateCard" => id_in(request.body(), "workspace_id"),
            _ => None,
        });
        self.route = Some(route.name);
    }

    /// What it is, in one line: `POST /registry/heartbeat`.
    pub fn title(&self) -> String {
        match &self.kind {
            ExchangeKind::Request { request, .. } => {
                let route = self.route.as_deref().unwrap_or_default();
                let uri = request.uri().path_and_query().map_or("", |uri| uri.as_str());
                format!("{} {uri} {route}", request.method()).trim_end().to_owned()
            }
            ExchangeKind::Call { call, .. } => call.clone(),
            ExchangeKind::Act { act, .. } => act.name().to_owned(),
            ExchangeKind::Reads { call, count, .. } => format!("{count} × {call}"),
            ExchangeKind::Forward(ms) => format!("clock forward {ms} ms"),
            ExchangeKind::Chaos(_) => "chaos".to_owned(),
            ExchangeKind::Started => "started".to_owned(),
        }
    }

    fn has_failed(&self) -> bool {
        let call_failed = matches!(&self.kind, ExchangeKind::Call { outcome: Err(_), .. });
        call_failed || self.chaos.is_some() || self.status.is_some_and(|status| status >= 400)
    }

    fn repeats(&self) -> bool {
        let route = matches!(self.route.as_deref(), Some("Heartbeat" | "State" | "ListActivity" | "View"));
        (route || matches!(self.kind, ExchangeKind::Reads { .. })) && !self.has_failed()
    }
}

fn id_in(body: &Bytes, key: &str) -> Option<WorkspaceId> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    body.get(key)?.as_str()?.parse().ok()
}

/// The workspace that an act names.
fn act_workspace(act: &Act) -> Option<WorkspaceId> {
    let act = serde_json::to_value(act).ok()?;
    let id = act.get("id").or_else(|| act.get("to")).or_else(|| act.get("from"))?;
    id.as_str()?.parse().ok()
}
