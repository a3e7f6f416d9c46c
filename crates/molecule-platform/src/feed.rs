//! The activity feeds of all workspaces (contract section 12; April 6.1).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use molecule_proto::{ActivityId, ActivityRow, ActivityType, Now, Time, UnixTime, WorkspaceId};

use crate::json::holds_nul;
use crate::platform::Platform;

/// The rows of each workspace, in the order of the feed.
#[derive(Clone, Default)]
pub(crate) struct Feed {
    rows: BTreeMap<WorkspaceId, Rows>,
    /// The row of each message on the current server, by the message id of its sender.
    messages: BTreeMap<(WorkspaceId, String), i64>,
    /// The counter of the whole server. A failed attempt to write counts too.
    last_seq: i64,
    acked: BTreeMap<WorkspaceId, i64>,
    /// The rows that a page for their workspace had.
    read: BTreeSet<i64>,
    /// The rows that readers see only from this time on.
    late: BTreeMap<i64, Time>,
    /// The longest time between a row's `created_at` and its visibility.
    most_late: Duration,
}

/// The rows of one workspace.
#[derive(Clone, Default)]
struct Rows {
    /// The rows by their time and number, which is the order in which both servers list them.
    listed: BTreeMap<Place, ActivityRow>,
    by_seq: BTreeMap<i64, Place>,
    by_id: BTreeMap<ActivityId, Place>,
}

type Place = (UnixTime, i64);

impl Rows {
    fn remove(&mut self, seq: i64) {
        if let Some(row) = self.by_seq.remove(&seq).and_then(|place| self.listed.remove(&place)) {
            self.by_id.remove(&row.id);
        }
    }
}

impl Feed {
    /// Adds a row, and returns its number.
    fn add(&mut self, mut row: ActivityRow) -> i64 {
        self.last_seq += 1;
        let (seq, place) = (self.last_seq, (row.created_at, self.last_seq));
        row.seq = Some(seq);
        let rows = self.rows.entry(row.workspace_id.clone()).or_default();
        rows.by_seq.insert(seq, place);
        rows.by_id.insert(row.id.clone(), place);
        rows.listed.insert(place, row);
        seq
    }

    /// Adds the row of a message, and returns its number. If the feed has a row of the same message id, that row stays
    /// unchanged.
    fn add_message(&mut self, message_id: &str, row: ActivityRow) -> Option<i64> {
        let key = (row.workspace_id.clone(), message_id.to_owned());
        if self.messages.contains_key(&key) {
            self.last_seq += 1;
            return None;
        }
        let seq = self.add(row);
        self.messages.insert(key, seq);
        Some(seq)
    }

    /// The row of a message.
    pub(crate) fn message(&mut self, workspace: &WorkspaceId, message_id: &str) -> Option<&mut ActivityRow> {
        let seq = *self.messages.get(&(workspace.clone(), message_id.to_owned()))?;
        self.row(workspace, seq)
    }

    pub(crate) fn row(&mut self, workspace: &WorkspaceId, seq: i64) -> Option<&mut ActivityRow> {
        let rows = self.rows.get_mut(workspace)?;
        rows.listed.get_mut(rows.by_seq.get(&seq)?)
    }

    pub(crate) fn remove(&mut self, workspace: &WorkspaceId, seq: i64) {
        if let Some(rows) = self.rows.get_mut(workspace) {
            rows.remove(seq);
        }
        self.late.remove(&seq);
        self.read.remove(&seq);
    }

    /// Removes the rows that were created before a time; returns how many there were.
    fn prune(&mut self, workspace: &WorkspaceId, before: UnixTime) -> usize {
        let Some(rows) = self.rows.get_mut(workspace) else { return 0 };
        let kept = rows.listed.split_off(&(before, i64::MIN));
        let old = std::mem::replace(&mut rows.listed, kept);
        for ((_, seq), row) in &old {
            rows.by_seq.remove(seq);
            rows.by_id.remove(&row.id);
            self.late.remove(seq);
            self.read.remove(seq);
        }
        self.messages.retain(|(owner, _), seq| owner != workspace || rows.by_seq.contains_key(seq));
        old.len()
    }

    /// The rows of a workspace, newest first.
    pub(crate) fn newest_first(&self, workspace: &WorkspaceId) -> Vec<&ActivityRow> {
        let rows = self.rows.get(workspace).into_iter();
        rows.flat_map(|rows| rows.listed.values().rev()).collect()
    }

    /// The rows of a workspace that a reader sees now, newest first.
    pub(crate) fn visible(&self, workspace: &WorkspaceId, now: Time) -> impl Iterator<Item = &ActivityRow> {
        let rows = self.rows.get(workspace).into_iter().flat_map(|rows| rows.listed.values().rev());
        rows.filter(move |row| self.is_visible(row, now))
    }

    /// The rows after a cursor that a reader sees now, oldest first; `None` if the reader does not see the cursor.
    pub(crate) fn visible_after(
        &self,
        workspace: &WorkspaceId,
        cursor: &ActivityId,
        now: Time,
    ) -> Option<impl Iterator<Item = &ActivityRow>> {
        let rows = self.rows.get(workspace)?;
        let place = rows.by_id.get(cursor)?;
        rows.listed.get(place).filter(|row| self.is_visible(row, now))?;
        let after = rows.listed.range((Bound::Excluded(*place), Bound::Unbounded));
        Some(after.map(|(_, row)| row).filter(move |row| self.is_visible(row, now)))
    }

    fn is_visible(&self, row: &ActivityRow, now: Time) -> bool {
        row.seq.is_none_or(|seq| self.visible_from(seq).is_none_or(|at| at <= now))
    }

