//! Serializers of values whose own serialized form does not suit a log record.

use std::time::Duration;

use http::StatusCode;
use serde::Serializer;

/// Serializes a duration as a number of seconds.
pub(crate) fn seconds<S: Serializer>(wait: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(wait.as_secs_f64())
}

/// Serializes a duration as a number of seconds, `None` as null.
pub(crate) fn maybe_seconds<S: Serializer>(wait: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match wait {
        Some(wait) => seconds(wait, serializer),
        None => serializer.serialize_none(),
    }
}

/// Serializes a status as its number, `None` as null.
pub(crate) fn maybe_status<S: Serializer>(status: &Option<StatusCode>, serializer: S) -> Result<S::Ok, S::Error> {
    match status {
        Some(status) => serializer.serialize_u16(status.as_u16()),
        None => serializer.serialize_none(),
    }
}
