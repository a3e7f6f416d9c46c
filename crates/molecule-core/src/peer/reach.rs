//! The check whether the platform reaches the agent: a message of the agent to itself.

use std::fmt::{self, Write as _};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use molecule_proto::{Message, Reply, RpcRequest, SendParams, WorkspaceStatus};
use serde::Serialize;
use serde_json::Value;

use super::outcome::CallOutcome;
use super::proxy::A2a;
use crate::call::Call;
use crate::error::{Error, ErrorKind, Result, printable};
use crate::flow::{Flow, Line, Parting, machine_of_flow};
use crate::printable::Printable;
use crate::session::Session;
use crate::text::record::{maybe_seconds, maybe_status, seconds};

const OPERATION: &str = "check reachable";

/// The key of the message's metadata whose value the agent's server gives back.
pub(crate) const REACHABILITY: &str = "molecule.reachability";

/// How long the platform keeps the message if it queues it: a later one would only delay others.
const EXPIRES_IN: Duration = Duration::from_secs(60);

/// Checks whether the platform reaches the agent's server: it sends a message of the agent to itself through
/// `POST /workspaces/:self/a2a` (contract section 9.4), which the server answers with the message's own number, without the
/// handler. A check takes at most the time of one request ([`Timeouts::request`](crate::Timeouts), 30 s).
///
/// An answer that says nothing about the agent (a refused bearer, a rate limit, a gateway's page) is an error.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct CheckReachable(Flow<Result<Reachability>>);

impl CheckReachable {
    /// Makes a check with the usual retries.
    pub fn new() -> Self {
        Self(Flow::new(OPERATION, |line| check(line, true)))
    }

    /// Makes a check of one request, for the loop, which repeats it.
    pub(crate) fn once() -> Self {
        Self(Flow::new(OPERATION, |line| check(line, false)))
    }
}

machine_of_flow!(CheckReachable, Result<Reachability>);

impl Default for CheckReachable {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the platform reaches the agent's server.
///
/// As JSON it is an object with `reachability` (`reachable`, `unreachable`) and `detail`, its fields; durations are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "reachability", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
#[must_use = "a server that the platform does not reach gets no messages"]
pub enum Reachability {
    /// The message came to the server, and its answer came back.
    Reachable {
        /// How long that took.
        #[serde(rename = "took_secs", serialize_with = "seconds")]
        took: Duration,
    },
    /// It did not.
    Unreachable {
        /// Why.
        why: ReachFailure,
    },
}

/// Why the platform does not reach the agent's server. `Display` is a sentence with the remedy.
///
/// As JSON it is an object with `failure`, the variant's name (`no_connection`), and `detail`, its fields, where it has any.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "failure", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReachFailure {
    /// The agent is registered in poll mode, in which the platform calls no URL.
    PollMode,
    /// The platform knows no URL of the agent.
    NoUrl {
        /// The agent's status, if the platform gave it.
        status: Option<WorkspaceStatus>,
    },
    /// The platform does not call the registered URL: its address is not public, or, outside development, is this machine.
    UnsafeUrl,
    /// The platform could not connect to the registered URL.
    NoConnection,
    /// The connection closed without an answer, or none came in time.
    NoAnswer,
    /// The connection closed without an answer, and the platform could not queue the message.
    Busy {
        /// When to try again, if the platform said so; 1 to 60 s.
        #[serde(rename = "retry_after_secs", serialize_with = "maybe_seconds")]
        retry_after: Option<Duration>,
    },
    /// The workspace was asleep or is starting.
    Waking {
        /// When to try again, if the platform said so; 1 to 60 s.
        #[serde(rename = "retry_after_secs", serialize_with = "maybe_seconds")]
        retry_after: Option<Duration>,
    },
    /// The platform has no inbound secret for the agent yet. The next register changes that.
    NotEnrolled {
        /// When to try again, if the platform said so; 1 to 60 s.
        #[serde(rename = "retry_after_secs", serialize_with = "maybe_seconds")]
        retry_after: Option<Duration>,
    },
    /// The URL answered with an error: another server, a gateway before the agent's, or the agent's server that does not know
    /// the platform's secret (401) or does not serve the path (404).
    ErrorAnswer {
        /// The HTTP status, if it was the error.
        #[serde(serialize_with = "maybe_status")]
        status: Option<StatusCode>,
        /// The code of a JSON-RPC error.
        code: Option<i64>,
        /// The error's text.
        message: String,
    },
    /// Something else than this agent's server answered at the URL.
    OtherAnswer,
    /// The agent may not send messages, so that this cannot be checked.
    Denied {
        /// The platform's message.
        message: String,
    },
    /// The agent has spent its budget, so that this cannot be checked.
    OverBudget,
    /// The workspace does not exist.
    NotFound,
}

/// The message of a check.
struct Probe {
    nonce: String,
    body: Bytes,
}

async fn check(line: Line, retries: bool) -> Result<Reachability> {
    line.check()?;
    let (probe, endpoint, began, until) = line.with(|cx| {
        let probe = Probe::new(cx.session)?;
        let endpoint = A2a { target: cx.session.workspace_id().clone(), body: probe.body.clone() };
        let until = cx.now.mono + cx.session.config().timeouts.request;
        Ok::<_, Error>((probe, endpoint, cx.now.mono, until))
    })?;
    let call = if retries { Call::new(endpoint) } else { Call::once(endpoint) };
    let why = match line.run("send the agent a message", call.until(until), Parting::give_up()).await {
        Ok(CallOutcome::Replied(reply)) if probe.is_answered_by(&reply) => {
            let took = line.with(|cx| cx.now.mono.since(began));
            return Ok(Reachability::Reachable { took });
        }
        Ok(outcome) => ReachFailure::of(outcome),
        // The platform took the request, and waits for the agent's server.
        Err(error) if error.kind() == ErrorKind::Timeout && error.may_have_acted() => ReachFailure::NoAnswer,
        Err(error) => return Err(error.during(OPERATION)),
    };
    Ok(Reachability::Unreachable { why })
}

