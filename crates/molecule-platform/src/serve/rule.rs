//! Faults on purpose: late, lost and made-up answers.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};

/// What happens to a request that a rule matches.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Action {
    /// It is held back before the platform sees it, until the rule is released.
    Stall,
    /// The platform acts, and the answer is held back until the rule is released.
    StallAnswer,
    /// It is held back for a while before the platform sees it.
    Delay(Duration),
    /// The platform acts, and the answer is held back for a while.
    DelayAnswer(Duration),
    /// This is answered, and the platform never sees the request.
    Answer(Response<Bytes>),
    /// The connection is closed, and the platform never sees the request.
    CloseBefore,
    /// The platform acts, and the connection is closed instead of an answer.
    CloseAfter,
}

/// Which requests something happens to, and how often.
#[derive(Debug, Clone)]
pub struct Rule {
    path: Path,
    method: Option<Method>,
    action: Action,
    /// `None`: as long as the rule stands.
    times: Option<u32>,
}

#[derive(Debug, Clone)]
enum Path {
    Any,
    Exact(String),
    Suffix(String),
}

impl Rule {
    /// For every request.
    pub fn any(action: Action) -> Self {
        Self { path: Path::Any, method: None, action, times: None }
    }

    /// For requests with exactly this path, the query apart.
    pub fn path(path: impl Into<String>, action: Action) -> Self {
        Self { path: Path::Exact(path.into()), ..Self::any(action) }
    }

    /// For requests whose path, the query apart, ends like this: `/state`, `/registry/heartbeat`.
    pub fn path_suffix(suffix: impl Into<String>, action: Action) -> Self {
        Self { path: Path::Suffix(suffix.into()), ..Self::any(action) }
    }

    /// Narrows the rule to one method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Lets the rule match so many requests and no more. After the last one it still holds what it holds.
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

/// Names a rule that was injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u64);

/// The rules that stand, oldest first.
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

    /// What happens to a request: the newest matching rule's action, which is counted.
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
