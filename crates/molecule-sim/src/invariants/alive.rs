//! Invariant: requests that are not repeated use no connection that may be dead.

use std::time::Duration;

use super::{Invariant, KnownSecrets};
use crate::trace::{Sight, TraceEvent};
use crate::weather::Route;

/// The longest time since the last answer on such a connection.
const WITHIN: Duration = Duration::from_secs(5);

/// See [`Invariant::sentence`].
#[derive(Debug)]
pub(crate) struct SentOnceSentAlive;

impl Invariant for SentOnceSentAlive {
    fn name(&self) -> &'static str {
        "what is sent once is sent alive"
    }

    fn sentence(&self) -> &'static str {
        "a request that is not repeated, or that may take minutes, goes onto a connection that was heard within 5 s, or onto a \
         new one"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let TraceEvent::Asked(ask) = &sight.seen else { return Ok(()) };
        let is_once = matches!(ask.route, Some(Route::Rotate | Route::Mint | Route::A2a | Route::Direct));
        match ask.dead {
            Some(idle) if is_once && idle >= WITHIN => {
                Err(format!("{} goes onto a dead connection that was heard {idle:?} before", ask.printed))
            }
            _ => Ok(()),
        }
    }
}