    /// The time from which readers see a row; `None` if they see it from the beginning.
    pub(crate) fn visible_from(&self, seq: i64) -> Option<Time> {
        self.late.get(&seq).copied()
    }

    /// Moves the mark of the newest row that was read, and returns it. It never decreases.
    pub(crate) fn ack(&mut self, workspace: &WorkspaceId, seq: i64) -> i64 {
        let mark = self.acked.entry(workspace.clone()).or_default();
        *mark = seq.max(*mark);
        *mark
    }

    /// The mark of the newest row that was read.
    pub(crate) fn acked(&self, workspace: &WorkspaceId) -> Option<i64> {
        self.acked.get(workspace).copied()
    }

    /// Notes that a page had these rows.
    pub(crate) fn note_read(&mut self, rows: impl IntoIterator<Item = i64>) {
        self.read.extend(rows);
    }

    /// Returns whether a page had a row.
    pub(crate) fn was_read(&self, seq: i64) -> bool {
        self.read.contains(&seq)
    }

    /// Removes the rows of a purged workspace.
    pub(crate) fn forget(&mut self, workspace: &WorkspaceId) {
        for seq in self.rows.remove(workspace).into_iter().flat_map(|rows| rows.by_seq.into_keys()) {
            self.read.remove(&seq);
        }
        self.acked.remove(workspace);
        self.messages.retain(|(owner, _), _| owner != workspace);
    }
}

impl Platform {
    /// Creates a row, which is not yet written.
    pub(crate) fn new_activity(&mut self, now: Now, workspace: &WorkspaceId, about: ActivityType) -> ActivityRow {
        ActivityRow::new(self.random.activity_id(), workspace.clone(), about, now.unix)
    }

    /// Writes a row and returns its number. If the database cannot store the row, it is lost without an error: a row
    /// with U+0000 is.
    pub(crate) fn log(&mut self, now: Now, row: ActivityRow) -> Option<i64> {
        if !self.may_log(now, &row) {
            return None;
        }
        let seq = self.feed.add(row);
        self.comes_late(now, seq);
        Some(seq)
    }

    /// Writes a row as [`log`](Self::log) does, and tells the workspace's event streams about it.
    pub(crate) fn log_and_tell(&mut self, now: Now, row: ActivityRow) -> Option<i64> {
        let told = self.has_streams(&row.workspace_id).then(|| row.clone());
        let seq = self.log(now, row)?;
        if let Some(row) = told {
            self.tell_of_row(now, self.feed.visible_from(seq), &row, None);
        }
        Some(seq)
    }

    /// Writes the row of a message, which is known by an id, and tells the workspace's event streams about it. A second
    /// row of the same id is told as well, but not stored. Every row counts as a sign of life of the workspace, and
    /// extends the calls to it.
    pub(crate) fn log_message(&mut self, now: Now, message_id: &str, row: ActivityRow) {
        if !self.may_log(now, &row) {
            return;
        }
        let told = self.has_streams(&row.workspace_id).then(|| row.clone());
        let id = row.workspace_id.clone();
        if let Some(seq) = self.feed.add_message(message_id, row) {
            self.comes_late(now, seq);
        }
        if let Some(row) = told {
            self.tell_of_row(now, self.message_visible_from(&id, message_id), &row, Some(message_id));
        }
    }

    /// The time from which readers see the row of a message; `None` if they see it from the beginning.
    pub(crate) fn message_visible_from(&self, id: &WorkspaceId, message_id: &str) -> Option<Time> {
        let seq = self.feed.messages.get(&(id.clone(), message_id.to_owned()))?;
        self.feed.visible_from(*seq)
    }

    /// Delays when readers see the rows that are written from now on: each row becomes visible at a random time after
    /// its `created_at`, at most this much later. The default is zero. A newer row can therefore be visible before an
    /// older one, as on both servers (contract section 12.1).
    ///
    /// ```
    /// use std::time::Duration;
    /// use molecule_platform::{Config, Platform};
    /// let mut platform = Platform::new(Config::default());
    /// platform.set_rows_late(Duration::from_secs(30)); // the server's own time limit for one insert
    /// ```
    pub fn set_rows_late(&mut self, most: Duration) {
        self.feed.most_late = most;
    }

    /// Removes the rows of a workspace that were created before a time, as the server's retention does; returns how many
    /// there were. A cursor at one of them is then unknown: the current server answers 410 to it.
    ///
    /// The model prunes only on demand. The current server prunes every six hours, rows older than 7 days once they
    /// are acknowledged, and rows older than 30 days in any case (contract section 12.4).
    pub fn prune_activity(&mut self, id: &WorkspaceId, before: UnixTime) -> usize {
        self.feed.prune(id, before)
    }

    fn comes_late(&mut self, now: Now, seq: i64) {
        if !self.feed.most_late.is_zero() {
            self.feed.late.insert(seq, now.mono + self.random.within(self.feed.most_late));
        }
    }

    fn may_log(&mut self, now: Now, row: &ActivityRow) -> bool {
        let bodies = [&row.request_body, &row.response_body].into_iter().flatten();
        let texts = [&row.summary, &row.method, &row.error_detail].into_iter().flatten();
        let storable = !bodies.into_iter().any(holds_nul) && !texts.into_iter().any(|text| text.contains('\0'));
        let Some(workspace) = self.workspaces.get_mut(&row.workspace_id).filter(|_| storable) else { return false };
        workspace.last_event = now.mono;
        !self.database_down
    }
}

/// The beginning of a text, at most `most` bytes, cut between two characters.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_holds_no_half_character() {
        assert_eq!(beginning("żółw", 3), "ż");
        assert_eq!(beginning("żółw", 4), "żó");
        assert_eq!(beginning("ab", 5), "ab");
    }
}
