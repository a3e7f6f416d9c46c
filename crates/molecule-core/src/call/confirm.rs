//! Whether a refusal of the bearer is one: the open view tells, which needs no bearer.
//!
//! While their database is down both servers say of good tokens what they say of dead ones, and answer the open view with 500
//! (contract section 7.3).

use crate::endpoint::Existence;
use crate::error::{Error, ErrorKind, Result};

/// What is doubted until the view has told.
#[derive(Debug)]
pub(crate) enum Doubted<A> {
    /// A 401.
    Refusal(Error),
    /// An answer that the platform may give because it cannot look anything up.
    Answer(Result<A>),
}

/// What the view makes of it.
#[derive(Debug)]
pub(crate) enum Confirmation {
    /// It holds.
    Holds,
    /// The call failed for another reason.
    Failed(Error),
    /// Nobody knows, and it may be asked again.
    Unclear(Error),
}

impl Confirmation {
    /// Judges what an operation was answered by what the view told.
    pub(crate) fn of(operation: &'static str, view: Result<Existence>) -> Self {
        match view {
            Ok(Existence::Present(_)) => Self::Holds,
            Ok(Existence::Removed | Existence::NotFound) => Self::Failed(
                Error::new(ErrorKind::Removed, operation, "the workspace was deleted")
                    .remedy("create a new one on the platform and use its id"),
            ),
            Err(view) if view.kind() == ErrorKind::Cancelled => Self::Failed(view.during(operation)),
            Err(view) if is_down(&view) => Self::Unclear(unclear(operation, &view)),
            // Something before the platform answers the view, and no platform that is away.
            Err(_) => Self::Holds,
        }
    }
}

/// Whether the platform, or what it needs, is away for now.
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
