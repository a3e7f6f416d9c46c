//! The activity feeds of all workspaces (contract section 12; April 6.1).

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_proto::{ActivityRow, ActivityType, Now, Time, WorkspaceId};

use crate::json::holds_nul;
use crate::platform::Platform;

/// Rows by workspace, and in the order in which they were written.
#[derive(Default)]
pub(crate) struct Feed {
    rows: BTreeMap<WorkspaceId, BTreeMap<i64, ActivityRow>>,
    /// The row of each message of the current server, by the id that its sender gave it.
    messages: BTreeMap<(WorkspaceId, String), i64>,
    /// The counter of the whole server. An attempt to write counts too.
    last_seq: i64,
    acked: BTreeMap<WorkspaceId, i64>,
    /// Rows that no reader sees before a moment.
    late: BTreeMap<i64, Time>,
    /// How much later than its `created_at` a row becomes visible at most.
    most_late: Duration,
}

impl Feed {
    /// Adds a row, and gives its number.
    fn add(&mut self, mut row: ActivityRow) -> i64 {
        self.last_seq += 1;
        row.seq = Some(self.last_seq);
        self.rows.entry(row.workspace_id.clone()).or_default().insert(self.last_seq, row);
        self.last_seq
    }

    /// Adds the row of a message, unless there is one of the same id: the first one stays as it is. Gives a new one's number.
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

    /// A workspace's rows, the newest first.
    pub(crate) fn newest_first(&self, workspace: &WorkspaceId) -> Vec<&ActivityRow> {
        let mut rows: Vec<&ActivityRow> = self.rows.get(workspace).into_iter().flat_map(BTreeMap::values).collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.seq)));
        rows
    }

    /// Those of them that a reader sees now.
    pub(crate) fn visible(&self, workspace: &WorkspaceId, now: Time) -> Vec<&ActivityRow> {
        let mut rows = self.newest_first(workspace);
        rows.retain(|row| row.seq.and_then(|seq| self.late.get(&seq)).is_none_or(|at| *at <= now));
        rows
    }

    /// Moves the mark up to which a feed was read, and gives it. It never goes back.
    pub(crate) fn ack(&mut self, workspace: &WorkspaceId, seq: i64) -> i64 {
        let mark = self.acked.entry(workspace.clone()).or_default();
        *mark = seq.max(*mark);
        *mark
    }

    /// Forgets a workspace that was purged.
    pub(crate) fn forget(&mut self, workspace: &WorkspaceId) {
        self.rows.remove(workspace);
        self.acked.remove(workspace);
        self.messages.retain(|(owner, _), _| owner != workspace);
    }
}

impl Platform {
    /// A row that is about to be written.
    pub(crate) fn new_activity(&mut self, now: Now, workspace: &WorkspaceId, about: ActivityType) -> ActivityRow {
        ActivityRow::new(self.random.activity_id(), workspace.clone(), about, now.unix)
    }

    /// Writes a row and gives its number, unless the database cannot take it: U+0000 is lost without a word.
    pub(crate) fn log(&mut self, now: Now, row: ActivityRow) -> Option<i64> {
        if !self.may_log(now, &row) {
            return None;
        }
        let seq = self.feed.add(row);
        self.comes_late(now, seq);
        Some(seq)
    }

    /// Writes the row of a message, which is known by an id. A row is an event, which keeps calls to the workspace alive.
    pub(crate) fn log_message(&mut self, now: Now, message_id: &str, row: ActivityRow) {
        if self.may_log(now, &row)
            && let Some(seq) = self.feed.add_message(message_id, row)
        {
            self.comes_late(now, seq);
        }
    }

    /// Makes the rows that are written from now on visible later than their `created_at` says, each by a time of its own, at most
    /// this: zero as long as nothing is said. A newer row may so be visible before an older one, as on both servers
    /// (contract section 12.1).
    ///
    /// ```
    /// use std::time::Duration;
    /// use molecule_platform::{Config, Platform};
    /// let mut platform = Platform::new(Config::default());
    /// platform.set_rows_late(Duration::from_secs(30)); // as late as the server's own limit for one insert lets a row be
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

/// The beginning of a text, at most so many bytes and never half a character.
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
