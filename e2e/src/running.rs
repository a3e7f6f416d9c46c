//! A heartbeat loop on a thread of its own.

use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use molecule_core::{Ended, Result};

use crate::facade::{Agent, Stopper};
use crate::log::PATIENCE;

/// A loop that runs; dropping it stops it.
#[derive(Debug)]
pub struct Running {
    stopper: Stopper,
    end: Receiver<(Instant, Result<Ended>)>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(agent: &Agent) -> Self {
        let stopper = agent.stopper();
        let (sender, end) = channel();
        let agent = agent.clone();
        let thread = thread::spawn(move || {
            let result = agent.run_heartbeat_loop();
            // Nobody listens any more if the scenario failed.
            let _ = sender.send((Instant::now(), result));
        });
        Self { stopper, end, thread: Some(thread) }
    }

    /// Waits for its end, at most [`PATIENCE`].
    ///
    /// # Errors
    /// What the loop ended with.
    ///
    /// # Panics
    /// If it does not end.
    pub fn ended(self) -> Result<Ended> {
        self.end().1
    }

    /// Stops it, and tells after which time its method had returned.
    ///
    /// # Panics
    /// If it does not end, or not because it was stopped.
    pub fn stop(self) -> Duration {
        self.stopped_by(Stopper::stop)
    }

    /// Stops it at once, and tells after which time its method had returned.
    ///
    /// # Panics
    /// If it does not end, or not because it was stopped.
    pub fn stop_now(self) -> Duration {
        self.stopped_by(Stopper::stop_now)
    }

    /// Whether it has not ended yet.
    ///
    /// # Panics
    /// If it has, so that the reason is seen.
    pub fn assert_running(&self) {
        if let Ok((_, result)) = self.end.try_recv() {
            panic!("the loop ended: {result:?}");
        }
    }

    fn stopped_by(self, stop: impl FnOnce(&Stopper)) -> Duration {
        self.assert_running();
        let before = Instant::now();
        stop(&self.stopper);
        let (at, result) = self.end();
        assert!(matches!(result, Ok(Ended::Stopped)), "the loop was stopped, but ended with {result:?}");
        at.saturating_duration_since(before)
    }

    fn end(&self) -> (Instant, Result<Ended>) {
        self.end.recv_timeout(PATIENCE).expect("the loop ends in time")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop_now();
        if let Some(thread) = self.thread.take() {
            // A panic in the loop was heard as an end that did not come.
            let _ = thread.join();
        }
    }
}
