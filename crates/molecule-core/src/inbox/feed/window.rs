//! Which rows are new, and how far the feed was read completely.
//!
//! The server shows rows out of order: a row's time is that of its insert, and it becomes visible up to 30 s later. So
//! the place up to which all rows were read, the *base*, stays behind the newest row by the trail. The rows behind the
//! base, the *tail*, are read again and again, and told apart by their ids.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_proto::{ActivityId, UnixTime};

use crate::endpoint::RowPlace;

/// The most rows of the tail. Beyond that the base moves on, however young the rows are: this many rows in 35 s are
/// more than a server takes.
pub(super) const MAX_TAIL: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Window {
    trail: Duration,
    /// The last row up to which all rows were read; `None` before the first row of the feed.
    base: Option<RowPlace>,
    /// The rows behind the base that were read.
    tail: BTreeSet<RowPlace>,
    ids: BTreeSet<ActivityId>,
    /// The rows that still need something, each with the row before it.
    unfinished: BTreeMap<RowPlace, Option<RowPlace>>,
    unfinished_ids: BTreeMap<ActivityId, RowPlace>,
    /// The time of the newest row that was seen. The server's clock shows at least this time.
    newest: Option<UnixTime>,
    /// The base before the server lost its row, if the base is still before it now. Rows up to it are not new.
    floor: Option<RowPlace>,
}

impl Window {
    pub(super) fn new(trail: Duration, base: Option<RowPlace>) -> Self {
        let newest = base.as_ref().map(|base| base.created_at);
        Self {
            trail,
            base,
            tail: BTreeSet::new(),
            ids: BTreeSet::new(),
            unfinished: BTreeMap::new(),
            unfinished_ids: BTreeMap::new(),
            newest,
            floor: None,
        }
    }

    pub(super) fn base(&self) -> Option<&RowPlace> {
        self.base.as_ref()
    }

    /// The time of the newest row that was seen.
    pub(super) fn horizon(&self) -> Option<UnixTime> {
        self.newest
    }

    /// The last row that was read.
    pub(super) fn last(&self) -> Option<&RowPlace> {
        self.tail.last().max(self.base.as_ref())
    }

    /// Notes that the server has this row.
    pub(super) fn see(&mut self, place: &RowPlace) {
        self.newest = self.newest.max(Some(place.created_at));
    }

    /// Starts at another row: at the first start, or since the server does not have the old one any more.
    pub(super) fn set_base(&mut self, base: Option<RowPlace>) {
        if let Some(base) = &base {
            self.see(base);
        }
        self.base = base;
    }

    /// Keeps the rows up to the base from being new again, while the base goes back to an earlier row.
    pub(super) fn hold_floor(&mut self) {
        self.floor = self.floor.take().max(self.base.clone());
    }

    /// Takes a row that was read. Returns whether it is new.
    pub(super) fn admit(&mut self, place: &RowPlace) -> bool {
        self.see(place);
        if Some(place) <= self.base.as_ref() || self.base.as_ref().is_some_and(|base| base.id == place.id) {
            return false;
        }
        let is_new = Some(place) > self.floor.as_ref() && !self.unfinished_ids.contains_key(&place.id);
        let is_first = self.ids.insert(place.id.clone());
        if is_first {
            self.tail.insert(place.clone());
        }
        is_new && is_first
    }

    /// Notes that an admitted row needs something, until [`finish`](Self::finish).
    pub(super) fn begin(&mut self, place: &RowPlace) {
        let before = self.tail.range(..place).next_back().max(self.base.as_ref()).cloned();
        self.unfinished.insert(place.clone(), before);
        self.unfinished_ids.insert(place.id.clone(), place.clone());
    }

    /// Notes that a row needs nothing any more.
    pub(super) fn finish(&mut self, id: &ActivityId) {
        if let Some(place) = self.unfinished_ids.remove(id) {
            self.unfinished.remove(&place);
        }
    }

    /// Moves the base over the rows of a page that begins right behind what is complete, and that was read last: over
    /// those rows that are old. Returns whether that are all rows of the page.
    pub(super) fn complete(&mut self, places: &[RowPlace]) -> bool {
        let old = places.iter().take_while(|place| self.is_old(place)).count();
        if let Some(last) = old.checked_sub(1).map(|last| &places[last]) {
            self.pass(last.clone());
        }
        old == places.len()
    }

    /// Returns whether a row is older than the newest one by the trail. Whatever was created before it was visible when
    /// the newest one was seen.
    pub(super) fn is_old(&self, place: &RowPlace) -> bool {
        self.newest.is_some_and(|newest| newest.since(place.created_at) >= self.trail)
    }

    /// Moves the base on if the tail is too long. Returns whether it was.
    pub(super) fn shorten(&mut self) -> bool {
        let is_long = self.tail.len() > MAX_TAIL;
        if is_long && let Some(place) = self.tail.iter().nth(self.tail.len() - MAX_TAIL / 4 * 3).cloned() {
            self.pass(place);
        }
        is_long
    }

    fn pass(&mut self, place: RowPlace) {
        if Some(&place) <= self.base.as_ref() {
            return;
        }
        let rest = self.tail.split_off(&place);
        for passed in std::mem::replace(&mut self.tail, rest) {
            self.ids.remove(&passed.id);
        }
        if self.tail.remove(&place) {
            self.ids.remove(&place.id);
        }
        self.floor.take_if(|floor| *floor <= place);
        self.base = Some(place);
    }

    /// The row from which to read if the tail fills a page: only the last quarter of a page is read again.
    pub(super) fn near(&self, limit: usize) -> Option<&RowPlace> {
        let is_long = self.tail.len() >= limit;
        self.tail.iter().rev().nth(limit / 4).filter(|_| is_long)
    }

    /// The last row up to which no row needs anything any more; `None` before the first row of the feed.
    pub(super) fn cursor(&self) -> Option<&RowPlace> {
        let complete = self.base.as_ref().max(self.floor.as_ref());
        match self.unfinished.first_key_value() {
            Some((_, before)) => before.as_ref().min(complete),
            None => complete,
        }
    }

    /// The number of rows that are kept in memory.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.tail.len().max(self.ids.len()) + self.unfinished.len().max(self.unfinished_ids.len())
    }
}
