//! The route through the platform: `POST /workspaces/:id/a2a` (contract section 9; April 7).

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use molecule_proto::{A2aAnswer, A2aRefusal, AcceptedMode, RefusalKind, Reply, WorkspaceId, path};

use super::outcome::CallOutcome;
use crate::call::retry;
use crate::config::Timeouts;
use crate::effect::Limits;
use crate::endpoint::refusal::{begins_as_html, is_json, is_web_page};
use crate::endpoint::{Endpoint, Mismatch, Repeat};
use crate::error::Result;
use crate::session::{Auth, Draft};

/// The longest reply, in bytes; the platform relays up to four times as much.
pub(crate) const LONGEST_REPLY: u64 = 16 * 1024 * 1024;

/// `POST /workspaces/:id/a2a`. Its status may be relayed from the peer, so that only the platform's own words count as
/// the platform's. Use [`CallPeer`](crate::machines::CallPeer).
///
/// It is sent again only if it certainly was not handled, since the platform would deliver it to a push agent again,
/// under the same id.
#[derive(Clone)]
pub(crate) struct A2a {
    pub(super) target: WorkspaceId,
    pub(super) body: Bytes,
}

impl Endpoint for A2a {
    type Answer = CallOutcome;
    const OPERATION: &'static str = "call peer";
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "an answer of a peer";
    const MAX_BODY: u64 = LONGEST_REPLY;
    const RELAYED: bool = true;

    fn draft(&self, _: &WorkspaceId) -> Result<Draft> {
        Ok(Draft::new(Method::POST, path::a2a(&self.target), Auth::Bearer).named().body(self.body.clone()))
    }

    fn limits(&self, timeouts: &Timeouts, left: Duration) -> Limits {
        limits(timeouts, left)
    }

    /// Returns the limit of the call of the peer, which ends this call earlier.
    fn deadline(&self, _: &Timeouts) -> Duration {
        Duration::from_secs(3600)
    }

    fn is_relayed(&self, answer: &Response<Bytes>) -> bool {
        answer.status().is_success() || !is_about_the_caller(answer)
    }

    /// A long answer is a reply: the platform's own notices are short, and its errors have another status.
    fn too_large(&self, head: &Response<()>) -> Option<CallOutcome> {
        is_reply(head).then_some(CallOutcome::DeliveredReplyLost)
    }

    fn is_doubtful(&self, answer: &Response<Bytes>) -> bool {
        let A2aAnswer::Refused(refusal) = A2aAnswer::read(answer.body()) else { return false };
        refusal.kind(answer.status()) == RefusalKind::Denied
    }

    fn accepts(&self, answer: &Response<Bytes>) -> bool {
        answer.status().is_success() || outcome(answer).is_some()
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<CallOutcome, Mismatch> {
        outcome(answer).ok_or_else(Mismatch::default)
    }
}

impl std::fmt::Debug for A2a {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "A2a({}, {} bytes)", self.target, self.body.len())
    }
}

/// Returns the limits of a request: a peer may take the call's whole time to answer.
pub(super) fn limits(timeouts: &Timeouts, left: Duration) -> Limits {
    Limits { connect: timeouts.connect.min(left), ..Limits::of(left, LONGEST_REPLY) }.repeated(Repeat::OnlyUnsent)
}

/// Returns whether an answer that is too long to be read is an agent's reply by its status and media type. A gateway's
/// page is not.
pub(super) fn is_reply(head: &Response<()>) -> bool {
    head.status().is_success() && is_json(head.headers())
}

