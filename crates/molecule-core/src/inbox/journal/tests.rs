//! Any sequence of records, written in any batches and cut at any byte, is read as one of the states on the way.

use bytes::Bytes;
use molecule_proto::{ActivityId, ActivityRow, ActivityType, UnixTime};
use proptest::prelude::*;
use serde_json::json;

use super::state::{MAX_DEAD, MAX_DEAD_BYTES, MAX_DONE, State};
use super::*;
use crate::event::ReplyEnd;
use crate::inbox::attachment::OutgoingFile;
use crate::inbox::message::InboundMessage;
use crate::inbox::sender::Sender;

/// The id of a row or a file, by a number.
fn row(number: u32) -> ActivityId {
    format!("00000000-0000-4000-8000-{number:012x}").parse().unwrap()
}

fn reply(text: &str) -> StoredReply {
    serde_json::from_value(json!({
        "to": Sender::User, "received_at": "2026-11-30T12:00:00Z", "replied_at": "2026-11-30T12:00:00Z",
        "in_reply_to": "m", "parts": [{ "kind": "text", "text": text }],
    }))
    .unwrap()
}

fn activity(number: u32, text: &str) -> ActivityRow {
    let workspace = "7fda77bf-a467-441c-9fab-7d8aba8e6040".parse().unwrap();
    let mut activity = ActivityRow::new(row(number), workspace, ActivityType::A2aReceive, UnixTime::from_secs(7));
    activity.request_body = Some(json!({ "params": { "message": { "text": text } } }));
    activity
}

fn handled(number: u32, reply: HandlerReply) -> Record {
    Record::Handled { row: row(number), message_id: Some(format!("message-{number}")), reply }
}

fn position(number: u32) -> Position {
    let (id, created_at) = (row(number), UnixTime::from_secs(number.into()));
    Position::Row { id, created_at, seq: (number > 2).then_some(number.into()) }
}

fn dead(activity: &ActivityRow, message_id: Option<&str>, attempts: u32, why: &str) -> Record {
    let letter = serde_json::to_string(activity).unwrap();
    let (row, message_id) = (activity.id.clone(), message_id.map(str::to_owned));
    Record::Dead { row, message_id, letter, attempts, why: why.to_owned() }
}

fn end() -> ReplyEnd {
    ReplyEnd::Delivered
}

fn record() -> impl Strategy<Value = Record> {
    let number = || 0u32..6;
    let text = || prop_oneof![Just(String::new()), "[a-zé\n\u{0}\"\\\\]{0,20}", Just("long ".repeat(2_000))];
    let handlers = || {
        prop_oneof![
            Just(HandlerReply::None),
            text().prop_map(|text| HandlerReply::Now(reply(&text))),
            Just(HandlerReply::Later(reply(""))),
        ]
    };
    prop_oneof![
        1 => (0i64..1_000).prop_map(|at| Record::Started { at: UnixTime::from_secs(at) }),
        6 => (number(), 1u32..5).prop_map(|(n, attempt)| Record::Begun { row: row(n), attempt }),
        2 => (number(), 1u32..5).prop_map(|(n, attempt)| Record::Interrupted { row: row(n), attempt }),
        2 => (number(), 0u32..5, 1u32..4).prop_map(|(n, attempt, times)| {
            Record::PutOff { row: row(n), attempt, since: UnixTime::from_secs(3), times }
        }),
        3 => (number(), 1u32..5, text()).prop_map(|(n, attempt, why)| Record::failed(&row(n), attempt, &why)),
        6 => (number(), handlers()).prop_map(|(n, reply)| handled(n, reply)),
        2 => (number(), number()).prop_map(|(at, name)| {
            let files = vec![OutgoingFile::uri(format!("https://h/{name}"))];
            Record::Attached { row: row(at), n: 0, files }
        }),
        3 => (number(), 0u32..3).prop_map(|(at, n)| Record::Marked { row: row(at), n, mark: mark(n) }),
        4 => (number(), 0u32..3).prop_map(|(at, n)| Record::ReplyEnded { row: row(at), n, end: end() }),
        3 => (number(), 1u32..4, text()).prop_map(|(n, attempts, why)| {
            dead(&activity(n, &why), Some("an id"), attempts, &why)
        }),
        3 => number().prop_map(|n| Record::Retried { row: row(n) }),
        2 => number().prop_map(|n| Record::OwnFile { file_id: format!("file-{n}") }),
        4 => number().prop_map(|n| Record::Cursor { position: position(n) }),
    ]
}