impl Probe {
    fn new(session: &mut Session) -> Result<Self> {
        let nonce = session.uuid();
        let message = Message::new([]).with_id(session.uuid()).with_metadata(REACHABILITY, nonce.as_str());
        let mut params = SendParams::new(message);
        params.expires_in_seconds = Some(EXPIRES_IN.as_secs());
        let text = serde_json::to_string(&RpcRequest::send(session.uuid(), params))
            .map_err(|_| Error::config("the message is not JSON", "report this, since the SDK made it"))?;
        Ok(Self { nonce, body: text.into() })
    }

    fn is_answered_by(&self, reply: &Reply) -> bool {
        let Reply::Message(message) = reply else { return false };
        message.metadata.get(REACHABILITY).and_then(Value::as_str) == Some(self.nonce.as_str())
    }
}

impl ReachFailure {
    /// Returns what an outcome of the message says of the agent's own server.
    fn of(outcome: CallOutcome) -> Self {
        match outcome {
            CallOutcome::AcceptedForPoll => Self::PollMode,
            CallOutcome::NoUrl { status } => Self::NoUrl { status },
            CallOutcome::UnsafeUrl => Self::UnsafeUrl,
            CallOutcome::Unreachable => Self::NoConnection,
            CallOutcome::Queued { .. } | CallOutcome::AnswerLater => Self::NoAnswer,
            CallOutcome::Busy { retry_after, .. } => Self::Busy { retry_after },
            CallOutcome::Waking { retry_after } => Self::Waking { retry_after },
            CallOutcome::NotEnrolled { retry_after } => Self::NotEnrolled { retry_after },
            CallOutcome::PeerError { code, status, message, .. } => Self::ErrorAnswer { status, code, message },
            CallOutcome::Replied(_) | CallOutcome::DeliveredReplyLost => Self::OtherAnswer,
            CallOutcome::Denied { message } => Self::Denied { message },
            CallOutcome::OverBudget => Self::OverBudget,
            CallOutcome::NotFound => Self::NotFound,
        }
    }

    /// Returns whether the reason passes by itself, or by a register, so that a second look is due before anything follows from
    /// it.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::PollMode | Self::Busy { .. } | Self::Waking { .. } | Self::NotEnrolled { .. })
    }

    /// Returns when to check again, if the platform said so; 1 to 60 s.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after } | Self::Waking { retry_after } | Self::NotEnrolled { retry_after } => {
                *retry_after
            }
            Self::PollMode
            | Self::NoUrl { .. }
            | Self::UnsafeUrl
            | Self::NoConnection
            | Self::NoAnswer
            | Self::ErrorAnswer { .. }
            | Self::OtherAnswer
            | Self::Denied { .. }
            | Self::OverBudget
            | Self::NotFound => None,
        }
    }
}

impl fmt::Display for Reachability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reachable { took } => write!(f, "reachable: answered in {:.1} s", took.as_secs_f64()),
            Self::Unreachable { why } => write!(f, "unreachable: {why}"),
        }
    }
}

impl fmt::Display for ReachFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Messages are untrusted text.
        let mut f = Printable::line(f);
        match self {
            Self::PollMode => f.write_str("the agent is registered in poll mode; start a server, and register"),
            Self::NoUrl { status: Some(status) } => {
                write!(f, "the platform knows no URL of the agent, which is {status}; register")
            }
            Self::NoUrl { status: None } => f.write_str("the platform knows no URL of the agent; register"),
            Self::UnsafeUrl => f.write_str(
                "the platform does not call the registered URL; register one with a public address, since this machine's \
                 is called in development alone",
            ),
            Self::NoConnection => f.write_str(
                "the platform cannot connect to the registered URL; check its host and port, and what is between them",
            ),
            Self::NoAnswer => {
                f.write_str("the registered URL gave the platform no answer; check what listens there, and what is before it")
            }
            Self::Busy { .. } => f.write_str("the registered URL gave the platform no answer; check again later"),
            Self::Waking { .. } => f.write_str("the workspace is starting; check again later"),
            Self::NotEnrolled { .. } => f.write_str("the platform has no inbound secret for the agent yet; register"),
            Self::ErrorAnswer { status, code, message } => {
                write!(f, "the registered URL answers with an error, {}", printable(message))?;
                match (code, status) {
                    (Some(code), _) => write!(f, " ({code})")?,
                    (None, Some(status)) => write!(f, " ({status})")?,
                    (None, None) => {}
                }
                f.write_str("; check that it leads to this agent's server, with its path")?;
                if *status == Some(StatusCode::UNAUTHORIZED) {
                    f.write_str(", and give a server for April's platform, which sends no credential, allow_unauthenticated()")?;
                }
                Ok(())
            }
            Self::OtherAnswer => {
                f.write_str("something else than this agent's server answers at the registered URL; check where it leads")
            }
            Self::Denied { message } => {
                write!(f, "the agent may not send messages, so that this cannot be checked: {}", printable(message))
            }
            Self::OverBudget => f.write_str("the agent has spent its budget, so that this cannot be checked"),
            Self::NotFound => f.write_str("the workspace does not exist"),
        }
    }
}
