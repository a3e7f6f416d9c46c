//! Whose turn it is to get a token: one call of a session at a time.
//!
//! Of two tokens that the server makes, the older one may be dead by the time the newer one is there. Were both asked for
//! at once, the older one might be stored last.

use std::time::Duration;

use crate::machine::{Cx, Wake};

/// A call's place in the order of those that may get a token.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// The number of its turn, while it is its turn.
    number: Option<u64>,
    /// How often it asked in vain.
    waited: u32,
}

/// Who has the turn, if anybody has.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    taken: u64,
    holder: Option<u64>,
}

/// How long a call waits before it asks again: nobody tells it.
const PAUSE: Duration = Duration::from_millis(100);

/// A call that was dropped half-way (its runtime is gone) does not give its turn back. After so many limits of a call, and a
/// minute for the store, nobody has it any more. Counted in pauses, since a clock that leaps ahead ends no call.
const LIMITS: u32 = 3;

impl Turn {
    /// Takes the turn, or tells when to ask again.
    ///
    /// # Errors
    /// The wake, while another call has the turn.
    pub(crate) fn take(&mut self, cx: &mut Cx<'_>) -> Result<(), Wake> {
        let limit = cx.session.config().timeouts.call.saturating_mul(LIMITS) + Duration::from_secs(60);
        let patience = limit.as_millis() / PAUSE.as_millis();
        let turns = &mut cx.session.turns;
        if turns.holder.is_some() && turns.holder != self.number && u128::from(self.waited) < patience {
            self.waited += 1;
            return Err(Wake { at: cx.now.mono + PAUSE, why: "another call gets a token" });
        }
        if self.number.is_none() {
            turns.taken += 1;
            self.number = Some(turns.taken);
        }
        turns.holder = self.number;
        Ok(())
    }

    /// Gives the turn back, if it has it.
    pub(crate) fn give_back(&mut self, cx: &mut Cx<'_>) {
        if let Some(number) = self.number.take()
            && cx.session.turns.holder == Some(number)
        {
            cx.session.turns.holder = None;
        }
    }
}
