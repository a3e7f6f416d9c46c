//! The agent's own messages to the user (notices), as far as the feed shows them. A notice has no id on the wire, and
//! its row in the feed is the only proof that it arrived (contract sections 12.3 and 13.2).

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use molecule_proto::{ActivityId, ActivityRow, NotifyRequest, Time, UnixTime};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The text and the files of a notice, as a hash. Notices are told apart by it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Words(u64);

impl Words {
    pub(crate) fn of(notice: &NotifyRequest) -> Self {
        Self::new(&notice.message, notice.attachments.iter().map(|file| file.uri.as_str()))
    }

    fn new<'a>(text: &str, uris: impl Iterator<Item = &'a str>) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        uris.for_each(|uri| uri.hash(&mut hasher));
        Self(hasher.finish())
    }
}

/// The place of a notice among those with the same words. It is recorded before the notice is sent, so that its row can
/// be told from theirs after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// A time by the server's clock: the creation of the message that the notice answers, or the start of the process if
    /// that is later. The notice's row is newer.
    pub(crate) since: UnixTime,
    /// How many rows with the same words are newer than that and belong to earlier notices.
    #[serde(default)]
    pub(crate) before: u32,
}

/// A row of the feed that shows a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoticeRow {
    id: ActivityId,
    created_at: UnixTime,
    words: Words,
}

impl NoticeRow {
    /// Reads a row; `None` if it shows no notice of the agent.
    pub(crate) fn read(row: &ActivityRow) -> Option<Self> {
        if !row.is_notice() {
            return None;
        }
        let said = row.response_body.as_ref()?;
        let text = said.get("result")?.as_str()?;
        let parts = said.get("parts").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let uris = parts.iter().filter_map(|part| part.get("file")?.get("uri")?.as_str());
        Some(Self { id: row.id.clone(), created_at: row.created_at, words: Words::new(text, uris) })
    }
}

/// The most rows that are remembered.
const MAX_SEEN: usize = 4_096;

/// The most notices that are remembered as sent and not seen. The rows of older ones are older than any message that
/// is still to be answered.
const MAX_UNSEEN: usize = 1_024;

/// The notices of the agent. Plain data in the session.
///
/// It errs on one side: where rows are forgotten, a notice that arrived may count as lost, and never the other way
/// round.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    seen: BTreeMap<Words, BTreeMap<ActivityId, UnixTime>>,
    /// The rows of `seen`, in the order in which they were read.
    in_order: VecDeque<(Words, ActivityId)>,
    /// The creation of the newest row that was seen, by the server's clock.
    newest: UnixTime,
    /// A time by the server's clock before which all notices of earlier processes were sent.
    began: Option<UnixTime>,
    /// When the server's clock has passed that time, so that a row of this process's is newer.
    ready_at: Time,
    /// The notices that were sent, or may have been, and have shown no row yet.
    unseen: VecDeque<(Words, Mark)>,
}

/// How much older than the server's clock the `Date` of an answer may be: it has whole seconds.
const DATE_STEP: Duration = Duration::from_secs(1);

impl Notices {
    /// Takes the `Date` of an answer; the first one of a process counts. The rows of an earlier process's notices may
    /// become visible later, and prove nothing for those of this process.
    pub(crate) fn begin(&mut self, now: Time, date: impl FnOnce() -> Option<UnixTime>) {
        if self.began.is_none() {
            self.began = date().map(|date| date + DATE_STEP);
            self.ready_at = now + DATE_STEP;
        }
    }

    /// Returns from when on a notice may be sent. The row of an earlier one would prove nothing: if its process died, or
    /// its answer were lost, it would be sent again.
    pub(crate) fn ready_at(&self) -> Time {
        self.ready_at
    }

    /// No earlier process has answered people. Every row with a notice's words is then one of this process.
    pub(crate) fn begin_first(&mut self) {
        self.began = Some(UnixTime::default());
    }

