//! The cache of peers' URLs, bounded in time and in number.

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_proto::{Peer, WorkspaceId};

use crate::machine::Now;
use crate::session::peer_url::PeerUrl;

/// How long a URL is used before the platform is asked again, and how long a peer that refused a direct call is not
/// called directly.
pub const TTL: Duration = Duration::from_secs(300);

/// How long the cache remembers that a peer has no URL.
pub const NEGATIVE_TTL: Duration = Duration::from_secs(60);

/// The most peers in the cache. The least recently used one is removed for a new one.
pub const CAPACITY: usize = 1024;

/// The cache of peers' URLs, as the platform last showed them. It is plain data in the session and reads no clock. The
/// age of an entry is the larger of both clocks' advances, so that entries age while the computer sleeps.
#[derive(Debug, Clone, Default)]
pub struct PeerCache {
    entries: BTreeMap<WorkspaceId, Entry>,
    /// The peers in the order of their last use.
    used: BTreeMap<u64, WorkspaceId>,
    uses: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    url: Option<PeerUrl>,
    learnt: Now,
    /// When the peer refused a direct call to this URL.
    refused: Option<Now>,
    use_number: u64,
}

/// A cached answer about a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// The peer's URL.
    At(PeerUrl),
    /// The platform shows no URL at which the peer could be called.
    Nowhere,
}

impl PeerCache {
    /// Returns the cached answer about a peer if it has not expired.
    pub fn lookup(&mut self, now: Now, id: &WorkspaceId) -> Option<Known> {
        let entry = self.entries.get(id).filter(|entry| entry.is_fresh(now))?;
        let known = entry.url.clone().map_or(Known::Nowhere, Known::At);
        self.touch(id);
        Some(known)
    }

    /// Caches a peer's URL, or that it has none. A refusal of direct calls stays if the URL is the same as before.
    pub fn insert(&mut self, now: Now, id: &WorkspaceId, url: Option<PeerUrl>) {
        let before = self.entries.get(id).filter(|entry| entry.url == url && entry.is_refused(now));
        let refused = before.and_then(|entry| entry.refused);
        self.put(id, url, now, refused);
    }

    /// Learns from a list of peers. It removes no entry to make room: peers beyond the capacity are asked for when they
    /// are called. A row without a usable URL says little, since a poll agent shows whatever it registered; it only
    /// removes a cached peer that had a URL.
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

    /// Removes a peer, its refusal of direct calls included.
    pub fn invalidate(&mut self, id: &WorkspaceId) {
        if let Some(entry) = self.entries.remove(id) {
            self.used.remove(&entry.use_number);
        }
    }

    /// Records that a direct call to a peer's URL failed: the peer refused it, or its URL cannot be reached from here.
    pub fn refuse(&mut self, now: Now, id: &WorkspaceId, url: &PeerUrl) {
        let learnt = match self.entries.get(id) {
            Some(entry) if entry.url.as_ref() == Some(url) => entry.learnt,
            // The platform has shown another URL meanwhile, or the peer was removed.
            Some(_) | None => return,
        };
        self.put(id, Some(url.clone()), learnt, Some(now));
    }

    /// Returns whether the peer refused a direct call to its cached URL within the last [`TTL`].
    pub fn is_refused(&self, now: Now, id: &WorkspaceId) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.is_refused(now))
    }

    /// Returns the number of cached peers, expired ones included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether the cache is empty.
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
