//! The figures that README's tables tell and that no public value has, for the test that compares both.

use std::time::Duration;

use crate::session::Dialect;

/// Requests of one call.
pub const REQUESTS: u32 = crate::call::retry::MAX_REQUESTS;
/// The ceiling of the first wait between them, and the highest.
pub const BACKOFF: (Duration, Duration) = (crate::call::retry::BASE, crate::call::retry::CAP);
/// What a server may ask for with `Retry-After`, in seconds.
pub const RETRY_AFTER: (u64, u64) = (crate::call::retry::LEAST_ASKED, crate::call::retry::MOST_ASKED);
/// The most bytes of a peer's reply.
pub const LONGEST_REPLY: u64 = crate::peer::LONGEST_REPLY;
/// How long a delegation or a queued message is waited for.
pub const PATIENCE: Duration = crate::call::wait::PATIENCE;
/// The first wait between two looks, the longest, and what the last look may take.
pub const LOOKS: (Duration, Duration, Duration) =
    (crate::call::wait::FIRST, crate::call::wait::CAP, crate::call::wait::LAST_LOOK);
/// How many refused registers end the loop.
pub const STRIKES: u32 = crate::run::STRIKES;
/// A turn of the loop comes early by up to this part of its interval.
pub const EARLY: u32 = crate::run::EARLY;
/// How many windows of the server's rate limit a look at the state is held back at most.
pub const WINDOWS_HELD: u32 = crate::run::WINDOWS_HELD;
/// How long a plugin's download may take.
pub const DOWNLOAD: Duration = crate::plugin::DOWNLOAD;

/// After how long without a good beat the loop registers again.
pub fn absence(dialect: Dialect) -> Duration {
    crate::run::absence(Some(dialect))
}
