//! Text that all rooms share: remedies, and the form of values in log records.

pub(crate) mod record;
pub(crate) mod remedy;