    /// Records a notice that was sent, or may have been.
    pub(crate) fn sent(&mut self, words: Words, mark: Mark) {
        if self.shows(words, mark) {
            return;
        }
        if self.unseen.len() == MAX_UNSEEN {
            self.unseen.pop_front();
        }
        self.unseen.push_back((words, mark));
    }

    /// Records a row. Returns its words if it is a new one.
    pub(crate) fn see(&mut self, row: NoticeRow) -> Option<Words> {
        let NoticeRow { id, created_at, words } = row;
        if self.seen.get(&words).is_some_and(|seen| seen.contains_key(&id)) {
            return None;
        }
        self.seen.entry(words).or_default().insert(id.clone(), created_at);
        self.in_order.push_back((words, id));
        self.newest = self.newest.max(created_at);
        if self.in_order.len() > MAX_SEEN {
            self.forget_oldest();
        }
        let mut unseen = std::mem::take(&mut self.unseen);
        unseen.retain(|(own, mark)| *own != words || !self.shows(words, *mark));
        self.unseen = unseen;
        Some(words)
    }

    fn forget_oldest(&mut self) {
        let Some((words, id)) = self.in_order.pop_front() else { return };
        let Some(seen) = self.seen.get_mut(&words) else { return };
        seen.remove(&id);
        if seen.is_empty() {
            self.seen.remove(&words);
        }
    }

    /// Makes the mark of a notice that is sent after `waiting` others with the same words. `since` is the creation of
    /// the message that it answers, if it answers one.
    pub(crate) fn mark(&self, words: Words, since: Option<UnixTime>, waiting: u32) -> Mark {
        let since = since.unwrap_or(self.newest).max(self.began.unwrap_or_default());
        let unseen = self.unseen.iter().filter(|(own, _)| *own == words).count();
        let unseen = u32::try_from(unseen).unwrap_or(u32::MAX);
        let before = self.newer(words, since).saturating_add(unseen).saturating_add(waiting);
        Mark { since, before }
    }

    /// Returns whether the feed shows the notice with this mark.
    pub(crate) fn shows(&self, words: Words, mark: Mark) -> bool {
        self.newer(words, mark.since) > mark.before
    }

