//! The turn to get a token: one call of a session at a time.
//!
//! When the server makes two tokens, the older one may be revoked before the newer one arrives. If two calls asked at
//! the same time, the older token might be stored last.

use std::sync::{Arc, Weak};
use std::time::Duration;

use molecule_proto::{Time, Wake};

use crate::session::Session;

/// A call's claim to the turn. A call that is dropped half-way (its runtime ended, a callback or a store panicked)
/// releases the turn with it.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    held: Option<Arc<()>>,
    /// How often the call asked while another one had the turn.
    waited: u32,
}

/// The holder of the turn, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    holder: Weak<()>,
}

/// How long a call waits before it asks again, since it gets no notice.
const PAUSE: Duration = Duration::from_millis(100);

/// A call that is neither dropped nor polled again keeps its turn. Other calls pass it over after this many times the
/// limit of a call, plus one minute for the store. They count their pauses, so that a clock that jumps ahead ends no
/// turn.
const LIMITS: u32 = 3;

impl Turn {
    /// Takes the turn, or returns when to ask again.
    ///
    /// # Errors
    /// The wake, while another call has the turn.
    pub(crate) fn take(&mut self, now: Time, session: &mut Session) -> Result<(), Wake> {
        let limit = session.config().timeouts.call.saturating_mul(LIMITS) + Duration::from_secs(60);
        let patience = limit.as_millis() / PAUSE.as_millis();
        let is_mine = |holder: &Arc<()>| self.held.as_ref().is_some_and(|held| Arc::ptr_eq(held, holder));
        let holder = session.turns.holder.upgrade();
        let at = now + PAUSE;
        // At the end of the clock's range no wake is later than now.
        let can_wait = u128::from(self.waited) < patience && at > now;
        if holder.is_some_and(|holder| !is_mine(&holder)) && can_wait {
            self.waited += 1;
            return Err(Wake { at, why: "another call gets a token" });
        }
        session.turns.holder = Arc::downgrade(self.held.get_or_insert_default());
        Ok(())
    }

    /// Releases the turn, if this call has it.
    pub(crate) fn give_back(&mut self) {
        self.held = None;
    }
}
