//! A heartbeat loop on a thread of its own.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use molecule_core::{Ended, Result};

use crate::facade::{Agent, Stopper};
use crate::log::PATIENCE;

/// The time at which a loop's method returned, and its result.
type LoopEnd = (Instant, Result<Ended>);

/// A running loop; dropping it stops the loop.
#[derive(Debug)]
pub struct RunningLoop {
    stopper: Stopper,
    /// `None` once the result was taken.
    end: Option<Receiver<LoopEnd>>,
}

impl RunningLoop {
    pub(crate) fn start(agent: &Agent) -> Self {
        Self::start_by(agent, Agent::run_heartbeat_loop)
    }

    pub(crate) fn start_by(agent: &Agent, run: impl FnOnce(&Agent) -> Result<Ended> + Send + 'static) -> Self {
        let stopper = agent.stopper();
        let (sender, end) = channel();
        let agent = agent.clone();
        thread::spawn(move || {
            let result = run(&agent);
            // Nobody receives the result if the scenario has failed.
            let _ = sender.send((Instant::now(), result));
        });
        Self { stopper, end: Some(end) }
    }

    /// Waits for at most [`PATIENCE`] until the loop ends, and returns its result.
    ///
    /// # Errors
    /// The error that ended the loop.
    ///
    /// # Panics
    /// If it does not end.
    pub fn ended(mut self) -> Result<Ended> {
        self.end().1
    }

    /// Stops the loop; returns how long its method took to return.
    ///
    /// # Panics
    /// If it does not end, or not because it was stopped.
    pub fn stop(self) -> Duration {
        self.stopped_by(Stopper::stop)
    }

    /// Stops the loop at once; returns how long its method took to return.
    ///
    /// # Panics
    /// If it does not end, or not because it was stopped.
    pub fn stop_now(self) -> Duration {
        self.stopped_by(Stopper::stop_now)
    }

    /// Checks that the loop has not ended yet.
    ///
    /// # Panics
    /// If it has; the message contains the result.
    pub fn assert_running(&self) {
        if let Some(Ok((_, result))) = self.end.as_ref().map(Receiver::try_recv) {
            panic!("the loop ended: {result:?}");
        }
    }

    fn stopped_by(mut self, stop: impl FnOnce(&Stopper)) -> Duration {
        self.assert_running();
        let before = Instant::now();
        stop(&self.stopper);
        let (at, result) = self.end();
        assert!(matches!(result, Ok(Ended::Stopped)), "the loop was stopped, but ended with {result:?}");
        at.saturating_duration_since(before)
    }

    fn end(&mut self) -> LoopEnd {
        let ended = self.end.as_ref().map(|end| end.recv_timeout(PATIENCE));
        let end = ended.expect("an end is taken once").expect("the loop ends in time");
        self.end = None;
        end
    }
}

impl Drop for RunningLoop {
    fn drop(&mut self) {
        // The stop is a latch of the agent, and the agent may run another loop later: so only a loop that has not ended
        // is stopped.
        if let Some(end) = self.end.take() {
            self.stopper.stop_now();
            // Waits a moment, so that the world outlives the loop.
            let _ = end.recv_timeout(Duration::from_secs(1));
        }
    }
}
