//! A loop with its agent and its platform.

use std::time::Duration;

use molecule_core::machines::Run;
use molecule_core::proto::Time;
use molecule_core::{Ended, Event, OnPause, Options, Result};

use super::agent::{Agent, secret};
use super::drive::{Driven, Next};
use super::platform::Platform;

/// A running loop.
pub struct Looped {
    pub agent: Agent,
    pub platform: Platform,
    pub driven: Driven<Run>,
    pub began: Time,
}

impl Looped {
    pub fn new(agent: Agent, platform: Platform) -> Self {
        Self { began: agent.now.mono, agent, platform, driven: Driven::new(Run::new()) }
    }

    /// The loop of an agent with a live stored token and these options.
    pub fn with(options: Options, platform: Platform) -> Self {
        let mut agent = Agent::with(options, 7);
        agent.store.token = Some(secret("first"));
        Self::new(agent, platform)
    }

    /// The same loop with the usual options.
    pub fn usual(platform: Platform) -> Self {
        Self::with(Agent::options(), platform)
    }

    /// A loop that goes on while the workspace is paused.
    pub fn waiting(platform: Platform) -> Self {
        Self::with(Agent::options().on_pause(OnPause::Wait), platform)
    }

    /// Lets this time pass. Returns whether the loop goes on.
    pub fn go(&mut self, time: Duration) -> bool {
        let Self { agent, platform, driven, .. } = self;
        let end = driven.drive_for(agent, time, &mut |seen| platform.serve(seen));
        matches!(end, Next::Later)
    }

    /// The loop's result. Panics if the loop does not end within a day.
    pub fn end(&mut self) -> Result<Ended> {
        assert!(!self.go(Duration::from_secs(86_400)), "no end");
        self.driven.done.take().unwrap()
    }

    /// Asserts that the loop still runs after this time.
    pub fn on(&mut self, time: Duration) {
        assert!(self.go(time), "ended: {:?}\n{}", self.driven.done, self.agent.take_trace());
    }

    /// Raises the session's stop latch.
    pub fn stop(&mut self, now: bool) {
        self.agent.session.raise_stop(now);
    }

    /// The events since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.driven.events)
    }

    /// The gaps between the requests of one kind, in seconds.
    pub fn gaps(&self, what: &str) -> Vec<f64> {
        let times = self.platform.times(what);
        times.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect()
    }

    /// How often this request was sent since `moment`.
    pub fn since(&self, what: &str, moment: Time) -> usize {
        self.platform.times(what).into_iter().filter(|at| *at >= moment).count()
    }
}
