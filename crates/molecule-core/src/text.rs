//! What every room says: remedies, and how values are written where their own form would not do.

pub(crate) mod record;
pub(crate) mod remedy;
