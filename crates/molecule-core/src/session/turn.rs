//! Whose turn it is to get a token: one call of a session at a time.
//!
//! Of two tokens that the server makes, the older one may be dead by the time the newer one is there. Were both asked for
//! at once, the older one might be stored last.

use std::sync::{Arc, Weak};
use std::time::Duration;

use molecule_proto::{Time, Wake};

use crate::session::Session;

/// A call's place in the order of those that may get a token. A call that is dropped half-way (its runtime ended, a callback
/// or a store panicked) gives its turn back with it.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    held: Option<Arc<()>>,
    /// How often it asked in vain.
    waited: u32,
}

/// Who has the turn, if anybody has.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    holder: Weak<()>,
}

/// How long a call waits before it asks again: nobody tells it.
const PAUSE: Duration = Duration::from_millis(100);

/// A call that is kept and never polled again holds its turn. After so many limits of a call, and a minute for the store, it
/// is passed over. Counted in pauses, since a clock that leaps ahead ends no call.
const LIMITS: u32 = 3;

impl Turn {
    /// Takes the turn, or tells when to ask again.
    ///
    /// # Errors
    /// The wake, while another call has the turn.
    pub(crate) fn take(&mut self, now: Time, session: &mut Session) -> Result<(), Wake> {
        let limit = session.config().timeouts.call.saturating_mul(LIMITS) + Duration::from_secs(60);
        let patience = limit.as_millis() / PAUSE.as_millis();
        let is_mine = |holder: &Arc<()>| self.held.as_ref().is_some_and(|held| Arc::ptr_eq(held, holder));
        let holder = session.turns.holder.upgrade();
        let at = now + PAUSE;
        // A clock at its very end wakes nobody any more.
        let can_wait = u128::from(self.waited) < patience && at > now;
        if holder.is_some_and(|holder| !is_mine(&holder)) && can_wait {
            self.waited += 1;
            return Err(Wake { at, why: "another call gets a token" });
        }
        session.turns.holder = Arc::downgrade(self.held.get_or_insert_default());
        Ok(())
    }

    /// Gives the turn back, if it has it.
    pub(crate) fn give_back(&mut self) {
        self.held = None;
    }
}
