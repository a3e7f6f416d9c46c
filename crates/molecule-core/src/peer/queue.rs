//! Messages that are queued for a busy peer, and their outcomes (contract section 11).

use std::fmt::{self, Write as _};
use std::time::Duration;

use http::StatusCode;
use molecule_proto::{
    A2aAnswer, A2aRefusal, IdError, QueueId, QueueItem, QueueStatus as Status, RefusalKind, Reply, Time, UnixTime,
};
use serde::Serialize;
use serde_json::Value;

use crate::call::Call;
use crate::call::wait::{Awaited, Wait, WaitFor};
use crate::endpoint::{Endpoint, QueueStatus};
use crate::error::{Error, ErrorKind, Result, printable};
use crate::flow::{Flow, Line, Parting, machine_of_flow};
use crate::printable::Printable;
use crate::session::{Dialect, Feature, Session};

/// Asks for the status of a queued message: `GET /workspaces/:id/a2a/queue/:item` (contract section 11). If the server
/// does not have the route (April's), the session remembers that, and no call asks again until the server turns out to
/// be a newer one.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct QueuedItem(Flow<Result<QueueItem>>);

impl QueuedItem {
    /// Makes a query for the item of this id, which [`CallOutcome::Queued`](crate::CallOutcome) names.
    ///
    /// # Errors
    /// `Config` if the id is not a UUID.
    pub fn new(id: impl AsRef<str>) -> Result<Self> {
        let id = queue_id(id)?;
        Ok(Self(Flow::new(QueueStatus::OPERATION, move |line| async move {
            line.check()?;
            look(&line, &id, Call::new(QueueStatus(id.clone()))).await
        })))
    }
}

machine_of_flow!(QueuedItem, Result<QueueItem>);

fn queue_id(id: impl AsRef<str>) -> Result<QueueId> {
    let parsed = id.as_ref().trim().parse();
    parsed.map_err(|error: IdError| {
        Error::config(error.to_string(), "use the id that the outcome of the call names").during(QueueStatus::OPERATION)
    })
}

/// Returns the item of this id from the answer of this call.
async fn look(line: &Line, id: &QueueId, call: Call<QueueStatus>) -> Result<QueueItem> {
    if line.with(|cx| cx.session.lacks(Feature::QueueStatus)) {
        return Err(unsupported());
    }
    match line.run("look at the queue item", call, Parting::give_up()).await {
        Ok(Some(item)) => Ok(item),
        Ok(None) => Err(Error::new(ErrorKind::NotFound, QueueStatus::OPERATION, format!("there is no item {id}"))
            .with_status(StatusCode::NOT_FOUND)
            .remedy("check the id; only the sender and the receiver may look at it")),
        Err(error) => Err(line.with(|cx| refused(cx.session, error))),
    }
}

/// Returns the error of a failed query. A server without the route is remembered.
fn refused(session: &mut Session, error: Error) -> Error {
    if is_without_route(&error, session.dialect) {
        if session.dialect != Some(Dialect::Current) {
            session.learn_lack(Feature::QueueStatus);
        }
        return unsupported().with_status(StatusCode::NOT_FOUND);
    }
    if is_long_reply(&error) {
        return error.remedy("the message is delivered: ask the peer for a shorter answer");
    }
    error
}

/// Returns whether a 404 means that the server does not have the route: it is the server's plain text, or JSON that is
/// not this route's. An empty 404 or a page may come from a tenant gate or an edge before a server that has the route;
/// it does not before April's server.
fn is_without_route(error: &Error, dialect: Option<Dialect>) -> bool {
    if error.status() != Some(StatusCode::NOT_FOUND) {
        return false;
    }
    match error.kind() {
        ErrorKind::Unsupported | ErrorKind::Refused => true,
        ErrorKind::Routing => dialect == Some(Dialect::April),
        _ => false,
    }
}

/// Returns whether the item is longer than the cap: only the peer's reply can be so long.
fn is_long_reply(error: &Error) -> bool {
    error.kind() == ErrorKind::TooLarge && error.status() == Some(StatusCode::OK)
}

fn unsupported() -> Error {
    Error::new(ErrorKind::Unsupported, QueueStatus::OPERATION, "this server does not show its queue")
        .remedy("use a newer platform, or have the peer answer with a message of its own")
}

impl Wait<QueueOutcome> {
    /// Waits until a queued message was delivered, or will not be.
    ///
    /// # Errors
    /// `Config` if the id is not a UUID.
    pub fn for_queue_item(wait: impl Into<WaitFor>) -> Result<Self> {
        let WaitFor { id, patience } = wait.into();
        Ok(Self::new(AwaitedItem(queue_id(id)?), patience))
    }
}

/// The queued message of this id.
struct AwaitedItem(QueueId);

impl Awaited for AwaitedItem {
    type End = QueueOutcome;
    const WAIT: &'static str = "wait for queue item";

