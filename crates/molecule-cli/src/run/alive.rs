//! Whether the loop of an agent turns: what `/livez` and a service manager's watchdog ask for.
//!
//! A loop that turns sends requests, whether they are answered or not. So an outage of the platform looks alive, and a loop
//! that hangs does not.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use molecule_async::Agent;

/// The longest time between two requests of a loop that turns: twice the longest interval of heartbeats, and the time for
/// which a rate limit may hold them back.
const LONGEST: Duration = Duration::from_secs(2 * 60 + 5 * 60);

/// Watches one agent.
pub(super) struct Alive {
    agent: Agent,
    /// The number of requests, and since when it is that.
    seen: Mutex<(u64, Instant)>,
}

impl Alive {
    pub(super) fn new(agent: Agent) -> Self {
        Self { agent, seen: Mutex::new((0, Instant::now())) }
    }

    pub(super) fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Returns whether the loop turns. It is to be asked every few minutes, or more often.
    pub(super) fn is_alive(&self) -> bool {
        is_alive(
            &mut self.seen.lock().unwrap_or_else(PoisonError::into_inner),
            self.agent.health().counters.requests,
            Instant::now(),
        )
    }
}

fn is_alive(seen: &mut (u64, Instant), requests: u64, now: Instant) -> bool {
    if seen.0 != requests {
        *seen = (requests, now);
    }
    now.saturating_duration_since(seen.1) <= LONGEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_sends_nothing_for_long_does_not_turn() {
        let start = Instant::now();
        let mut seen = (0, start);
        assert!(is_alive(&mut seen, 0, start + LONGEST));
        assert!(!is_alive(&mut seen, 0, start + LONGEST + Duration::from_secs(1)));
        assert!(is_alive(&mut seen, 1, start + LONGEST + Duration::from_secs(2)));
        assert!(is_alive(&mut seen, 1, start + LONGEST * 2));
        assert!(!is_alive(&mut seen, 1, start + LONGEST * 2 + Duration::from_secs(3)));
    }
}
