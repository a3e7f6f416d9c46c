//! Rules that inject faults: delayed, dropped and replaced answers.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};

/// The effect of a rule on a request that it matches.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Action {
    /// The request stalls before the platform sees it, until the rule is released.
    Stall,
    /// The platform handles the request, and its answer stalls until the rule is released.
    StallAnswer,
    /// The request is delayed before the platform sees it.
    Delay(Duration),
    /// The platform handles the request, and its answer is delayed.
    DelayAnswer(Duration),
    /// The client gets this answer, and the platform never sees the request.
    Answer(Response<Bytes>),
    /// The connection is closed, and the platform never sees the request.
    CloseBefore,
    /// The platform handles the request, and the connection is closed without an answer.
    CloseAfter,
}

/// A rule: the requests that it matches, its action, and how often it applies.
#[derive(Debug, Clone)]
pub struct Rule {
    path: Path,
    method: Option<Method>,
    action: Action,
    /// How many more requests it matches; `None` means any number.
    times: Option<u32>,
}

#[derive(Debug, Clone)]
enum Path {
    Any,
    Exact(String),
    Suffix(String),
}

impl Rule {
    /// Matches every request.
    pub fn any(action: Action) -> Self {
        Self { path: Path::Any, method: None, action, times: None }
    }

    /// Matches requests with exactly this path; the query does not count.
    pub fn path(path: impl Into<String>, action: Action) -> Self {
        Self { path: Path::Exact(path.into()), ..Self::any(action) }
    }

    /// Matches requests whose path has this suffix; the query does not count. Examples are `/state` and
    /// `/registry/heartbeat`.
    pub fn path_suffix(suffix: impl Into<String>, action: Action) -> Self {
        Self { path: Path::Suffix(suffix.into()), ..Self::any(action) }
    }

    /// Restricts the rule to one method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Restricts the rule to this number of requests. After the last one it still stalls the requests that it has
    /// matched.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    fn matches(&self, request: &Request<Bytes>) -> bool {
        let path = request.uri().path();
        let path_matches = match &self.path {
            Path::Any => true,
            Path::Exact(exact) => path == exact,
            Path::Suffix(suffix) => path.ends_with(suffix.as_str()),
        };
        path_matches && self.times != Some(0) && self.method.as_ref().is_none_or(|method| method == request.method())
    }
}

/// The id of an injected rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u64);

/// The active rules, oldest first.
#[derive(Debug, Default)]
pub(super) struct Rules {
    rules: Vec<(RuleId, Rule)>,
    next: u64,
}

impl Rules {
    pub(super) fn add(&mut self, rule: Rule) -> RuleId {
        let id = RuleId(self.next);
        self.next += 1;
        self.rules.push((id, rule));
        id
    }

    pub(super) fn remove(&mut self, id: RuleId) {
        self.rules.retain(|(other, _)| *other != id);
    }

    pub(super) fn stands(&self, id: RuleId) -> bool {
        self.rules.iter().any(|(other, _)| *other == id)
    }

    /// Finds the newest matching rule, counts the match, and returns its action.
    pub(super) fn take(&mut self, request: &Request<Bytes>) -> Option<(RuleId, Action)> {
        let (id, rule) = self.rules.iter_mut().rev().find(|(_, rule)| rule.matches(request))?;
        rule.times = rule.times.map(|times| times - 1);
        Some((*id, rule.action.clone()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_matching_rule_wins_as_often_as_it_says() {
        let mut rules = Rules::default();
        let old = rules.add(Rule::any(Action::CloseBefore));
        let new = rules.add(Rule::path_suffix("/state", Action::Stall).method(Method::GET).times(1));
        let get = Request::get("/workspaces/x/state?a=b").body(Bytes::new()).unwrap();
        let post = Request::post("/workspaces/x/state").body(Bytes::new()).unwrap();
        assert_eq!(rules.take(&post).unwrap().0, old);
        assert_eq!(rules.take(&get).unwrap().0, new);
        assert_eq!(rules.take(&get).unwrap().0, old);
        assert!(rules.stands(new));
        rules.remove(old);
        assert!(rules.take(&get).is_none());
    }
}