    async fn look(&self, line: &Line, until: Time) -> Result<Option<QueueOutcome>> {
        let call = Call::once(QueueStatus(self.0.clone())).asking_the_view(true).until(until);
        match look(line, &self.0, call).await {
            Ok(item) => Ok(QueueOutcome::taken(item, line.with(|cx| cx.now.unix))),
            Err(error) if is_long_reply(&error) => Ok(Some(QueueOutcome::DeliveredReplyLost)),
            Err(error) => Err(error),
        }
    }
}

/// The outcome of a message that was queued (contract section 11).
///
/// As JSON it is an object with `outcome`, the variant's name, and `detail`, its fields, where it has any.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
#[must_use = "a message that was never delivered is an outcome too"]
pub enum QueueOutcome {
    /// The peer has the message and replied.
    Replied(Reply),
    /// The peer has the message and answered with its own error.
    PeerError {
        /// The code of a JSON-RPC error.
        code: Option<i64>,
        /// The peer's error message.
        message: String,
        /// The `data` of a JSON-RPC error.
        data: Option<Value>,
    },
    /// The peer has the message, and its reply was empty, was lost, or is longer than 16 MiB.
    DeliveredReplyLost,
    /// The platform counts the message as delivered and has no answer: the peer was busy again, and the message is
    /// usually lost. The peer's feed shows it.
    Lost,
    /// The message expired before it was delivered, by this machine's clock plus 30 s.
    Expired,
    /// The peer could not be reached for too long, usually 180 s.
    Dropped {
        /// The error of the last attempt.
        last_error: Option<String>,
    },
    /// Five attempts failed.
    Failed {
        /// The error of the last attempt.
        last_error: Option<String>,
    },
}

/// An expired item keeps its status `queued`, so the expiry is compared with this machine's clock, which may differ by
/// this.
const SKEW: Duration = Duration::from_secs(30);

impl QueueOutcome {
    /// Returns the outcome of an item; `None` while it is queued.
    pub fn of(item: &QueueItem, now: UnixTime) -> Option<Self> {
        Self::told(item, item.response_body.clone(), now)
    }

    /// Returns the same outcome without a copy of the answer.
    fn taken(mut item: QueueItem, now: UnixTime) -> Option<Self> {
        let answer = item.response_body.take();
        Self::told(&item, answer, now)
    }

    fn told(item: &QueueItem, answer: Option<Value>, now: UnixTime) -> Option<Self> {
        let last_error = || item.last_error.clone();
        match &item.status {
            Status::Completed => Some(answer.map_or(Self::Lost, Self::answered)),
            Status::Dropped => Some(Self::Dropped { last_error: last_error() }),
            Status::Failed => Some(Self::Failed { last_error: last_error() }),
            Status::Queued => item.expires_at.is_some_and(|at| at.0 + SKEW < now).then_some(Self::Expired),
            _ => None,
        }
    }

    fn answered(body: Value) -> Self {
        let is_answer = body.get("result").is_some()
            || body.get("error").is_some_and(|error| error.is_object() || error.is_string());
        // A notice in the place of an answer is returned as it is.
        if !is_answer {
            return if body.is_null() { Self::Lost } else { Self::Replied(Reply::from(body)) };
        }
        match A2aAnswer::from(body) {
            A2aAnswer::Replied(mut answer) => match (answer.error.take(), answer.into_reply()) {
                (Some(error), _) => {
                    Self::PeerError { code: Some(error.code), message: error.message, data: error.data }
                }
                (None, reply) => reply.map_or(Self::Lost, Self::Replied),
            },
            A2aAnswer::Refused(refusal) if is_lost(&refusal) => Self::DeliveredReplyLost,
            A2aAnswer::Refused(refusal) => Self::PeerError { code: None, message: refusal.error, data: None },
            A2aAnswer::Other(value) => Self::Replied(Reply::from(value)),
            _ => Self::Lost,
        }
    }
}

/// Returns whether the platform stored its own text in place of a reply that is empty or incomplete.
fn is_lost(refusal: &A2aRefusal) -> bool {
    refusal.delivery_confirmed == Some(true) || refusal.kind(StatusCode::OK) == RefusalKind::EmptyReply
}

impl fmt::Display for QueueOutcome {
    /// Writes one sentence. The text of the platform or the peer is escaped; a reply is shown by its texts with their
    /// line ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = Printable::lines(f);
        let (told, why) = match self {
            Self::Replied(reply) => return write!(f, "replied: {}", reply.texts().join("\n")),
            Self::PeerError { code: Some(code), message, .. } => {
                return write!(f, "the peer failed: {} ({code})", printable(message));
            }
            Self::PeerError { code: None, message, .. } => ("the peer failed", Some(message)),
            Self::DeliveredReplyLost => ("delivered, without a reply", None),
            Self::Lost => ("lost: the peer was busy once more", None),
            Self::Expired => ("not delivered: it expired", None),
            Self::Dropped { last_error } => {
                ("not delivered: the peer was out of reach for too long", last_error.as_ref())
            }
            Self::Failed { last_error } => ("not delivered: five attempts failed", last_error.as_ref()),
        };
        match why {
            Some(why) => write!(f, "{told}: {}", printable(why)),
            None => f.write_str(told),
        }
    }
}
