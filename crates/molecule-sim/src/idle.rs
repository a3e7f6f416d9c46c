//! The connections that a process keeps, as both drivers keep theirs. The other end of some may have gone without a word.

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_core::effect::connection::KEPT;
use molecule_core::machine::Now;

/// Idle connections by origin, each origin's in the order in which they were heard.
#[derive(Debug, Default)]
pub(crate) struct IdleConnections(BTreeMap<String, Vec<Connection>>);

/// One that waits.
#[derive(Debug, Clone, Copy)]
struct Connection {
    heard: Now,
    is_dead: bool,
}

/// What a request goes onto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Onto {
    /// One that is opened for it.
    New,
    /// A kept one that lives.
    Alive,
    /// A kept one whose other end is gone, and how long ago that was heard.
    Dead(Duration),
}

impl IdleConnections {
    /// The connection to an origin that was heard last, within this time by the larger of both clocks' advances.
    pub(crate) fn take(&mut self, origin: &str, now: Now, max_idle: Duration) -> Onto {
        let Some(all) = self.0.get_mut(origin) else { return Onto::New };
        let Some(last) = all.last().copied() else { return Onto::New };
        let idle = now.since(last.heard);
        if idle >= max_idle.min(KEPT) {
            return Onto::New;
        }
        all.pop();
        if last.is_dead { Onto::Dead(idle) } else { Onto::Alive }
    }

    /// One brought a whole answer.
    pub(crate) fn give(&mut self, origin: &str, now: Now) {
        self.0.entry(origin.to_owned()).or_default().push(Connection { heard: now, is_dead: false });
    }

    /// A kept one failed.
    pub(crate) fn forget(&mut self, origin: &str) {
        self.0.remove(origin);
    }

    /// The other end of every one goes without a word.
    pub(crate) fn die(&mut self) {
        self.0.values_mut().flatten().for_each(|connection| connection.is_dead = true);
    }
}
