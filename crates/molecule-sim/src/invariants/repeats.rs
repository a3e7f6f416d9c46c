//! Invariant: a request that may be handled only once is not repeated.

use std::collections::BTreeMap;

use molecule_core::effect::Sent;

use super::{Invariant, KnownSecrets, is_dead};
use crate::trace::{OutcomeRecord, Sight, TraceEvent, Who};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct NothingIsDoneTwice {
    /// Requests that may have arrived, by machine and route.
    maybe: BTreeMap<(Who, Route), String>,
    /// How often the server handled each.
    done: BTreeMap<(Who, Route), u32>,
}

impl Invariant for NothingIsDoneTwice {
    fn name(&self) -> &'static str {
        "nothing is done twice"
    }

    fn sentence(&self) -> &'static str {
        "a request that may have arrived is not sent again unless its endpoint says that it may, and the server does once \
         what it must do once"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        match &sight.seen {
            TraceEvent::Asked(ask) => {
                if let Some(route) = ask.route
                    && let Some(became) = self.maybe.get(&(sight.who, route))
                {
                    return Err(format!("{} again, after {became}", ask.printed));
                }
            }
            TraceEvent::Landed(landing, _) => {
                if let Some(route) = landing.ask.as_ref().and_then(|ask| ask.route)
                    && route.acts_each_time()
                    && may_have_arrived(landing)
                {
                    self.maybe.insert((sight.who, route), landing.printed.clone());
                }
            }
            TraceEvent::Answered(ask, status, _) => {
                if let Some(route) = ask.route
                    && route.acts_each_time()
                    && status.is_success()
                {
                    let times = self.done.entry((sight.who, route)).or_default();
                    *times += 1;
                    if *times > 1 {
                        return Err(format!("the server did {} for the {times}th time", ask.printed));
                    }
                }
            }
            seen if is_dead(seen) => {
                self.maybe.retain(|(who, _), _| who.process != sight.who.process);
                self.done.retain(|(who, _), _| who.process != sight.who.process);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Returns whether the server may have handled a request with this outcome. It has not after a 401, nor after the
/// platform's own 429 or its 503 with a code. Any other 503 may come from a gateway that passed the request on.
pub(super) fn may_have_arrived(landing: &OutcomeRecord) -> bool {
    match (landing.status.map(|status| status.as_u16()), landing.fault) {
        (Some(401), _) => false,
        (Some(429), _) => landing.error.as_deref() != Some("rate limit exceeded"),
        (Some(503), _) => !landing.unavailable,
        (Some(_), _) => true,
        (None, Some((sent, _))) => sent == Sent::Maybe,
        (None, None) => false,
    }
}