/// Returns the outcome of an answer; `None` if it says nothing about the message or the peer.
fn outcome(answer: &Response<Bytes>) -> Option<CallOutcome> {
    let status = answer.status();
    Some(match A2aAnswer::read(answer.body()) {
        A2aAnswer::Replied(reply) => CallOutcome::answered(reply, status),
        A2aAnswer::Queued(queued) => CallOutcome::Queued { queue_id: queued.queue_id, depth: queued.queue_depth },
        A2aAnswer::Accepted(taken) if taken.delivery_mode == Some(AcceptedMode::Poll) => CallOutcome::AcceptedForPoll,
        A2aAnswer::Accepted(_) => CallOutcome::AnswerLater,
        A2aAnswer::Refused(refusal) => return refused(answer, &refusal),
        A2aAnswer::Other(value) if status.is_success() => CallOutcome::Replied(Reply::from(value)),
        // The platform labels every reply as JSON, so this page comes from a gateway.
        A2aAnswer::NotJson if is_web_page(answer.headers()) => return None,
        // The platform relays what a website at the peer's URL answered, and labels it as JSON as well.
        A2aAnswer::NotJson if status.is_success() && begins_as_html(answer.body()) => CallOutcome::web_page(),
        A2aAnswer::NotJson if status.is_success() => CallOutcome::plain_text(answer),
        A2aAnswer::Empty | A2aAnswer::TooManyValues if status.is_success() => CallOutcome::DeliveredReplyLost,
        // The platform's own errors, and those that it relays, have a text. This one comes from a gateway or a sign-in
        // page.
        _ => return None,
    })
}

fn refused(answer: &Response<Bytes>, refusal: &A2aRefusal) -> Option<CallOutcome> {
    let status = answer.status();
    let wait = refusal.retry_after.or(refusal.retry_after_seconds);
    let retry_after = wait.map(|seconds| Duration::from_secs(seconds.clamp(retry::LEAST_ASKED, retry::MOST_ASKED)));
    let message = refusal.error.clone();
    Some(match refusal.kind(status) {
        RefusalKind::Denied | RefusalKind::NotAllowed | RefusalKind::ReservedCaller => CallOutcome::Denied { message },
        RefusalKind::OverBudget => CallOutcome::OverBudget,
        RefusalKind::NotFound => CallOutcome::NotFound,
        RefusalKind::Unreachable => CallOutcome::Unreachable,
        RefusalKind::UnsafeUrl => CallOutcome::UnsafeUrl,
        RefusalKind::NoUrl => CallOutcome::NoUrl { status: refusal.status.clone() },
        RefusalKind::Busy => CallOutcome::busy(retry_after),
        RefusalKind::Waking | RefusalKind::Warming | RefusalKind::Restarting => CallOutcome::Waking { retry_after },
        RefusalKind::NotEnrolled => CallOutcome::NotEnrolled { retry_after },
        RefusalKind::EmptyReply => CallOutcome::DeliveredReplyLost,
        RefusalKind::ReplyLost if refusal.delivery_confirmed == Some(true) => CallOutcome::DeliveredReplyLost,
        RefusalKind::ReplyLost | RefusalKind::Agent => {
            CallOutcome::failed((!status.is_success()).then_some(status), message)
        }
        RefusalKind::MissingToken
        | RefusalKind::InvalidToken
        | RefusalKind::NotTheCaller
        | RefusalKind::BadRequest
        | RefusalKind::TooLarge
        | RefusalKind::Unavailable
        | RefusalKind::RateLimited
        | RefusalKind::Tenant => return None,
        // Kinds of a later `molecule-proto`, which the pinned versions exclude.
        _ => CallOutcome::failed(Some(status), message),
    })
}

/// Returns whether the answer is certainly the platform's own and about the caller: its bearer or its rate limit. A
/// peer can imitate a text, which then costs one read of the store. It cannot imitate the keys beside the text.
fn is_about_the_caller(answer: &Response<Bytes>) -> bool {
    let A2aAnswer::Refused(refusal) = A2aAnswer::read(answer.body()) else { return false };
    matches!(
        refusal.kind(answer.status()),
        RefusalKind::MissingToken | RefusalKind::InvalidToken | RefusalKind::NotTheCaller | RefusalKind::RateLimited
    )
}
