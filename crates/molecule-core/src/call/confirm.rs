//! The confirmation of a refused bearer by the open view, which needs no bearer.
//!
//! While their database is down, both servers answer a good token as they answer a dead one, and the open view with 500
//! (contract section 7.3).

use crate::endpoint::Existence;
use crate::error::{Error, ErrorKind, Result};

/// What the view has to confirm.
#[derive(Debug)]
pub(crate) enum Doubted<A> {
    /// A 401.
    Refusal(Error),
    /// An answer that the platform may give only because its database is down.
    Answer(Result<A>),
}

/// What the view's answer says about it.
#[derive(Debug)]
pub(crate) enum Confirmation {
    /// The refusal or the answer is right.
    Holds,
    /// The call failed for another reason.
    Failed(Error),
    /// The view gives no answer for now, and the call may be tried again.
    Unclear(Error),
}

impl Confirmation {
    /// Judges the answer of an operation by the answer of the view.
    pub(crate) fn of(operation: &'static str, view: Result<Existence>) -> Self {
        match view {
            Ok(Existence::Present(_)) => Self::Holds,
            Ok(Existence::Removed | Existence::NotFound) => Self::Failed(
                Error::new(ErrorKind::Removed, operation, "the workspace was deleted")
                    .remedy("create a new one on the platform and use its id"),
            ),
            Err(view) if view.kind() == ErrorKind::Cancelled => Self::Failed(view.during(operation)),
            Err(view) if is_down(&view) => Self::Unclear(unclear(operation, &view)),
            // A gateway answers the view, or the answer is odd: neither shows that the platform is down.
            Err(_) => Self::Holds,
        }
    }
}

/// Returns whether the platform, or what it depends on, is down for now.
fn is_down(view: &Error) -> bool {
    matches!(
        view.kind(),
        ErrorKind::Unavailable
            | ErrorKind::RateLimited
            | ErrorKind::Unreachable
            | ErrorKind::Timeout
            | ErrorKind::Interrupted
    )
}

fn unclear(operation: &'static str, view: &Error) -> Error {
    let told = view.status().map_or_else(|| "cannot be asked".to_owned(), |status| format!("answers {status}"));
    let cause = format!("the bearer was refused while the open view, which needs none, {told}");
    let error = Error::new(ErrorKind::Unavailable, operation, cause)
        .with_body(view.code(), view.server_message())
        .with_retry_after(view.retry_after())
        .retryable(true)
        .remedy("try again later: the platform's database may be down, which says nothing about the token");
    match view.status() {
        Some(status) => error.with_status(status),
        None => error,
    }
}
