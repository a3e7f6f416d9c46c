//! Errors of `POST /workspaces/:id/a2a`, and which of them come from the platform (contract sections 9.2 to 9.5; April
//! 7.2).

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::lenient::{or_default, word};
use crate::status::WorkspaceStatus;

/// An error of `POST /workspaces/:id/a2a` whose `error` is a string.
///
/// The agent's own errors arrive in the same form. At a status of 300 and more the platform passes on only the agent's
/// text, at a status of success the whole body. [`kind`](Self::kind) distinguishes the platform's errors from the
/// agent's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct A2aRefusal {
    /// The error, for people.
    pub error: String,
    /// The error, for programs: `platform_unavailable`, `TENANT_ORG_HEADER_REQUIRED`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub code: Option<String>,
    /// The remedy, for people.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub hint: Option<String>,
    /// The target's status, if it has no URL.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "word")]
    pub status: Option<WorkspaceStatus>,
    /// Whether the agent is busy and the message was not queued.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub busy: Option<bool>,
    /// Whether the agent was asleep and is waking.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub waking: Option<bool>,
    /// Whether the platform's own agent is not ready yet.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub warming: Option<bool>,
    /// Whether the agent's container was found dead and is restarting.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub restarting: Option<bool>,
    /// Whether the agent has its own queue, so that the platform queues nothing (April).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub native_session: Option<bool>,
    /// Seconds to wait.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub retry_after: Option<u64>,
    /// Seconds to wait, under a second key.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub retry_after_seconds: Option<u64>,
    /// Whether the agent certainly has the message, although its reply is lost.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub delivery_confirmed: Option<bool>,
    /// Whether a body was too long: the request's, or with `delivery_confirmed` the reply's.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub truncated: Option<bool>,
    /// The most bytes that are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub max_bytes: Option<u64>,
    /// The budgets that the target has spent.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub exceeded_periods: Option<Value>,
    /// All keys without a field of their own.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The kind of an [`A2aRefusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// 401: no bearer. The caller's credential is at fault.
    MissingToken,
    /// 401: the bearer is not a live token. The caller's credential is at fault.
    InvalidToken,
    /// 401: the header `X-Workspace-ID` names another workspace than the bearer's.
    NotTheCaller,
    /// 403: the header `X-Workspace-ID` is one of the platform's own names.
    ReservedCaller,
    /// 403: the two may not talk to each other, or the target does not exist.
    Denied,
    /// 403: the caller may not talk to others at all (`can_delegate` is off).
    NotAllowed,
    /// 402: the target has spent its budget.
    OverBudget,
    /// 404: there is no such workspace. Agents receive [`Denied`](Self::Denied) instead.
    NotFound,
    /// 400: the platform cannot read the request.
    BadRequest,
    /// 413: the request is longer than 16 MiB.
    TooLarge,
    /// 502: the agent could not be reached; it does not have the message.
    Unreachable,
    /// 502: the platform refuses to connect to the registered URL. On April's server 500: it cannot make a request of
    /// the URL.
    UnsafeUrl,
    /// 503: the agent has no URL; [`A2aRefusal::status`] says why.
    NoUrl,
    /// 503: the agent is busy and the message was not queued. The agent may have the message already.
    Busy,
    /// 503: the agent's container is restarting.
    Restarting,
    /// 503: the agent was asleep and is waking.
    Waking,
    /// 503: the platform's own agent is not ready yet.
    Warming,
    /// 503: the agent has no inbound secret yet, so the platform does not call it.
    NotEnrolled,
    /// 500 or 503: the platform cannot look something up.
    Unavailable,
    /// 429: the caller's own rate limit.
    RateLimited,
    /// 400: the tenant gate's header is missing.
    Tenant,
    /// 502: the agent's reply was too long or broke off. [`A2aRefusal::delivery_confirmed`] says whether the agent
    /// certainly has the message. Do not send it again.
    ReplyLost,
    /// A status of success: the agent has the message and answered nothing.
    EmptyReply,
    /// Anything else: the agent's own error. It says nothing about the caller's credential or rate limit.
    Agent,
}

impl A2aRefusal {
    /// An error with a text only.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), ..Self::default() }
    }

    /// The kind of the error, judged with the status of the answer.
    ///
    /// Only the platform's own texts and flags at the platform's own statuses count. At a status of 300 and more an
    /// agent can imitate a text, but no flag.
    pub fn kind(&self, status: StatusCode) -> RefusalKind {
        if status.is_success() {
            return if self.error == EMPTY_REPLY { RefusalKind::EmptyReply } else { RefusalKind::Agent };
        }
        self.flagged(status).or_else(|| self.worded(status)).unwrap_or(RefusalKind::Agent)
    }

    /// The kinds that a key besides `error` identifies.
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

    /// The kinds that the text identifies.
    fn worded(&self, status: StatusCode) -> Option<RefusalKind> {
        let whole = WORDS.iter().find(|(code, text, _)| *code == status.as_u16() && *text == self.error);
        let begun =
            || BEGINNINGS.iter().find(|(code, text, _)| *code == status.as_u16() && self.error.starts_with(text));
        whole.or_else(begun).map(|(_, _, kind)| *kind)
    }
}

const EMPTY_REPLY: &str = "agent returned empty response body";

/// The statuses and texts of the platform's own errors.
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
    // The registered URL is not one that a request can be made of (April).
    (500, "failed to create proxy request", RefusalKind::UnsafeUrl),
    (502, "failed to read agent response", RefusalKind::ReplyLost),
    (503, "workspace has no URL", RefusalKind::NoUrl),
    (500, "lookup failed", RefusalKind::Unavailable),
];

/// The same for texts of which only the beginning is fixed.
const BEGINNINGS: &[(u16, &str, RefusalKind)] = &[
    (403, "access denied: ", RefusalKind::Denied),
    (400, "params.message must contain ", RefusalKind::BadRequest),
    (413, "request body exceeds ", RefusalKind::TooLarge),
    (503, "workspace not yet enrolled in inbound auth", RefusalKind::NotEnrolled),
    (503, "workspace re-registering", RefusalKind::NotEnrolled),
    (503, "delivery-mode lookup failed", RefusalKind::Unavailable),
];
