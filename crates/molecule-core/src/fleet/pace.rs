//! How often the agents of a fleet ask the platform, which has one limit for a whole organisation.

use std::time::Duration;

/// The intervals of each agent of a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetPace {
    /// The time between heartbeats: 30 s to 120 s, since the platform takes an agent for dead after 180 s.
    pub beat: Duration,
    /// The time between looks at the state: four heartbeats.
    pub state: Duration,
    /// Whether even the longest intervals ask more than six tenths of the limit.
    pub is_over: bool,
}

impl FleetPace {
    /// The intervals for this number of agents below one limit, in requests a minute: heartbeats take at most six tenths of it.
    pub fn new(agents: usize, limit: u32) -> Self {
        let budget = f64::from(limit.max(1)) * 0.6;
        let agents = u32::try_from(agents).unwrap_or(u32::MAX);
        let minutes = f64::from(agents) / budget;
        let beat = Duration::from_secs_f64((minutes * 60.0).clamp(30.0, 120.0));
        Self { beat, state: beat * 4, is_over: minutes > 2.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_17_intervals_stretch_with_the_number_of_agents() {
        for (agents, seconds, is_over) in
            [(0, 30, false), (1, 30, false), (180, 30, false), (360, 60, false), (720, 120, false), (721, 120, true)]
        {
            let pace = FleetPace::new(agents, 600);
            assert_eq!((pace.beat.as_secs(), pace.is_over), (seconds, is_over), "{agents}");
            assert_eq!(pace.state, pace.beat * 4);
        }
        assert!(FleetPace::new(usize::MAX, 0).is_over);
    }
}
