//! Signals that end the program: the first one drains, the second one ends at once.

use molecule_async::Stopper;

use crate::exit::{self, Failure};
use crate::output::Output;

/// Stops the agents at SIGINT and SIGTERM.
pub(super) fn stop(stoppers: Vec<Stopper>, output: Output) -> Result<(), Failure> {
    let mut signals =
        Signals::new().map_err(|error| Failure::new(exit::ERROR, format!("signals cannot be received: {error}")))?;
    tokio::spawn(async move {
        signals.next().await;
        output.note("stopping: messages that are being handled are finished; another signal ends at once");
        super::systemd::say("STOPPING=1");
        stoppers.iter().for_each(Stopper::stop);
        signals.next().await;
        stoppers.iter().for_each(Stopper::stop_now);
    });
    Ok(())
}

#[cfg(unix)]
pub(crate) struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
