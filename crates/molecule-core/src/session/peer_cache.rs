//! What is known of where peers are called: for a time, and of no more than so many.

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_proto::{Peer, WorkspaceId};

use crate::machine::Now;
use crate::session::peer_url::PeerUrl;

/// How long a URL is used without asking again, and how long a peer that refused a direct call is not called directly.
pub const TTL: Duration = Duration::from_secs(300);

/// How long it is remembered that a peer has no URL.
pub const NEGATIVE_TTL: Duration = Duration::from_secs(60);

/// How many peers are remembered; the one that was used longest ago makes room.
pub const CAPACITY: usize = 1024;

/// Where peers are called, as the platform last said. Plain data in the session; it knows no clock but those it is told, and
/// ages are by whichever of the two says more, so that a computer's sleep makes every entry older.
#[derive(Debug, Clone, Default)]
pub struct PeerCache {
    entries: BTreeMap<WorkspaceId, Entry>,
    /// Peers by their last use.
    used: BTreeMap<u64, WorkspaceId>,
    uses: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    url: Option<PeerUrl>,
    learnt: Now,
    /// When the peer refused a direct call at this URL.
    refused: Option<Now>,
    use_number: u64,
}

/// What is known of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It is called here.
    At(PeerUrl),
    /// The platform names no URL at which anybody could be called.
    Nowhere,
}

impl PeerCache {
    /// What is known of a peer and no older than its time.
    pub fn lookup(&mut self, now: Now, id: &WorkspaceId) -> Option<Known> {
        let entry = self.entries.get(id).filter(|entry| entry.is_fresh(now))?;
        let known = entry.url.clone().map_or(Known::Nowhere, Known::At);
        self.touch(id);
        Some(known)
    }

    /// Remembers where a peer is called, or that it is not. A refusal outlives the same URL said once more.
    pub fn insert(&mut self, now: Now, id: &WorkspaceId, url: Option<PeerUrl>) {
        let before = self.entries.get(id).filter(|entry| entry.url == url && entry.is_refused(now));
        let refused = before.and_then(|entry| entry.refused);
        self.put(id, url, now, refused);
    }

    /// Learns from a list of peers. It pushes out nobody: peers beyond the capacity are asked for when they are called. A row
    /// without a URL says little (a poll agent shows whatever it registered), but that a URL is no longer shown counts.
    pub fn learn(&mut self, now: Now, rows: &[Peer]) {
        if self.entries.len() + rows.len() > CAPACITY {
            self.forget_stale(now);
        }
        for row in rows {
            let is_known = self.entries.contains_key(&row.id);
            match PeerUrl::read(&row.url) {
                Some(url) if is_known || self.entries.len() < CAPACITY => self.insert(now, &row.id, Some(url)),
                Some(_) => {}
                None if self.entries.get(&row.id).is_some_and(|entry| entry.url.is_some()) => self.invalidate(&row.id),
                None => {}
            }
        }
    }

    /// Forgets a peer, its refusal included.
    pub fn invalidate(&mut self, id: &WorkspaceId) {
        if let Some(entry) = self.entries.remove(id) {
            self.used.remove(&entry.use_number);
        }
    }

    /// Remembers that a peer refused a direct call at this URL: a door for others, or no way there from here.
    pub fn refuse(&mut self, now: Now, id: &WorkspaceId, url: &PeerUrl) {
        let learnt = match self.entries.get(id) {
            Some(entry) if entry.url.as_ref() == Some(url) => entry.learnt,
            // The platform has named another one meanwhile, or the peer was forgotten.
            Some(_) | None => return,
        };
        self.put(id, Some(url.clone()), learnt, Some(now));
    }

    /// Whether a peer refused direct calls at what is known to be its URL, not longer ago than [`TTL`].
    pub fn is_refused(&self, now: Now, id: &WorkspaceId) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.is_refused(now))
    }

    /// How many peers are remembered, stale ones included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn put(&mut self, id: &WorkspaceId, url: Option<PeerUrl>, learnt: Now, refused: Option<Now>) {
        self.invalidate(id);
        while self.entries.len() >= CAPACITY
            && let Some((_, oldest)) = self.used.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.uses += 1;
        self.used.insert(self.uses, id.clone());
        self.entries.insert(id.clone(), Entry { url, learnt, refused, use_number: self.uses });
    }

    fn touch(&mut self, id: &WorkspaceId) {
        if let Some(entry) = self.entries.get_mut(id) {
            self.used.remove(&entry.use_number);
            self.uses += 1;
            entry.use_number = self.uses;
            self.used.insert(self.uses, id.clone());
        }
    }

    fn forget_stale(&mut self, now: Now) {
        self.entries.retain(|_, entry| entry.is_fresh(now) || entry.is_refused(now));
        let entries = &self.entries;
        self.used.retain(|_, id| entries.contains_key(id));
    }
}

impl Entry {
    fn is_fresh(&self, now: Now) -> bool {
        let ttl = if self.url.is_some() { TTL } else { NEGATIVE_TTL };
        now.since(self.learnt) < ttl
    }

    fn is_refused(&self, now: Now) -> bool {
        self.refused.is_some_and(|at| now.since(at) < TTL)
    }
}
