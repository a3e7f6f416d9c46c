//! Invariant: agents that answer each other come to an end.

use std::collections::BTreeMap;

use super::messages::Answer;
use super::{Invariant, KnownSecrets};
use crate::trace::{Sight, TraceEvent};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct ExchangesEnd {
    /// By message id: how many replies led to the message, itself included.
    hops: BTreeMap<String, u32>,
}

/// A message that eight replies led to is the last one that is answered.
const MOST: u32 = 9;

impl Invariant for ExchangesEnd {
    fn name(&self) -> &'static str {
        "exchanges end"
    }

    fn sentence(&self) -> &'static str {
        "an exchange of agents that answer each other ends after nine replies in a row"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let TraceEvent::Asked(ask) = &sight.seen else { return Ok(()) };
        let Some(answer) = Answer::of(sight.who.kind, ask).filter(|_| ask.route == Some(Route::A2a)) else {
            return Ok(());
        };
        let hops = 1 + self.hops.get(&answer.in_reply_to).copied().unwrap_or_default();
        self.hops.insert(answer.message_id, hops);
        if hops > MOST { Err(format!("{} is answered by the {hops}th reply in a row", answer.row)) } else { Ok(()) }
    }
}
