//! The guards of a flow, which release a turn, a lock or the session on every way out.

use std::future::poll_fn;
use std::task::Poll;

use molecule_proto::Now;

use super::shared::Shared;
use crate::effect::LockId;
use crate::session::Session;
use crate::session::turn::Turn;

/// The turn to get a token. A drop releases it.
pub(crate) struct TurnGuard {
    pub(super) _turn: Turn,
    pub(super) shared: Shared,
}

impl Drop for TurnGuard {
    fn drop(&mut self) {
        self.shared.lock().has_turn = false;
    }
}

/// A lock that the host holds for this flow. After a drop, the lock is released before the flow's next wait begins and
/// before its end, and the flow goes on once that is done. If the guard is dropped with the flow, the lock ends with
/// the flow's driver.
pub(crate) struct LockGuard {
    pub(super) lock: LockId,
    pub(super) shared: Shared,
}

impl LockGuard {
    /// Releases the lock, and waits until that is done. After a plain drop the code runs on to its next wait first, and
    /// does not notice a cancel that came meanwhile.
    pub(crate) async fn give_back(self) {
        let shared = self.shared.clone();
        drop(self);
        poll_fn(|_| {
            let inner = shared.lock();
            if inner.returned.is_empty() && inner.unlocking.is_none() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.shared.lock().returned.push(self.lock);
    }
}

/// The session during [`Line::with`](super::line::Line::with). It is given back even if that panics.
pub(super) struct Held<'a> {
    pub(super) shared: &'a Shared,
    pub(super) now: Now,
    pub(super) session: Option<Session>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.shared.lock().lent = self.session.take().map(|session| (self.now, session));
    }
}

/// The place to which the session returns after a poll of the future, even if that panics.
pub(super) struct Back<'a> {
    pub(super) shared: &'a Shared,
    pub(super) place: &'a mut Session,
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        if let Some((_, session)) = self.shared.lock().lent.take() {
            *self.place = session;
        }
    }
}
