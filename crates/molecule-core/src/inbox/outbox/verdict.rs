//! What the outcome of a call means for the reply that it carried.

use std::time::Duration;

use molecule_proto::{PostedAnswer, WorkspaceStatus};

use super::flight::Prepared;
use crate::error::{Error, ErrorKind, Result};
use crate::event::ReplyEnd;
use crate::peer::CallOutcome;
use crate::session::Dialect;

/// What the outcome of a call means for the reply that it carried.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// The reply came to its end.
    End(ReplyEnd),
    /// The reply is sent again after a wait: nothing was delivered, or the receiver knows the message by its id.
    Again {
        /// The wait that the answer asked for.
        after: Option<Duration>,
        /// The longest wait.
        cap: Duration,
        why: String,
    },
    /// The peer may have the reply already, and each try leaves a row in its feed: the reply is sent again rarely, and
    /// the others to this peer do not wait for it.
    MayHaveArrived(String),
    /// The notice may have arrived: the feed tells.
    Doubt {
        /// The wait that the answer asked for.
        after: Option<Duration>,
        why: String,
    },
    /// The files of the reply are ready to be sent.
    Prepared(Prepared),
    /// The call was cancelled.
    Cancelled,
}

/// The longest wait between two tries of a reply.
const CAP: Duration = Duration::from_secs(300);

/// The longest wait where a try is of little use soon, or leaves a row in the receiver's feed.
pub(super) const RARELY: Duration = Duration::from_secs(3600);

/// Judges the call that carried a reply to a peer.
pub(super) fn of_call(called: Result<CallOutcome>, dialect: Option<Dialect>) -> Verdict {
    let outcome = match called {
        Ok(outcome) => outcome,
        Err(error) => return of_error(&error),
    };
    let why = outcome.to_string();
    let again = |after, cap| Verdict::Again { after, cap, why: why.clone() };
    match outcome {
        CallOutcome::Replied(_)
        | CallOutcome::AcceptedForPoll
        | CallOutcome::AnswerLater
        | CallOutcome::DeliveredReplyLost => Verdict::End(ReplyEnd::Delivered),
        CallOutcome::Queued { .. } => Verdict::End(ReplyEnd::Queued),
        CallOutcome::Busy { retry_after, .. }
        | CallOutcome::Waking { retry_after }
        | CallOutcome::NotEnrolled { retry_after } => again(retry_after, CAP),
        // April's server writes a row for each try: a peer that polls there has the reply already, and the others are
        // down.
        CallOutcome::Unreachable if dialect == Some(Dialect::April) => Verdict::MayHaveArrived(why),
        CallOutcome::Unreachable => again(None, CAP),
        // Its budget is filled again within the hour, the day or the month.
        CallOutcome::OverBudget => again(None, RARELY),
        CallOutcome::NoUrl { status: Some(WorkspaceStatus::Removed) }
        | CallOutcome::NotFound
        | CallOutcome::Denied { .. } => Verdict::End(ReplyEnd::Refused(why)),
        // A peer that is paused, or is about to register another URL.
        CallOutcome::NoUrl { .. } | CallOutcome::UnsafeUrl => again(None, CAP),
        CallOutcome::PeerError { status: Some(status), code: None, .. }
            if status.is_server_error() || status.as_u16() == 429 =>
        {
            again(None, CAP)
        }
        // The peer has the reply, and does not take it.
        CallOutcome::PeerError { .. } => Verdict::End(ReplyEnd::Refused(why)),
    }
}

/// Judges the preparation of a reply's files, which may be repeated.
pub(super) fn of_preparation(prepared: Result<Prepared>) -> Verdict {
    prepared.map_or_else(|error| of_error(&error), Verdict::Prepared)
}

/// Judges the request that carried a notice.
pub(super) fn of_notify(sent: Result<PostedAnswer>) -> Verdict {
    match sent {
        Ok(_) => Verdict::End(ReplyEnd::Delivered),
        Err(error) if error.kind() != ErrorKind::Cancelled && error.may_have_acted() => {
            Verdict::Doubt { after: error.retry_after(), why: error.to_string() }
        }
        Err(error) => of_error(&error),
    }
}