fn mark(before: u32) -> Mark {
    Mark { since: UnixTime::from_secs(5), before }
}

/// The content of a slot after these records, of which a batch is taken after each that says so.
fn written(records: &[(Record, bool)]) -> (Journal, Vec<u8>) {
    let mut journal = Journal::empty();
    let mut content = Vec::new();
    for (record, is_last) in records {
        journal.record(record.clone());
        if *is_last {
            content.extend_from_slice(&journal.batch().unwrap().0);
        }
    }
    content.extend(journal.batch().map(|(bytes, _)| bytes).unwrap_or_default());
    (journal, content)
}

fn read(content: &[u8]) -> Journal {
    Journal::read(content).unwrap_or_else(|damaged| panic!("{damaged}: {}", String::from_utf8_lossy(content)))
}

/// The states after the first records.
fn states(records: &[(Record, bool)]) -> Vec<State> {
    let mut states = vec![State::new()];
    for (record, _) in records {
        let mut next = states.last().unwrap().clone();
        next.apply(record.clone());
        states.push(next);
    }
    states
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_was_written_is_read_and_a_compaction_changes_no_state(
        records in proptest::collection::vec((record(), any::<bool>()), 0..40),
    ) {
        let (journal, content) = written(&records);
        let again = read(&content);
        prop_assert!(again.state == journal.state);
        prop_assert_eq!(again.length, content.len() as u64);
        let compacted = read(&journal.whole());
        prop_assert!(compacted.state == journal.state);
        prop_assert_eq!(compacted.whole(), journal.whole());
    }

    #[test]
    fn cut_at_any_byte_it_is_a_state_on_the_way_and_goes_on_from_there(
        records in proptest::collection::vec((record(), any::<bool>()), 1..12),
        cut in any::<proptest::sample::Index>(),
        zeros in 0usize..20,
        more in record(),
    ) {
        let (_, mut content) = written(&records);
        content.truncate(cut.index(content.len() + 1));
        content.extend(vec![0; zeros]);
        let mut journal = read(&content);
        let at = states(&records).iter().position(|state| *state == journal.state);
        prop_assert!(at.is_some(), "no state on the way");
        // The next process appends behind the torn end.
        journal.record(more);
        content.extend_from_slice(&journal.batch().unwrap().0);
        prop_assert!(read(&content).state == journal.state);
    }

    #[test]
    fn an_append_that_failed_part_way_or_wholly_arrived_may_be_repeated(
        records in proptest::collection::vec((record(), any::<bool>()), 1..30),
        cut in any::<proptest::sample::Index>(),
        last in any::<proptest::sample::Index>(),
    ) {
        let mut journal = Journal::empty();
        let mut content = Vec::new();
        let records = telling(records);
        let at = last.index(records.len());
        for (record, _) in &records[..at] {
            journal.record(record.clone());
        }
        content.extend(journal.batch().map(|(bytes, _)| bytes).unwrap_or_default());
        for (record, _) in &records[at..] {
            journal.record(record.clone());
        }
        let (batch, _) = journal.batch().unwrap();
        content.extend_from_slice(&batch[..cut.index(batch.len() + 1)]);
        content.extend_from_slice(&batch);
        prop_assert!(read(&content).state.knows_what(&journal.state));
    }

    #[test]
    fn a_batch_behind_a_compaction_that_contains_it_changes_nothing(
        records in proptest::collection::vec((record(), any::<bool>()), 1..30),
        last in any::<proptest::sample::Index>(),
    ) {
        let mut journal = Journal::empty();
        let records = telling(records);
        let at = last.index(records.len());
        records[..at].iter().for_each(|(record, _)| journal.record(record.clone()));
        journal.batch();
        records[at..].iter().for_each(|(record, _)| journal.record(record.clone()));
        let mut content = journal.whole();
        content.extend_from_slice(&journal.batch().unwrap().0);
        prop_assert!(read(&content).state.knows_what(&journal.state));
    }

    #[test]
    fn a_damaged_byte_is_told_or_harmless_and_the_rest_stays_known(
        records in proptest::collection::vec((record(), any::<bool>()), 1..12),
        at in any::<proptest::sample::Index>(),
        bit in 0u8..8,
    ) {
        let (_, mut content) = written(&records);
        let at = at.index(content.len());
        content[at] ^= 1 << bit;
        match Journal::read(&content) {
            // A length that became longer, or a line feed that was lost or made, looks as if the record were torn.
            Ok(journal) => prop_assert!(without_one(&records).contains(&journal.state)),
            Err(damaged) => {
                prop_assert!(!damaged.to_string().is_empty());
                let mut salvaged = damaged.salvaged();
                let (batch, durability) = salvaged.batch().unwrap();
                prop_assert_eq!(durability, Durability::Sync);
                prop_assert!(read(&batch).state == salvaged.state);
            }
        }
    }

    #[test]
    fn whatever_the_bytes_are_they_are_read_without_a_panic(content in proptest::collection::vec(any::<u8>(), 0..300)) {
        for content in [content.clone(), [&b"\nmolecule-inbox 1\n"[..], &content].concat()] {
            let journal = Journal::read(&content).unwrap_or_else(Damaged::salvaged);
            prop_assert!(read(&journal.whole()).state == journal.state);
        }
    }
}

