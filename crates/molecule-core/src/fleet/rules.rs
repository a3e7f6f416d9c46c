//! The rules by which a member trusts, suspects and counts. Everything that the safety of a fleet rests on and that is a matter
//! of judgement, not of sequence, is one method here.

use std::time::Duration;

use molecule_proto::{Now, Time, UnixTime};

use super::store::Revision;

/// The rules of a fleet. The defaults are the rules; only the simulator overrides one, to show that its invariants notice.
///
/// # Why they are safe
///
/// Let a renewal be accepted by the store at the moment *s*. Its sender began it at or before *s*, and trusts itself until 0.8
/// TTL after that beginning, so at most until *s* + 0.8 TTL. An observer sees the new revision at some *o* ≥ *s*, and suspects
/// at *o* + 1.1 TTL at the earliest. Between both lie 0.3 TTL. They are for clocks whose rates differ (a clock that is 10 % slow
/// makes 0.8 TTL last 0.89 TTL, one that is 10 % fast makes 1.1 TTL last 1 TTL) and for the time that a send which has begun
/// takes to end. No two clocks are ever compared.
///
/// A renewal that lands late makes a new revision. The observer's fence names the revision that it saw, so that one of the
/// two writes fails. If it is the renewal, its sender learns that it is fenced; if it is the fence, the member lives on.
pub trait Rules {
    /// Returns the beginning of the trusted window that a confirmed renewal opens: the moment before the request was sent.
    /// The answer proves only that the store took the renewal at some time after that.
    fn window_start(&self, sent: Now, _answered: Now) -> Now {
        sent
    }

    /// The same for a renewal whose answer was lost and which a read has found in the store.
    fn window_start_by_read(&self, sent: Now, _read: Now) -> Now {
        sent
    }

    /// Returns whether the trusted window is open: 0.8 TTL have not passed on either clock. The monotonic clock stands still
    /// while a computer sleeps, and the calendar clock may be set back; the one that shows more time counts, from each look at
    /// them to the next.
    fn trusts(&self, ttl: Duration, start: Now, now: Now) -> bool {
        now.since(start) < trusted(ttl)
    }

    /// Returns whether a member of which nothing was seen since that moment may be fenced: after 1.1 TTL.
    fn is_silent(&self, ttl: Duration, since: Time, now: Time) -> bool {
        now.since(since) >= silence(ttl)
    }

    /// Returns how long a member takes and reopens nothing after a connection was made: 1.1 TTL. By then nobody trusts
    /// anything that a store which went back has lost.
    fn grace(&self, ttl: Duration) -> Duration {
        silence(ttl)
    }

    /// Returns whether a gap in the observer's own view begins its count of silence anew.
    fn counts_own_gaps_apart(&self) -> bool {
        true
    }

    /// Returns whether a member reads its own key and the claims after a reconnect before it writes anything. A renewal
    /// would succeed in a store that went back, too.
    fn reads_after_reconnect(&self) -> bool {
        true
    }

    /// Returns whether the claims of a member may be taken only once its fence is confirmed.
    fn fences_before_taking(&self) -> bool {
        true
    }

    /// Returns the next epoch. It never repeats, also if the store lost the old one: time has passed meanwhile.
    fn next_epoch(&self, old: u64, _revision: Revision, now: UnixTime) -> u64 {
        let millis = now.as_secs().saturating_mul(1000).saturating_add(i64::from(now.subsec_nanos() / 1_000_000));
        old.saturating_add(1).max(u64::try_from(millis).unwrap_or(0))
    }

    /// Returns how far the whole workspace may acknowledge: as far as the part that is furthest behind. `None` while a part
    /// has no cursor.
    fn acknowledged(&self, cursors: &[Option<u64>]) -> Option<u64> {
        cursors.iter().copied().collect::<Option<Vec<_>>>()?.into_iter().min()
    }
}

/// The rules as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standard;

impl Rules for Standard {}

/// How long a renewal is trusted.
pub(super) fn trusted(ttl: Duration) -> Duration {
    ttl * 4 / 5
}

/// How long nothing must be seen of a member before it is fenced.
pub(super) fn silence(ttl: Duration) -> Duration {
    ttl * 11 / 10
}

/// The time from one renewal to the next, and from one look at the members to the next.
pub(super) fn renewal(ttl: Duration) -> Duration {
    ttl / 3
}

/// The longest time between two looks at the members in which silence is counted.
pub(super) fn look_gap(ttl: Duration) -> Duration {
    ttl / 2
}

/// The time after which a request without a useful answer is made again.
pub(super) fn again(ttl: Duration) -> Duration {
    ttl / 24
}