/// Judges an error after which the message can be sent again under its id, or was certainly not sent.
fn of_error(error: &Error) -> Verdict {
    match error.kind() {
        ErrorKind::Cancelled => Verdict::Cancelled,
        // The same request is refused again.
        ErrorKind::Config
        | ErrorKind::Refused
        | ErrorKind::NotFound
        | ErrorKind::Unsupported
        | ErrorKind::Expired
        | ErrorKind::PluginRefused => Verdict::End(ReplyEnd::Refused(error.to_string())),
        // These pass, or an owner mends them. A dead credential and a deletion end the loop, which keeps the reply.
        ErrorKind::Storage
        | ErrorKind::Handler
        | ErrorKind::Locked
        | ErrorKind::Unreachable
        | ErrorKind::Timeout
        | ErrorKind::Interrupted
        | ErrorKind::Tls
        | ErrorKind::Protocol
        | ErrorKind::TooLarge
        | ErrorKind::Redirected
        | ErrorKind::Routing
        | ErrorKind::OriginRefused
        | ErrorKind::Unauthorized
        | ErrorKind::TokenNotHeld
        | ErrorKind::Revoked
        | ErrorKind::TokenNotSaved
        | ErrorKind::Removed
        | ErrorKind::NotCreated
        | ErrorKind::RateLimited
        | ErrorKind::Unavailable => Verdict::Again { after: error.retry_after(), cap: CAP, why: error.to_string() },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::StatusCode;
    use molecule_proto::Reply;

    use super::*;

    const ASKED: Option<Duration> = Some(Duration::from_secs(7));

    fn word(verdict: &Verdict) -> String {
        match verdict {
            Verdict::End(ReplyEnd::Refused(_)) => "refused".to_owned(),
            Verdict::End(end) => end.to_string(),
            Verdict::Again { after, cap, .. } => {
                format!("again after {:?} at most {}", after.map(|after| after.as_secs()), cap.as_secs())
            }
            Verdict::MayHaveArrived(_) => "may have arrived".to_owned(),
            Verdict::Doubt { after, .. } => format!("doubt, after {:?}", after.map(|after| after.as_secs())),
            Verdict::Prepared(_) => "prepared".to_owned(),
            Verdict::Cancelled => "cancelled".to_owned(),
        }
    }

    #[test]
    fn every_outcome_of_a_call_is_an_end_or_another_try() {
        let denied = || CallOutcome::Denied { message: "access denied".to_owned() };
        let failed = |code, status: Option<u16>| CallOutcome::PeerError {
            code,
            status: status.map(|status| StatusCode::from_u16(status).unwrap()),
            message: "no".to_owned(),
            data: None,
        };
        for (outcome, expected) in [
            (CallOutcome::Replied(Reply::Text("thanks".to_owned())), "delivered"),
            (CallOutcome::AcceptedForPoll, "delivered"),
            (CallOutcome::AnswerLater, "delivered"),
            (CallOutcome::DeliveredReplyLost, "delivered"),
            (CallOutcome::Queued { queue_id: None, depth: None }, "queued"),
            (CallOutcome::Busy { retry_after: ASKED, message_id: String::new() }, "again after Some(7) at most 300"),
            (CallOutcome::Waking { retry_after: ASKED }, "again after Some(7) at most 300"),
            (CallOutcome::NotEnrolled { retry_after: None }, "again after None at most 300"),
            (CallOutcome::Unreachable, "again after None at most 300"),
            (CallOutcome::UnsafeUrl, "again after None at most 300"),
            (CallOutcome::OverBudget, "again after None at most 3600"),
            (CallOutcome::NoUrl { status: Some(WorkspaceStatus::Paused) }, "again after None at most 300"),
            (CallOutcome::NoUrl { status: None }, "again after None at most 300"),
            (CallOutcome::NoUrl { status: Some(WorkspaceStatus::Removed) }, "refused"),
            (CallOutcome::NotFound, "refused"),
            (denied(), "refused"),
            (failed(Some(-32601), None), "refused"),
            (failed(None, None), "refused"),
            (failed(None, Some(400)), "refused"),
            (failed(None, Some(503)), "again after None at most 300"),
            (failed(None, Some(429)), "again after None at most 300"),
        ] {
            let shown = format!("{outcome:?}");
            assert_eq!(word(&of_call(Ok(outcome), Some(Dialect::Current))), expected, "{shown}");
        }
        let april = of_call(Ok(CallOutcome::Unreachable), Some(Dialect::April));
        assert_eq!(word(&april), "may have arrived");
    }

    #[test]
    fn an_error_ends_a_reply_only_if_the_same_request_is_refused_again() {
        let error = |kind| Error::new(kind, "notify", "so").with_retry_after(ASKED);
        for (kind, expected) in [
            (ErrorKind::Config, "refused"),
            (ErrorKind::Refused, "refused"),
            (ErrorKind::Timeout, "again after Some(7) at most 300"),
            (ErrorKind::Unauthorized, "again after Some(7) at most 300"),
            (ErrorKind::RateLimited, "again after Some(7) at most 300"),
            (ErrorKind::Routing, "again after Some(7) at most 300"),
            (ErrorKind::Cancelled, "cancelled"),
        ] {
            assert_eq!(word(&of_call(Err(error(kind)), None)), expected, "{kind}");
            assert_eq!(word(&of_notify(Err(error(kind)))), expected, "{kind}");
        }
        let lost = || error(ErrorKind::Interrupted).with_may_have_acted(true);
        assert_eq!(word(&of_notify(Err(lost()))), "doubt, after Some(7)");
        // A peer knows the message by its id.
        assert_eq!(word(&of_call(Err(lost()), None)), "again after Some(7) at most 300");
    }
}