/// The records that tell something new. Others, such as the failure of an attempt that never began, are in no journal.
fn telling(records: Vec<(Record, bool)>) -> Vec<(Record, bool)> {
    let mut state = State::new();
    let mut is_new = |(record, _): &(Record, bool)| {
        let before = state.clone();
        state.apply(record.clone());
        state != before
    };
    let mut telling: Vec<_> = records.into_iter().filter(|record| is_new(record)).collect();
    telling.push((Record::OwnFile { file_id: "last".to_owned() }, true));
    telling
}

/// The states after all records but one, two neighbours, or none.
fn without_one(records: &[(Record, bool)]) -> Vec<State> {
    let mut all = Vec::new();
    for length in 0..=records.len().min(2) {
        for from in 0..=records.len() - length {
            let left = [&records[..from], &records[from + length..]].concat();
            all.extend(states(&left).pop());
        }
    }
    all
}

#[test]
fn the_format_is_this_one() {
    let mut journal = Journal::started(UnixTime::from_secs(1_795_383_587));
    journal.record(Record::Begun { row: row(1), attempt: 1 });
    journal.record(Record::failed(&row(1), 1, "no luck"));
    journal.record(Record::Cursor { position: Position::Beginning });
    let (batch, durability) = journal.batch().unwrap();
    assert_eq!(durability, Durability::Sync);
    let lines: Vec<&str> = std::str::from_utf8(&batch).unwrap().split('\n').collect();
    let records: Vec<&str> = lines[2..].iter().map(|line| line.splitn(3, ' ').nth(2).unwrap()).collect();
    assert_eq!(lines[..2], ["", "molecule-inbox 1"]);
    assert_eq!(
        records,
        [
            r#"{"started":{"at":"2026-11-22T21:39:47Z"}}"#,
            r#"{"begun":{"row":"00000000-0000-4000-8000-000000000001","attempt":1}}"#,
            r#"{"failed":{"row":"00000000-0000-4000-8000-000000000001","attempt":1,"why":"no luck"}}"#,
            r#"{"cursor":{"position":{"at":"beginning"}}}"#,
        ]
    );
    journal.record(Record::Begun { row: row(2), attempt: 1 });
    let (batch, durability) = journal.batch().unwrap();
    assert_eq!(durability, Durability::None, "it guards against a process that dies");
    assert!(batch.starts_with(b"\n") && !batch.ends_with(b"\n"));
    assert!(journal.batch().is_none());
}

/// Else a message whose handler fails, or kills its process, would have all attempts again after each power failure.
#[test]
fn a_power_failure_takes_one_attempt_from_the_count() {
    let mut journal = Journal::started(UnixTime::from_secs(1));
    let _ = journal.batch();
    for (attempt, expected) in [(1, Durability::None), (2, Durability::Sync), (3, Durability::Sync)] {
        journal.record(Record::Begun { row: row(1), attempt });
        assert_eq!(journal.batch().unwrap().1, expected, "attempt {attempt}");
        journal.record(Record::failed(&row(1), attempt, "no luck"));
    }
}

#[test]
fn nothing_and_a_part_of_the_header_are_an_empty_journal() {
    let whole = Journal::started(UnixTime::from_secs(1)).batch().unwrap().0;
    for cut in 0..=b"\nmolecule-inbox ".len() {
        let mut journal = read(&whole[..cut]);
        assert_eq!(journal.state.started, None);
        // The next append begins with the header again.
        journal.record(Record::Started { at: UnixTime::from_secs(2) });
        let content = [&whole[..cut], &journal.batch().unwrap().0].concat();
        assert_eq!(read(&content).state.started, Some(UnixTime::from_secs(2)), "cut at {cut}");
    }
}

