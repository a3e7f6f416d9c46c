//! The known differences between model and recordings: two lists that may only become shorter.

use molecule_platform::Dialect;

use crate::exchange::Exchange;

/// A route of the server that the model does not have.
pub(crate) struct Route {
    on: On,
    /// The method and path; a word after a colon matches any one segment.
    pub(crate) pattern: &'static str,
}

enum On {
    Both,
    April,
    Current,
}

/// An exchange of a built route that does not agree yet.
pub(crate) struct Disagreeing {
    pub(crate) file: &'static str,
    pub(crate) label: &'static str,
    pub(crate) reason: &'static str,
}

const fn both(pattern: &'static str) -> Route {
    Route { on: On::Both, pattern }
}

const fn april(pattern: &'static str) -> Route {
    Route { on: On::April, pattern }
}

const fn current(pattern: &'static str) -> Route {
    Route { on: On::Current, pattern }
}

/// The routes that are not built.
pub(crate) const UNBUILT: &[Route] = &[
    both("POST /workspaces/:id/restart"),
    both("GET /workspaces/:id/approvals"),
    both("POST /workspaces/:id/approvals"),
    both("POST /workspaces/:id/approvals/:approval/decide"),
    both("GET /workspaces/:id/instructions/resolve"),
    both("POST /workspaces/:id/mcp"),
    april("GET /workspaces/:id/schedules"),
    april("POST /workspaces/:id/schedules"),
    april("GET /workspaces/:id/schedules/health"),
    both("GET /workspaces/:id/session-search"),
    current("POST /org/tokens"),
    current("POST /workspaces/:id/approvals/:approval/withdraw"),
    current("GET /workspaces/:id/mail/summary"),
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

impl Route {
    pub(crate) fn applies(&self, dialect: Dialect) -> bool {
        match self.on {
            On::Both => true,
            On::April => dialect == Dialect::April,
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

/// Returns whether a recording contains the whole script.
pub(crate) fn is_full(file: &str) -> bool {
    matches!(file, "april-2026.jsonl" | "current-2026.jsonl")
}

/// The pattern of the unbuilt route that an exchange matches.
pub(crate) fn unbuilt(dialect: Dialect, exchange: &Exchange) -> Option<&'static str> {
    let mut routes = UNBUILT.iter().filter(|route| route.applies(dialect));
    routes.find(|route| route.matches(exchange)).map(|route| route.pattern)
}
