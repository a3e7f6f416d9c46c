//! What the judge knows beforehand: two lists that may only get shorter.

use molecule_platform::Dialect;

use crate::exchange::Exchange;

/// A route that the server has and the model has not.
pub(crate) struct Route {
    on: On,
    /// Method and path; a word after a colon stands for any one segment.
    pub(crate) pattern: &'static str,
}

enum On {
    Both,
    Current,
}

/// An exchange of a route that is built, and does not agree yet.
pub(crate) struct Disagreeing {
    pub(crate) file: &'static str,
    pub(crate) label: &'static str,
    pub(crate) reason: &'static str,
}

const fn both(pattern: &'static str) -> Route {
    Route { on: On::Both, pattern }
}

const fn current(pattern: &'static str) -> Route {
    Route { on: On::Current, pattern }
}

/// The routes that are not built.
pub(crate) const UNBUILT: &[Route] = &[
    both("GET /workspaces/:id/activity"),
    both("POST /workspaces/:id/activity"),
    both("POST /workspaces/:id/a2a"),
    both("POST /workspaces/:id/notify"),
    both("POST /workspaces/:id/delegate"),
    both("GET /workspaces/:id/delegations"),
    both("POST /workspaces/:id/delegations/record"),
    both("POST /workspaces/:id/delegations/:delegation/update"),
    both("POST /workspaces/:id/restart"),
    both("GET /workspaces/:id/memory"),
    both("POST /workspaces/:id/memory"),
    both("GET /workspaces/:id/memory/:key"),
    both("DELETE /workspaces/:id/memory/:key"),
    both("GET /workspaces/:id/memories"),
    both("POST /workspaces/:id/memories"),
    both("GET /workspaces/:id/approvals"),
    both("POST /workspaces/:id/approvals"),
    both("POST /workspaces/:id/approvals/:approval/decide"),
    both("GET /workspaces/:id/budget"),
    both("GET /workspaces/:id/chat/download"),
    both("POST /workspaces/:id/chat/uploads"),
    both("GET /workspaces/:id/events/stream"),
    both("GET /workspaces/:id/instructions/resolve"),
    both("POST /workspaces/:id/mcp"),
    both("GET /workspaces/:id/schedules"),
    both("POST /workspaces/:id/schedules"),
    both("GET /workspaces/:id/schedules/health"),
    both("GET /workspaces/:id/session-search"),
    current("POST /org/tokens"),
    current("GET /workspaces/:id/a2a/queue/:item"),
    current("POST /workspaces/:id/a2a/inbound"),
    current("POST /workspaces/:id/activity/ack"),
    current("PATCH /workspaces/:id/abilities"),
    current("POST /workspaces/:id/approvals/:approval/withdraw"),
    current("POST /workspaces/:id/broadcast"),
    current("GET /workspaces/:id/chat-history"),
    current("GET /workspaces/:id/mail/summary"),
    current("GET /workspaces/:id/pending-uploads/:file/content"),
    current("POST /workspaces/:id/pending-uploads/:file/ack"),
    current("GET /workspaces/:id/requests"),
    current("POST /workspaces/:id/requests"),
    current("GET /workspaces/:id/requests/:request"),
    current("POST /workspaces/:id/requests/:request/cancel"),
    current("POST /workspaces/:id/requests/:request/messages"),
    current("POST /workspaces/:id/requests/:request/respond"),
    current("GET /workspaces/:id/user-tasks"),
    current("POST /workspaces/:id/user-tasks"),
    current("PATCH /workspaces/:id/user-tasks/:task"),
    current("DELETE /workspaces/:id/user-tasks/:task"),
    current("POST /workspaces/:id/user-tasks/:task/resolve"),
    current("GET /workspaces/:id/v2/memories"),
    current("DELETE /workspaces/:id/v2/memories/:memory"),
    current("GET /workspaces/:id/v2/namespaces"),
];

/// The exchanges of built routes that do not agree yet.
pub(crate) const DISAGREEING: &[Disagreeing] = &[];

/// Exchanges of routes that are not built and leave something on a row that built routes show: the workspace in the path
/// spoke to another one.
const SPOKEN: &[&str] = &["a2a to self", "delegate eta to epsilon", "delegate to nephew"];

/// The workspace that spoke in an exchange, as it stands in the recording.
pub(crate) fn speaker(exchange: &Exchange) -> Option<&str> {
    let spoke = SPOKEN.contains(&exchange.label.as_str()) && (200..300).contains(&exchange.status);
    spoke.then(|| exchange.path.split('/').nth(2)).flatten()
}

impl Route {
    pub(crate) fn applies(&self, dialect: Dialect) -> bool {
        match self.on {
            On::Both => true,
            On::Current => dialect == Dialect::Current,
        }
    }

    fn matches(&self, exchange: &Exchange) -> bool {
        let (method, pattern) = self.pattern.split_once(' ').unwrap();
        let path = exchange.path.split('?').next().unwrap();
        let same = |(part, segment): (&str, &str)| part == segment || part.starts_with(':');
        let same_length = path.split('/').count() == pattern.split('/').count();
        method == exchange.method && same_length && pattern.split('/').zip(path.split('/')).all(same)
    }
}

/// Whether a recording goes through the whole script.
pub(crate) fn is_full(file: &str) -> bool {
    matches!(file, "april-2026.jsonl" | "current-2026.jsonl")
}

/// The entry of the list that an exchange falls under.
pub(crate) fn unbuilt(dialect: Dialect, exchange: &Exchange) -> Option<&'static str> {
    let mut routes = UNBUILT.iter().filter(|route| route.applies(dialect));
    routes.find(|route| route.matches(exchange)).map(|route| route.pattern)
}
