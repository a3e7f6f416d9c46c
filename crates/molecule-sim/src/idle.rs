//! The idle connections of a process, pooled as both drivers do it. The other end of some may be gone without FIN or
//! RST.

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_core::effect::connection::KEPT;
use molecule_core::machine::Now;

/// Idle connections by origin; those of one origin are in the order of their last answer.
#[derive(Debug, Default)]
pub(crate) struct IdleConnections(BTreeMap<String, Vec<IdleConnection>>);

/// An idle connection.
#[derive(Debug, Clone, Copy)]
struct IdleConnection {
    heard: Now,
    is_dead: bool,
}

/// The connection that a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Onto {
    /// A new connection.
    New,
    /// A pooled connection that works.
    Alive,
    /// A pooled connection whose other end is gone, and the time since its last answer.
    Dead(Duration),
}

impl IdleConnections {
    /// Takes the most recently used connection to an origin, unless it was idle longer than `max_idle` by the larger of
    /// both clocks' advances.
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

    /// Returns a connection to the pool after a complete answer.
    pub(crate) fn give(&mut self, origin: &str, now: Now) {
        self.0.entry(origin.to_owned()).or_default().push(IdleConnection { heard: now, is_dead: false });
    }

    /// Discards the pooled connections to an origin after one failed.
    pub(crate) fn forget(&mut self, origin: &str) {
        self.0.remove(origin);
    }

    /// Makes every pooled connection dead: its other end is gone without FIN or RST.
    pub(crate) fn die(&mut self) {
        self.0.values_mut().flatten().for_each(|connection| connection.is_dead = true);
    }
}
