//! Invariant: a machine returns few steps without input, and an idle machine has something to wait for.

use molecule_core::machine::MAX_STEPS;

use super::{Invariant, KnownSecrets};
use crate::job::JobKind;
use crate::trace::{Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug)]
pub(crate) struct StepsAreBounded;

impl Invariant for StepsAreBounded {
    fn name(&self) -> &'static str {
        "steps are bounded"
    }

    fn sentence(&self) -> &'static str {
        "a machine gives at most 64 steps without input, rests without a wake only while something is in flight, and wants to \
         be woken only later; none waits for its turn to get a token while no machine has the turn"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        match sight.seen {
            TraceEvent::Raced => Err(format!("more than {MAX_STEPS} steps")),
            // A server rests until it is called.
            TraceEvent::Rested { wake: None, in_flight: 0, .. } if sight.who.kind != JobKind::Serve => {
                Err("it rests for ever".to_owned())
            }
            TraceEvent::Rested { wake: Some(wake), .. } if wake <= sight.clock.mono => {
                Err(format!("it wants to be woken {:?} ago", sight.clock.mono.since(wake)))
            }
            TraceEvent::Rested { in_vain: true, .. } => Err("it waits for a turn that nobody has".to_owned()),
            _ => Ok(()),
        }
    }
}
