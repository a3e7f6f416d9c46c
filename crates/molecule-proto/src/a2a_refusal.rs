//! Errors of `POST /workspaces/:id/a2a`, and which of them are the platform's own (contract sections 9.2 to 9.5; April
//! 7.2).

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::lenient::{or_default, word};
use crate::status::WorkspaceStatus;

/// An error of `POST /workspaces/:id/a2a` whose `error` is a text.
///
/// The agent's own errors arrive in the same form: of a status of 300 and more its text alone, at a status of success
/// everything. [`kind`](Self::kind) tells them apart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct A2aRefusal {
    /// What went wrong, for people.
    pub error: String,
    /// What went wrong, for programs: `platform_unavailable`, `TENANT_ORG_HEADER_REQUIRED`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub code: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub hint: Option<String>,
    /// The target's status, where it has no URL.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "word")]
    pub status: Option<WorkspaceStatus>,
    /// The agent is busy, and the message does not wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub busy: Option<bool>,
    /// The agent was asleep and wakes.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub waking: Option<bool>,
    /// The platform's own agent is not ready yet.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub warming: Option<bool>,
    /// The agent's container was found dead and starts again.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub restarting: Option<bool>,
    /// The agent keeps its own queue, so the platform does not (April).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub native_session: Option<bool>,
    /// Seconds to wait.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub retry_after: Option<u64>,
    /// Seconds to wait, under another name.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub retry_after_seconds: Option<u64>,
    /// Whether the agent is known to have the message, although its reply is lost.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub delivery_confirmed: Option<bool>,
    /// A body was too long: the request's, or with `delivery_confirmed` the reply's.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub truncated: Option<bool>,
    /// How many bytes would have been allowed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub max_bytes: Option<u64>,
    /// The budgets that the target has spent.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub exceeded_periods: Option<Value>,
    /// Every other key.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What an [`A2aRefusal`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// 401: no bearer. The caller's credential is at fault, as in the next one.
    MissingToken,
    /// 401: the bearer is no live token.
    InvalidToken,
    /// 401: the header `X-Workspace-ID` names somebody else than the bearer.
    NotTheCaller,
    /// 403: the header `X-Workspace-ID` is one of the platform's own names.
    ReservedCaller,
    /// 403: the two may not talk to each other, or the target does not exist.
    Denied,
    /// 403: the caller may not talk to others at all (`can_delegate` is off).
    NotAllowed,
    /// 402: the target has spent its budget.
    OverBudget,
    /// 404: there is no such workspace. Agents are told [`Denied`](Self::Denied) instead.
    NotFound,
    /// 400: the platform cannot read the request.
    BadRequest,
    /// 413: the request is longer than 16 MiB.
    TooLarge,
    /// 502: the agent could not be reached; it does not have the message.
    Unreachable,
    /// 502: the platform does not dial the registered URL; on April's server 500: it cannot.
    UnsafeUrl,
    /// 503: the agent has no URL; [`A2aRefusal::status`] says why.
    NoUrl,
    /// 503: the agent is busy and the message does not wait for it; it may have it already.
    Busy,
    /// 503: the agent's container starts again.
    Restarting,
    /// 503: the agent was asleep and wakes.
    Waking,
    /// 503: the platform's own agent is not ready yet.
    Warming,
    /// 503: the agent has no inbound secret yet, so the platform does not call it.
    NotEnrolled,
    /// 500 or 503: the platform cannot look something up.
    Unavailable,
    /// 429: the caller's own rate limit.
    RateLimited,
    /// 400: the tenant gate misses its header.
    Tenant,
    /// 502: the agent's reply was too long or broke off; [`A2aRefusal::delivery_confirmed`] says whether the agent is
    /// known to have the message. Not to be sent again.
    ReplyLost,
    /// A status of success: the agent answered nothing, and has the message.
    EmptyReply,
    /// Anything else: the agent's own error. It says nothing about the caller's credential or rate limit.
    Agent,
}

