//! The figures of the README's tables that no public value has, for the test that compares both.

use std::time::Duration;

use crate::session::Dialect;

/// The most requests of one call.
pub const REQUESTS: u32 = crate::call::retry::MAX_REQUESTS;
/// The ceiling of the first wait between two requests, and the highest ceiling.
pub const BACKOFF: (Duration, Duration) = (crate::call::retry::BASE, crate::call::retry::CAP);
/// The shortest and the longest wait that a server may ask for with `Retry-After`, in seconds.
pub const RETRY_AFTER: (u64, u64) = (crate::call::retry::LEAST_ASKED, crate::call::retry::MOST_ASKED);
/// The most bytes of a peer's reply.
pub const LONGEST_REPLY: u64 = crate::peer::LONGEST_REPLY;
/// The default limit of a wait for a delegation or a queued message.
pub const PATIENCE: Duration = crate::call::wait::PATIENCE;
/// The first and the longest wait between two polls, and the limit of the last poll.
pub const LOOKS: (Duration, Duration, Duration) =
    (crate::call::wait::FIRST, crate::call::wait::CAP, crate::call::wait::LAST_LOOK);
/// How many refused registers end the loop.
pub const STRIKES: u32 = crate::run::STRIKES;
/// A turn of the loop is early by up to its interval divided by this.
pub const EARLY: u32 = crate::run::EARLY;
/// How many windows of the server's rate limit a poll of the state may be delayed.
pub const WINDOWS_HELD: u32 = crate::run::WINDOWS_HELD;
/// The time limit of a plugin's download.
pub const DOWNLOAD: Duration = crate::plugin::DOWNLOAD;
/// The first wait before a message is offered again, and the longest one.
pub const HANDLER_BACKOFF: (Duration, Duration) = (crate::call::retry::BASE, crate::inbox::MAX_BACKOFF);
/// How long after its handler's first wish for another try a message is a dead letter.
pub const PUT_OFF_AT_MOST: Duration = crate::inbox::PUT_OFF_AT_MOST;
/// The most messages that wait for the handler.
pub const WAITING: usize = crate::inbox::MAX_WAITING;
/// The most dead letters, and the most bytes of them.
pub const DEAD_LETTERS: (usize, usize) = (crate::inbox::journal::MAX_DEAD, crate::inbox::journal::MAX_DEAD_BYTES);
/// The most rows and ids of messages that are known as handled.
pub const KNOWN_MESSAGES: usize = crate::inbox::journal::MAX_DONE;
/// The time after which a reply is given up.
pub const REPLY_GIVEN_UP: Duration = crate::inbox::GIVEN_UP_AFTER;
/// The most replies in a row.
pub const HOPS: u32 = crate::inbox::MOST_HOPS;
/// The most bytes of a text to people, and the most files beside it.
pub const NOTICE: (usize, usize) = (crate::inbox::LONGEST_NOTICE, crate::inbox::MOST_FILES);
/// The most bytes of the name under which a file of a message is saved.
pub const FILE_NAME: usize = crate::inbox::LONGEST_FILE_NAME;
/// The most files of this machine that go to people at a time, their most bytes, and the time limit of their upload.
pub const ATTACHED: (usize, u64, Duration) =
    (crate::effect::upload::MAX_FILES, crate::effect::upload::MAX_BYTES, crate::endpoint::UPLOAD);
/// The most bytes of the files of this machine in a message to a peer.
pub const INLINE: u64 = crate::inbox::MAX_INLINE;
/// The oldest message of a backlog.
pub const OLDEST: Duration = crate::config::inbox::OLDEST;

/// The time between checks whether the platform reaches the agent's server, and the first and the longest wait before another
/// try where it does not.
pub const REACH_CHECKS: (Duration, Duration, Duration) =
    (crate::run::CHECK_EVERY, crate::run::FIRST_RETRY, crate::run::LAST_RETRY);

/// How long an inbound secret stays good that was replaced.
pub const SECRET_GOOD: Duration = crate::session::credential::REPLACED_GOOD;

/// How long a row of the feed is left to its push, and the time between two reads of the feed beside a server.
pub const LEFT_TO_PUSH: (Duration, Duration) = (crate::inbox::PUSHED_WITHIN, crate::inbox::READ_BESIDE_PUSHES);

/// Returns the time without a good heartbeat after which the loop registers again.
pub fn absence(dialect: Dialect) -> Duration {
    crate::run::absence(Some(dialect))
}