#[test]
fn a_file_that_is_no_journal_or_one_of_another_format_is_damaged() {
    for (content, why) in [
        (&b"tok-1234"[..], "first line is not that of a journal"),
        (b"\nmolecule-inbox 2\n", "another version"),
        (b"\nmolecule-inbox 1x\n", "another version"),
        (b"\nmolecule-inbox 1\n{}", "line 3 is not as it was written"),
    ] {
        let damaged = Journal::read(content).unwrap_err();
        assert!(damaged.to_string().contains(why), "{damaged}");
        assert!(damaged.salvaged().state == State::new());
    }
}

#[test]
fn a_record_of_a_later_version_is_skipped() {
    let mut content = Journal::started(UnixTime::from_secs(1)).batch().unwrap().0.to_vec();
    line::write(&mut content, br#"{"folded":{"row":"x"}}"#);
    line::write(&mut content, br#"{"begun":{"row":"00000000-0000-4000-8000-000000000001","attempt":2,"mood":"new"}}"#);
    let journal = read(&content);
    assert_eq!(journal.attempts(&row(1)), Attempts { begun: 2, failed: 0, put_off: None });
}

#[test]
fn an_attempt_that_never_ended_counts_and_one_that_a_stop_ended_does_not() {
    let mut journal = Journal::started(UnixTime::from_secs(1));
    journal.record(Record::Begun { row: row(1), attempt: 1 });
    let content = journal.batch().unwrap().0;
    assert_eq!(read(&content).attempts(&row(1)), Attempts { begun: 1, failed: 0, put_off: None });
    journal.record(Record::failed(&row(1), 1, "panicked"));
    journal.record(Record::Interrupted { row: row(1), attempt: 1 });
    journal.record(Record::Begun { row: row(1), attempt: 2 });
    assert_eq!(journal.attempts(&row(1)), Attempts { begun: 2, failed: 1, put_off: None });
    journal.record(Record::Interrupted { row: row(1), attempt: 2 });
    assert_eq!(journal.attempts(&row(1)), Attempts { begun: 1, failed: 1, put_off: None });
    journal.record(handled(1, HandlerReply::None));
    assert_eq!(journal.attempts(&row(1)), Attempts::default());
    journal.record(Record::Begun { row: row(1), attempt: 2 });
    assert_eq!(journal.attempts(&row(1)), Attempts::default(), "it is done");
}

#[test]
fn a_reply_is_unsent_until_its_end_and_is_never_given_again() {
    let mut journal = Journal::started(UnixTime::from_secs(1));
    journal.record(handled(1, HandlerReply::Now(reply("done"))));
    assert!(journal.is_done(&row(1)) && journal.is_known_message("message-1") && !journal.is_known_message("m"));
    let unsent = |journal: &Journal| journal.unsent().map(|unsent| (unsent.n, unsent.reply.text())).collect::<Vec<_>>();
    assert_eq!(unsent(&journal), [(0, "done".to_owned())]);
    journal.record(Record::Marked { row: row(1), n: 0, mark: mark(7) });
    let mut journal = read(&written_again(&mut journal));
    assert_eq!(journal.unsent().next().unwrap().mark, Some(mark(7)));
    // Another row of the message, or the same one, changes nothing.
    journal.record(handled(1, HandlerReply::Now(reply("done again"))));
    assert_eq!(unsent(&journal), [(0, "done".to_owned())]);
    journal.record(Record::ReplyEnded { row: row(1), n: 0, end: end() });
    let mut journal = read(&written_again(&mut journal));
    journal.record(handled(1, HandlerReply::Now(reply("done again"))));
    assert_eq!(unsent(&journal), []);
}

#[test]
fn a_reply_that_was_put_off_is_known_with_its_address() {
    let mut journal = Journal::started(UnixTime::from_secs(1));
    journal.record(handled(1, HandlerReply::Later(reply(""))));
    let journal = read(&written_again(&mut journal));
    assert_eq!(journal.later(&row(1)), Some(&reply("")));
    assert!(journal.is_done(&row(1)) && journal.unsent().next().is_none());
    assert_eq!(journal.later(&row(2)), None);
}

#[test]
fn a_dead_letter_is_kept_with_its_row_also_while_it_is_given_again() {
    let deep = (0..99).fold(json!("core"), |inner, _| json!([inner]));
    let mut activity = activity(1, "poison");
    activity.request_body = Some(deep);
    let mut journal = Journal::started(UnixTime::from_secs(1));
    journal.record(Record::Begun { row: row(1), attempt: 1 });
    journal.record(dead(&activity, Some("m"), 3, "poison"));
    let mut journal = read(&written_again(&mut journal));
    let letter = journal.dead_letters().next().unwrap();
    assert_eq!(letter.activity().unwrap(), activity);
    assert_eq!((letter.attempts, letter.why.as_str(), letter.is_retried), (3, "poison", false));
    assert!(journal.is_done(&row(1)) && journal.is_known_message("m"));

    journal.record(Record::Retried { row: row(1) });
    let mut journal = read(&written_again(&mut journal));
    assert!(journal.dead_letter(&row(1)).unwrap().is_retried && journal.is_done(&row(1)));
    assert_eq!(journal.attempts(&row(1)), Attempts::default());
    journal.record(Record::Begun { row: row(1), attempt: 1 });
    assert_eq!(journal.attempts(&row(1)).begun, 1);
    journal.record(handled(1, HandlerReply::None));
    assert!(journal.dead_letter(&row(1)).is_none() && journal.is_done(&row(1)));
}

/// Everything that the journal has to write, as the content of a slot.
fn written_again(journal: &mut Journal) -> Vec<u8> {
    let whole = journal.whole();
    let appended = journal.batch().map(|(bytes, _)| bytes).unwrap_or_default();
    // Both ways to the slot tell the same state.
    assert!(appended.is_empty() || !read(&[&whole[..], &appended].concat()).whole().is_empty());
    whole
}

#[test]
fn what_is_remembered_is_bounded_and_the_newest_of_it() {
    let mut journal = Journal::started(UnixTime::from_secs(1));
    let long = "an id that a stranger has chosen ".repeat(20);
    let most = u32::try_from(MAX_DONE).unwrap();
    for number in 0..most + 100 {
        let message_id = Some(format!("{long}{number}"));
        journal.record(Record::Handled { row: row(number), message_id, reply: HandlerReply::None });
        journal.record(Record::OwnFile { file_id: format!("{long}{number}") });
    }
    assert!(!journal.is_done(&row(99)) && journal.is_done(&row(100)) && journal.is_done(&row(most + 99)));
    assert!(!journal.is_known_message(&format!("{long}99")) && journal.is_known_message(&format!("{long}100")));
    assert!(!journal.is_own_file(&format!("{long}99")) && journal.is_own_file(&format!("{long}100")));
    // However long the ids are: 35 bytes for each of a row, a message and a file.
    let whole = journal.whole();
    assert!(whole.len() < MAX_DONE * 3 * 36, "{} bytes", whole.len());
    assert!(read(&whole).state == journal.state);
}

#[test]
fn the_record_of_a_message_has_its_row_and_the_text_by_which_its_copies_are_told() {
    let mut activity = activity(1, "x");
    activity.request_body = Some(json!({
        "jsonrpc": "2.0", "id": "1", "method": "message/send",
        "params": { "message": { "role": "user", "messageId": "m-1", "parts": [{ "kind": "text", "text": "hello" }] } },
    }));
    let message = InboundMessage::from_row(activity.clone(), Sender::User, Vec::new());
    let key = message.duplicate_key().unwrap().to_owned();
    let mut journal = Journal::started(UnixTime::from_secs(1));
    journal.record(Record::dead(&message, 3, &"é".repeat(1_000)));
    let letter = journal.dead_letter(message.id()).unwrap();
    assert_eq!((letter.activity(), letter.why.chars().count()), (Some(activity), 500));
    journal.record(Record::Retried { row: row(1) });
    journal.record(Record::handled(&message, HandlerReply::None));
    assert!(journal.dead_letter(message.id()).is_none());
    assert!(journal.is_done(message.id()) && journal.is_known_message(&key));
}

#[test]
fn the_oldest_dead_letters_are_dropped_beyond_their_bounds() {
    let mut journal = Journal::started(UnixTime::from_secs(1));
    let numbers = |journal: &Journal| journal.dead_letters().map(|letter| letter.row.clone()).collect::<Vec<_>>();
    let most = u32::try_from(MAX_DEAD).unwrap();
    for number in 0..=most {
        journal.record(dead(&activity(number, "small"), None, 3, ""));
    }
    assert_eq!(numbers(&journal), (1..=most).map(row).collect::<Vec<_>>());
    let large = "x".repeat(MAX_DEAD_BYTES / 3);
    for number in 2_000..2_003 {
        journal.record(dead(&activity(number, &large), None, 3, ""));
    }
    assert_eq!(numbers(&journal), [row(2_001), row(2_002)]);
    let whole = "x".repeat(MAX_DEAD_BYTES + 1);
    journal.record(dead(&activity(3_000, &whole), None, 3, ""));
    assert_eq!(numbers(&journal), [row(3_000)], "the newest is kept, however large it is");
}

#[test]
fn a_journal_is_compacted_once_it_has_grown_and_everything_is_written() {
    let mut journal = Journal::started(UnixTime::from_secs(1));
    let text = "x".repeat(1_000);
    let mut compactions = 0;
    let mut longest = 0;
    for number in 0..2_000 {
        journal.record(handled(number, HandlerReply::Now(reply(&text))));
        assert!(journal.compacted().is_none(), "something is not written yet");
        journal.batch().unwrap();
        journal.record(Record::ReplyEnded { row: row(number), n: 0, end: end() });
        journal.batch().unwrap();
        longest = longest.max(journal.length);
        if let Some(content) = journal.compacted() {
            compactions += 1;
            assert_eq!(journal.length, content.len() as u64);
            assert!(read(&content).state == journal.state);
            assert!(journal.compacted().is_none());
        }
    }
    // A batch that is to come soon needs no second place.
    for number in 0..2 * u32::try_from(MIN_GROWTH).unwrap() / 50_000 {
        journal.record(handled(5_000 + number, HandlerReply::Now(reply(&"x".repeat(50_000)))));
    }
    journal.batch().unwrap();
    journal.record(Record::Begun { row: row(9_000), attempt: 1 });
    assert!(journal.compacted().is_none());
    journal.batch().unwrap();
    assert!(journal.compacted().is_some());
    assert!((3..12).contains(&compactions), "{compactions}");
    assert!(longest < 3 * MIN_GROWTH, "{longest}");
}

/// While messages come without a pause, there is always something that is not written yet.
#[test]
fn a_journal_that_is_never_all_written_is_compacted_once_it_has_grown_by_much() {
    let mut journal = Journal::started(UnixTime::from_secs(1));
    let text = "x".repeat(10_000);
    let (mut compactions, mut longest, mut slot) = (0, 0, Vec::new());
    for number in 0..2_000 {
        slot.extend_from_slice(&journal.batch().unwrap().0);
        journal.record(handled(number, HandlerReply::Now(reply(&text))));
        journal.record(Record::ReplyEnded { row: row(number), n: 0, end: end() });
        longest = longest.max(journal.length);
        if let Some(content) = journal.compacted() {
            compactions += 1;
            slot = content.to_vec();
        }
    }
    assert!((2..4).contains(&compactions), "{compactions}");
    assert!(longest < 2 * MAX_GROWTH, "{longest}");
    slot.extend_from_slice(&journal.batch().unwrap().0);
    assert!(read(&slot).state.knows_what(&journal.state));
}

#[test]
fn a_journal_with_much_to_send_is_full_until_it_is_sent() {
    let mut journal = Journal::started(UnixTime::from_secs(1));
    let text = "x".repeat(4_000_000);
    for number in 0..9 {
        assert_eq!(journal.is_full(), number == 9);
        journal.record(handled(number, HandlerReply::Now(reply(&text))));
        journal.batch();
    }
    assert!(journal.is_full());
    let content = journal.compacted().unwrap();
    assert!((content.len() as u64) < crate::effect::Slot::Inbox.max_content());
    for number in 0..9 {
        journal.record(Record::ReplyEnded { row: row(number), n: 0, end: end() });
    }
    assert!(!journal.is_full());
}

#[test]
fn debug_shows_no_content() {
    let mut journal = Journal::started(UnixTime::from_secs(1));
    journal.record(handled(1, HandlerReply::Now(reply("between us"))));
    let (batch, _): (Bytes, _) = journal.batch().unwrap();
    assert!(String::from_utf8_lossy(&batch).contains("between us"));
    assert!(!format!("{journal:?}").contains("between us"));
}