impl A2aRefusal {
    /// An error with its text alone.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), ..Self::default() }
    }

    /// What the error is about, at the status that it came with.
    ///
    /// Only the platform's own texts and flags at the platform's own statuses count. An agent may imitate a text at a
    /// status of 300 and more, and no flag.
    pub fn kind(&self, status: StatusCode) -> RefusalKind {
        if status.is_success() {
            return if self.error == EMPTY_REPLY { RefusalKind::EmptyReply } else { RefusalKind::Agent };
        }
        self.flagged(status).or_else(|| self.worded(status)).unwrap_or(RefusalKind::Agent)
    }

    /// The kinds that a key beside the text tells.
    fn flagged(&self, status: StatusCode) -> Option<RefusalKind> {
        let is = |flag: Option<bool>| flag == Some(true);
        let kind = match status.as_u16() {
            502 if self.delivery_confirmed.is_some() => RefusalKind::ReplyLost,
            413 if is(self.truncated) => RefusalKind::TooLarge,
            503 if is(self.busy) => RefusalKind::Busy,
            503 if is(self.restarting) => RefusalKind::Restarting,
            503 if is(self.waking) => RefusalKind::Waking,
            503 if is(self.warming) => RefusalKind::Warming,
            503 if self.retry_after_seconds.is_some() => RefusalKind::NotEnrolled,
            503 if self.code.as_deref() == Some("platform_unavailable") => RefusalKind::Unavailable,
            400 if self.code.as_deref() == Some("TENANT_ORG_HEADER_REQUIRED") => RefusalKind::Tenant,
            400 if self.hint.is_some() => RefusalKind::BadRequest,
            402 if self.exceeded_periods.is_some() => RefusalKind::OverBudget,
            429 if self.retry_after.is_some() && self.error == "rate limit exceeded" => RefusalKind::RateLimited,
            _ => return None,
        };
        Some(kind)
    }

    /// The kinds that the text tells.
    fn worded(&self, status: StatusCode) -> Option<RefusalKind> {
        let whole = WORDS.iter().find(|(code, text, _)| *code == status.as_u16() && *text == self.error);
        let begun =
            || BEGINNINGS.iter().find(|(code, text, _)| *code == status.as_u16() && self.error.starts_with(text));
        whole.or_else(begun).map(|(_, _, kind)| *kind)
    }
}

const EMPTY_REPLY: &str = "agent returned empty response body";

/// Statuses and texts that are the platform's own.
const WORDS: &[(u16, &str, RefusalKind)] = &[
    (401, "missing caller auth token", RefusalKind::MissingToken),
    (401, "invalid caller auth token", RefusalKind::InvalidToken),
    (401, "caller ID does not match workspace auth token", RefusalKind::NotTheCaller),
    (403, "invalid caller ID", RefusalKind::ReservedCaller),
    (403, "org token not authorized for this workspace's org", RefusalKind::Denied),
    (403, "tool call failed", RefusalKind::NotAllowed),
    (402, "workspace budget limit exceeded", RefusalKind::OverBudget),
    (404, "workspace not found", RefusalKind::NotFound),
    (400, "invalid JSON", RefusalKind::BadRequest),
    (400, "invalid params.message.content type", RefusalKind::BadRequest),
    (502, "failed to reach workspace agent", RefusalKind::Unreachable),
    (502, "workspace URL is not publicly routable", RefusalKind::UnsafeUrl),
    // The registered URL is none that a request could be made of (April).
    (500, "failed to create proxy request", RefusalKind::UnsafeUrl),
    (502, "failed to read agent response", RefusalKind::ReplyLost),
    (503, "workspace has no URL", RefusalKind::NoUrl),
    (500, "lookup failed", RefusalKind::Unavailable),
];

/// The same for texts that go on in varying ways.
const BEGINNINGS: &[(u16, &str, RefusalKind)] = &[
    (403, "access denied: ", RefusalKind::Denied),
    (400, "params.message must contain ", RefusalKind::BadRequest),
    (413, "request body exceeds ", RefusalKind::TooLarge),
    (503, "workspace not yet enrolled in inbound auth", RefusalKind::NotEnrolled),
    (503, "workspace re-registering", RefusalKind::NotEnrolled),
    (503, "delivery-mode lookup failed", RefusalKind::Unavailable),
];