    fn newer(&self, words: Words, since: UnixTime) -> u32 {
        let newer = self.seen.get(&words).map_or(0, |seen| seen.values().filter(|at| **at > since).count());
        u32::try_from(newer).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use molecule_proto::{ActivityType, NotifyAttachment, WorkspaceId};
    use serde_json::json;

    use super::*;

    fn row(number: u8, second: i64, said: Value) -> ActivityRow {
        let id = ActivityId::from_random([number; 16]);
        let workspace = WorkspaceId::from_random([0; 16]);
        let mut row = ActivityRow::new(id, workspace, ActivityType::A2aReceive, UnixTime::from_secs(second));
        row.method = Some("notify".to_owned());
        row.response_body = Some(said);
        row
    }

    fn shown(number: u8, second: i64, text: &str) -> NoticeRow {
        NoticeRow::read(&row(number, second, json!({"result": text}))).unwrap()
    }

    fn words(text: &str) -> Words {
        Words::of(&NotifyRequest::new(text))
    }

    #[test]
    fn a_notice_and_its_row_have_the_same_words() {
        let file = NotifyAttachment::new("platform-pending:w/f", "a.txt");
        let notice = NotifyRequest::new("see here").attachment(file);
        let said = json!({"result": "see here", "parts": [{"kind": "file", "file": {"uri": "platform-pending:w/f", "name": "a.txt"}}]});
        assert_eq!(NoticeRow::read(&row(1, 5, said)).unwrap().words, Words::of(&notice));
        assert_ne!(shown(1, 5, "see here").words, Words::of(&notice), "the files count");
    }

    #[test]
    fn no_other_row_is_a_notice() {
        let mut of_a_peer = row(1, 5, json!({"result": "hello"}));
        of_a_peer.source_id = Some(WorkspaceId::from_random([9; 16]));
        let mut a_message = row(1, 5, json!({"result": "hello"}));
        a_message.method = Some("message/send".to_owned());
        for row in [of_a_peer, a_message, row(1, 5, json!(null)), row(1, 5, json!({"result": 7}))] {
            assert_eq!(NoticeRow::read(&row), None);
        }
    }

    #[test]
    fn the_row_of_another_notice_with_the_same_words_is_not_taken_for_it() {
        let mut notices = Notices::default();
        let since = UnixTime::from_secs(10);
        // An older row, one of an earlier notice that is sent and not seen, and one that waits before this notice.
        assert!(notices.see(shown(1, 9, "ok")).is_some());
        notices.sent(words("ok"), notices.mark(words("ok"), None, 0));
        let mark = notices.mark(words("ok"), Some(since), 1);
        assert_eq!(mark, Mark { since, before: 2 });
        for (number, is_shown) in [(2, false), (3, false), (4, true)] {
            notices.see(shown(number, 11, "ok"));
            assert_eq!(notices.shows(words("ok"), mark), is_shown, "{number}");
        }
    }

    #[test]
    fn a_row_counts_once_however_often_it_is_read() {
        let mut notices = Notices::default();
        let mark = notices.mark(words("ok"), Some(UnixTime::from_secs(0)), 1);
        assert!(notices.see(shown(1, 5, "ok")).is_some());
        assert!(notices.see(shown(1, 5, "ok")).is_none());
        assert!(!notices.shows(words("ok"), mark));
    }

    #[test]
    fn an_older_row_that_is_read_late_does_not_stand_for_a_newer_notice() {
        let mut notices = Notices::default();
        notices.sent(words("ok"), notices.mark(words("ok"), Some(UnixTime::from_secs(10)), 0));
        notices.see(shown(1, 4, "ok"));
        let mark = notices.mark(words("ok"), Some(UnixTime::from_secs(10)), 0);
        assert_eq!(mark.before, 1, "the first notice has shown no row yet");
        notices.see(shown(2, 11, "ok"));
        assert!(!notices.shows(words("ok"), mark));
        assert!(notices.unseen.is_empty());
    }

    #[test]
    fn rows_from_before_the_process_prove_nothing_for_its_own_notices() {
        let mut notices = Notices::default();
        notices.begin(Time::ZERO, || Some(UnixTime::from_secs(20)));
        notices.begin(Time::ZERO, || panic!("the first date counts"));
        let mark = notices.mark(words("ok"), Some(UnixTime::from_secs(10)), 0);
        assert_eq!(mark, Mark { since: UnixTime::from_secs(21), before: 0 });
        notices.see(shown(1, 20, "ok"));
        assert!(!notices.shows(words("ok"), mark));
        notices.see(shown(2, 22, "ok"));
        assert!(notices.shows(words("ok"), mark));

        // Without an earlier process, a notice of the first second is told by its row too.
        notices.begin_first();
        let mark = notices.mark(words("first"), Some(UnixTime::from_secs(10)), 0);
        notices.see(shown(3, 20, "first"));
        assert!(notices.shows(words("first"), mark));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut notices = Notices::default();
        for number in 0..20_000_u32 {
            let sent = words(&format!("sent {number}"));
            notices.sent(sent, notices.mark(sent, None, 0));
            let mut id = [0; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            let row = NoticeRow { id: ActivityId::from_random(id), ..shown(1, 5, &format!("seen {}", number % 7)) };
            notices.see(row);
        }
        assert!(notices.unseen.len() <= MAX_UNSEEN);
        assert_eq!(
            (notices.in_order.len(), notices.seen.values().map(BTreeMap::len).sum::<usize>()),
            (MAX_SEEN, MAX_SEEN)
        );
    }
}
