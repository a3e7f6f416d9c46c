//! Looks into the agent's own feed: a pushed body names no sender, and the row of the same message does (contract section
//! 10.1).

use std::collections::BTreeMap;

use molecule_proto::{ActivityRow, ActivityType, UnixTime};

use super::ticket::LookUpId;
use crate::endpoint::{ActivityFeed, ActivityPage};
use crate::inbox::message::row_delivery_key;
use crate::session::key::Key;

/// The rows of one page. The platform writes the row before it pushes, so that it is among the newest.
const ROWS: u32 = 50;
/// The most pages of one look. A message that waited in the platform's queue has an older row.
const MOST_PAGES: u32 = 4;

/// The messages whose senders are looked up. One look at a time serves all that wait when it begins.
#[derive(Debug, Default)]
pub(super) struct Looks {
    waiting: Vec<Key>,
    /// The messages of the look in flight, with the rows that were found.
    asked: Vec<Key>,
    in_flight: Option<LookUpId>,
    /// The next page of the same look, if it was not on the last one.
    next_page: Option<UnixTime>,
    pages: u32,
    made: u64,
}

impl Looks {
    pub(super) fn add(&mut self, key: Key) {
        self.waiting.push(key);
    }

    /// Gives all up. Returns the messages.
    pub(super) fn end(&mut self) -> Vec<Key> {
        (self.in_flight, self.next_page) = (None, None);
        let mut left = std::mem::take(&mut self.asked);
        left.append(&mut self.waiting);
        left
    }

    /// Begins the next look, if one is due.
    pub(super) fn begin(&mut self) -> Option<(LookUpId, ActivityFeed)> {
        if self.in_flight.is_some() || (self.waiting.is_empty() && self.next_page.is_none()) {
            return None;
        }
        let mut feed = ActivityFeed::new().activity_type(ActivityType::A2aReceive).limit(ROWS).peer_info();
        match self.next_page.take() {
            Some(before) => feed = feed.before(before),
            None => (self.asked, self.pages) = (std::mem::take(&mut self.waiting), 0),
        }
        self.made += 1;
        self.pages += 1;
        let id = LookUpId(self.made);
        self.in_flight = Some(id);
        Some((id, feed))
    }

    /// Takes the page of a look. Returns the messages whose look is over, with their rows.
    pub(super) fn end_of(&mut self, id: LookUpId, page: Option<ActivityPage>) -> Vec<(Key, Option<Box<ActivityRow>>)> {
        if self.in_flight != Some(id) {
            return Vec::new();
        }
        self.in_flight = None;
        let asked = std::mem::take(&mut self.asked);
        let Some(page) = page else { return asked.into_iter().map(|key| (key, None)).collect() };
        let is_full = page.rows.len() + page.unreadable.len() >= ROWS as usize;
        let oldest = page.rows.iter().map(|row| row.created_at).min();
        let mut rows: BTreeMap<Key, ActivityRow> =
            page.rows.into_iter().filter_map(|row| Some((row_delivery_key(&row)?, row))).collect();
        let (found, missing): (Vec<_>, Vec<_>) =
            asked.into_iter().map(|key| (key, rows.remove(&key).map(Box::new))).partition(|(_, row)| row.is_some());
        if missing.is_empty() || !is_full || self.pages >= MOST_PAGES || oldest.is_none() {
            return found.into_iter().chain(missing).collect();
        }
        self.asked = missing.into_iter().map(|(key, _)| key).collect();
        self.next_page = oldest;
        found
    }
}
