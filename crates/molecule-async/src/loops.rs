//! The loops of one agent: what is said to them, and who waits for whom.
//!
//! A loop whose future was dropped still gives its lock back, and stores a token that it is just being given. A loop that starts
//! meanwhile waits for that: the agent's own last loop is no second agent.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use molecule_core::RunCommand;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

#[derive(Default)]
pub(crate) struct Loops(Mutex<Vec<Entry>>);

struct Entry {
    /// Closed once the loop's machine is gone.
    commands: UnboundedSender<RunCommand>,
    /// Whether nobody waits for its end any more.
    is_dropped: bool,
}

/// A loop's place in the list. Dropped, it says that nobody waits for the loop any more.
pub(crate) struct Place<'a> {
    loops: &'a Loops,
    commands: UnboundedSender<RunCommand>,
}

impl Loops {
    /// A loop begins.
    pub(crate) fn enter(&self) -> (Place<'_>, UnboundedReceiver<RunCommand>) {
        let (commands, received) = unbounded_channel();
        let mut entries = self.entries();
        entries.retain(|entry| !entry.commands.is_closed());
        entries.push(Entry { commands: commands.clone(), is_dropped: false });
        (Place { loops: self, commands }, received)
    }

    /// Says something to every loop that runs.
    pub(crate) fn say(&self, command: RunCommand) {
        self.entries().retain(|entry| entry.commands.send(command).is_ok());
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loops that were dropped and have not ended yet.
    fn ending(&self) -> Vec<UnboundedSender<RunCommand>> {
        let entries = self.entries();
        entries.iter().filter(|entry| entry.is_dropped).map(|entry| entry.commands.clone()).collect()
    }
}

impl Place<'_> {
    /// Waits until the loops that were dropped have ended, or this one is told to stop, which its machine then sees.
    pub(crate) async fn wait_for_the_last(&self, commands: &mut UnboundedReceiver<RunCommand>) {
        for ending in self.loops.ending() {
            let mut ended = pin!(ending.closed());
            let is_stopped = poll_fn(|cx| {
                while let Poll::Ready(command) = commands.poll_recv(cx) {
                    match command {
                        Some(RunCommand::Check) => {}
                        Some(RunCommand::Stop | RunCommand::StopNow) | None => return Poll::Ready(true),
                    }
                }
                ended.as_mut().poll(cx).map(|()| false)
            });
            if is_stopped.await {
                return;
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut entries = self.loops.entries();
        let own = entries.iter_mut().find(|entry| entry.commands.same_channel(&self.commands));
        own.into_iter().for_each(|entry| entry.is_dropped = true);
    }
}
