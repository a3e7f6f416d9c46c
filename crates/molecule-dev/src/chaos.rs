//! Faults on purpose: requests of some path or agent that are refused, delayed, cut or lost.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use molecule_platform::serve::{Conditions, Fate};
use molecule_proto::WorkspaceId;
use serde::{Deserialize, Serialize};

/// The faults that are provoked now; the first rule that matches a request counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Chaos {
    /// The rules, in order.
    #[serde(default)]
    pub rules: Vec<ChaosRule>,
}

/// A fault, and the requests that meet it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChaosRule {
    /// The agent whose requests meet it, and the workspace in the path; `None` is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceId>,
    /// The end of the path, such as `/registry/heartbeat` or `/activity`; `None` is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What happens.
    pub fault: Fault,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
#[non_exhaustive]
pub enum Fault {
    /// 429 with `Retry-After`; the platform does not see it.
    RateLimited {
        /// The seconds in `Retry-After`.
        retry_after_s: u32,
    },
    /// 503; the platform does not see it.
    Unavailable,
    /// A page of HTML with 502, as a proxy writes it; the platform does not see it.
    Html,
    /// The platform sees it late.
    Slow {
        /// The delay in milliseconds.
        ms: u64,
    },
    /// The connection is closed after half of the answer.
    Half,
    /// The connection is closed instead of the answer: the platform has acted.
    Lost,
    /// The platform's database is unreachable for it.
    DatabaseDown,
}

impl Chaos {
    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a rule after the others.
    #[must_use]
    pub fn rule(mut self, rule: ChaosRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// The fault that a request meets.
    pub(crate) fn find(&self, path: &str, concerns: impl Fn(&WorkspaceId) -> bool) -> Option<Fault> {
        let rule = self.rules.iter().find(|rule| {
            rule.path.as_deref().is_none_or(|end| path.ends_with(end)) && rule.workspace.as_ref().is_none_or(&concerns)
        })?;
        Some(rule.fault)
    }
}

impl ChaosRule {
    /// A fault for every request.
    pub fn new(fault: Fault) -> Self {
        Self { workspace: None, path: None, fault }
    }

    /// Restricts it to an agent's requests.
    #[must_use]
    pub fn workspace(mut self, workspace: impl Into<Option<WorkspaceId>>) -> Self {
        self.workspace = workspace.into();
        self
    }

    /// Restricts it to paths with this end.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }
}

/// What a fault does: an answer in place of the platform's, or conditions for it.
pub(crate) enum Effect {
    Answer(Response<Bytes>),
    Conditions(Conditions),
}

impl Fault {
    pub(crate) fn effect(self) -> Effect {
        let conditions = Conditions::new();
        match self {
            Self::RateLimited { retry_after_s } => {
                let mut response = json(StatusCode::TOO_MANY_REQUESTS, r#"{"error":"rate limit exceeded"}"#);
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after_s));
                Effect::Answer(response)
            }
            Self::Unavailable => {
                Effect::Answer(json(StatusCode::SERVICE_UNAVAILABLE, r#"{"error":"service unavailable"}"#))
            }
            Self::Html => {
                let body = "<!doctype html><html><head><title>502 Bad Gateway</title></head>\
                            <body><h1>502 Bad Gateway</h1></body></html>\n";
                Effect::Answer(response(StatusCode::BAD_GATEWAY, "text/html", body))
            }
            Self::Slow { ms } => Effect::Conditions(conditions.delay(Duration::from_millis(ms))),
            Self::Half => Effect::Conditions(conditions.fate(Fate::Half)),
            Self::Lost => Effect::Conditions(conditions.fate(Fate::Lost)),
            Self::DatabaseDown => Effect::Conditions(conditions.database_down(true)),
        }
    }
}

fn json(status: StatusCode, body: &'static str) -> Response<Bytes> {
    response(status, "application/json; charset=utf-8", body)
}

fn response(status: StatusCode, content_type: &'static str, body: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
