//! The activity feeds of all workspaces (contract section 12; April 6.1).

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_proto::{ActivityRow, ActivityType, Now, Time, WorkspaceId};

use crate::json::holds_nul;
use crate::platform::Platform;

/// The rows of each workspace, in the order in which they were written.
#[derive(Default)]
pub(crate) struct Feed {
    rows: BTreeMap<WorkspaceId, BTreeMap<i64, ActivityRow>>,
    /// The row of each message on the current server, by the message id of its sender.
    messages: BTreeMap<(WorkspaceId, String), i64>,
    /// The counter of the whole server. A failed attempt to write counts too.
    last_seq: i64,
    acked: BTreeMap<WorkspaceId, i64>,
    /// The rows that readers see only from this time on.
    late: BTreeMap<i64, Time>,
    /// The longest time between a row's `created_at` and its visibility.
    most_late: Duration,
}

impl Feed {
    /// Adds a row, and returns its number.
    fn add(&mut self, mut row: ActivityRow) -> i64 {
        self.last_seq += 1;
        row.seq = Some(self.last_seq);
        self.rows.entry(row.workspace_id.clone()).or_default().insert(self.last_seq, row);
        self.last_seq
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
        self.rows.get_mut(workspace)?.get_mut(&seq)
    }

    pub(crate) fn remove(&mut self, workspace: &WorkspaceId, seq: i64) {
        if let Some(rows) = self.rows.get_mut(workspace) {
            rows.remove(&seq);
        }
        self.late.remove(&seq);
    }

    /// The rows of a workspace, newest first.
    pub(crate) fn newest_first(&self, workspace: &WorkspaceId) -> Vec<&ActivityRow> {
        let mut rows: Vec<&ActivityRow> = self.rows.get(workspace).into_iter().flat_map(BTreeMap::values).collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.seq)));
        rows
    }

    /// The rows of a workspace that a reader sees now, newest first.
    pub(crate) fn visible(&self, workspace: &WorkspaceId, now: Time) -> Vec<&ActivityRow> {
        let mut rows = self.newest_first(workspace);
        rows.retain(|row| row.seq.and_then(|seq| self.late.get(&seq)).is_none_or(|at| *at <= now));
        rows
    }

    /// Moves the mark of the newest row that was read, and returns it. It never decreases.
    pub(crate) fn ack(&mut self, workspace: &WorkspaceId, seq: i64) -> i64 {
        let mark = self.acked.entry(workspace.clone()).or_default();
        *mark = seq.max(*mark);
        *mark
    }

    /// Removes the rows of a purged workspace.
    pub(crate) fn forget(&mut self, workspace: &WorkspaceId) {
        self.rows.remove(workspace);
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

    /// Writes the row of a message, which is known by an id. Every row counts as a sign of life of the workspace, and
    /// extends the calls to it.
    pub(crate) fn log_message(&mut self, now: Now, message_id: &str, row: ActivityRow) {
        if self.may_log(now, &row)
            && let Some(seq) = self.feed.add_message(message_id, row)
        {
            self.comes_late(now, seq);
        }
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
