//! The exit codes, and the failures that lead to them.

use std::fmt;

use molecule_async::{Ended, Error, ErrorKind};
use serde_json::{Value, json};

use crate::remedy;

/// Everything went well.
pub(crate) const OK: u8 = 0;
/// Something failed that another try does not mend.
pub(crate) const ERROR: u8 = 1;
/// The arguments, the variables or the files of the configuration make no sense.
pub(crate) const USAGE: u8 = 2;
/// The token is missing or refused.
pub(crate) const UNAUTHORIZED: u8 = 3;
/// The workspace is paused.
pub(crate) const PAUSED: u8 = 4;
/// The workspace is deleted.
pub(crate) const DELETED: u8 = 5;
/// Another try may succeed; the number is `EX_TEMPFAIL` of `sysexits.h`.
pub(crate) const TRY_AGAIN: u8 = 75;

/// Why a command failed: a sentence, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    error: Option<Error>,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), error: None }
    }

    /// A failure of the configuration.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// The failure as JSON: `error` (the sentence), `exit`, and of a call `kind`, `operation`, `status`, `code`,
    /// `retry_after_secs` and `is_retryable`.
    pub(crate) fn json(&self) -> Value {
        let mut value = json!({ "error": self.message, "exit": self.code });
        let (Some(error), Some(object)) = (&self.error, value.as_object_mut()) else { return value };
        let facts = [
            ("kind", json!(error.kind().to_string())),
            ("operation", json!(error.operation())),
            ("status", json!(error.status().map(|status| status.as_u16()))),
            ("code", json!(error.code())),
            ("retry_after_secs", json!(error.retry_after().map(|wait| wait.as_secs_f64()))),
            ("is_retryable", json!(error.is_retryable())),
        ];
        object.extend(facts.map(|(key, fact)| (key.to_owned(), fact)));
        value
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { code: of_error(&error), message: remedy::sentence(&error), error: Some(error) }
    }
}

fn of_error(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Config => USAGE,
        ErrorKind::Unauthorized | ErrorKind::TokenNotHeld | ErrorKind::Revoked => UNAUTHORIZED,
        ErrorKind::Removed => DELETED,
        _ if error.is_retryable() => TRY_AGAIN,
        _ => ERROR,
    }
}

/// The exit code of a loop's end.
pub(crate) fn of_end(ended: Ended) -> u8 {
    match ended {
        Ended::Stopped => OK,
        Ended::Paused => PAUSED,
        Ended::Deleted => DELETED,
        Ended::Unauthorized => UNAUTHORIZED,
        _ => ERROR,
    }
}
