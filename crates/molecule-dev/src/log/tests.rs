//! The log under any history, and cut at any byte.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // Times are printed, and judged by people.

mod history;

use std::time::Instant;

use molecule_platform::{Now, Platform};
use proptest::prelude::*;
use proptest::test_runner::{FailurePersistence, FileFailurePersistence};

use super::{Entry, Log, Repeats, Start, Store, replay};
use history::{History, Op, fingerprint};

/// So many cases; one that failed is kept beside this file, and every later run tries it first.
fn cases(cases: u32) -> ProptestConfig {
    let failure_persistence: Option<Box<dyn FailurePersistence>> =
        Some(Box::new(FileFailurePersistence::WithSource("regressions")));
    ProptestConfig { cases, failure_persistence, ..ProptestConfig::default() }
}

/// What is left of a history after a restart.
struct Restarted {
    log: Log,
    platform: Platform,
    last: Option<Now>,
    cut: u64,
}

fn restart(bytes: &[u8]) -> Option<Restarted> {
    let mut store = Store::memory();
    store.append(bytes).unwrap();
    match replay(store, |_, _, _, _| {}).unwrap() {
        Start::Empty(store) => {
            assert_eq!(store.len(), 0);
            None
        }
        Start::Replayed(replayed) => {
            assert_eq!(replayed.opened.mismatched, 0, "{:?}", replayed.opened.mismatches);
            let (log, platform, last) = (replayed.log, replayed.platform, replayed.last);
            Some(Restarted { log, platform, last, cut: replayed.opened.cut })
        }
    }
}

/// Restarts on the first bytes of a history, and compares with what its complete lines make.
fn check_cut(history: &History, bytes: &[u8], cut: usize) {
    let kept = &bytes[..cut];
    let lines = kept.iter().filter(|byte| **byte == b'\n').count();
    let Some(restarted) = restart(kept) else {
        assert_eq!(lines, 0, "a log with a header is replayed");
        return;
    };
    let whole = kept.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    assert_eq!((restarted.log.line(), restarted.cut), (lines as u64, (cut - whole) as u64));
    assert_eq!(restarted.log.store().len(), whole as u64);
    let mut expected = Platform::new(restarted.log.header.config());
    for (at, input) in &history.inputs[..lines - 1] {
        let _ = expected.step(*at, input.clone());
    }
    assert_eq!(restarted.last, lines.checked_sub(2).map(|line| history.inputs[line].0));
    let now = restarted.last.unwrap_or(history.now);
    assert_eq!(fingerprint(&restarted.platform, now), fingerprint(&expected, now), "cut at byte {cut}");
    // It is written on as if nothing had happened.
    let mut went_on = History::on(restarted.log, restarted.platform, now, history.tokens.clone());
    let ops = [Op::Create, Op::Beat(0), Op::UserMessage(0), Op::Beat(0), Op::Wait(200)];
    ops.iter().for_each(|op| went_on.perform(op));
    let again = restart(&went_on.bytes()).unwrap();
    assert_eq!(fingerprint(&again.platform, went_on.now), fingerprint(&went_on.platform, went_on.now));
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn any_sequence_of_inputs_cut_anywhere_restarts_to_the_same_state(
        april in any::<bool>(),
        ops in prop::collection::vec(history::ops(), 1..60),
        place in 0.0..=1.0f64,
    ) {
        let mut history = History::new(april, 7);
        ops.iter().for_each(|op| history.perform(op));
        let bytes = history.bytes();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let cut = (bytes.len() as f64 * place) as usize;
        check_cut(&history, &bytes, cut);
        check_cut(&history, &bytes, bytes.len());
    }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn reads_that_are_counted_leave_the_same_state_as_if_each_had_been_written(
        april in any::<bool>(),
        ops in prop::collection::vec(history::ops(), 1..60),
    ) {
        let mut history = History::new(april, 7);
        history.repeats = Some(Repeats::default());
        ops.iter().for_each(|op| history.perform(op));
        history.flush();
        let restarted = restart(&history.bytes()).unwrap();
        prop_assert_eq!(fingerprint(&restarted.platform, history.now), fingerprint(&history.platform, history.now));
        prop_assert!(history.log.line() <= 1 + history.inputs.len() as u64);
    }
}

#[test]
fn an_idle_agent_leaves_a_line_every_five_minutes() {
    let mut history = History::new(false, 7);
    history.repeats = Some(Repeats::default());
    [Op::Create, Op::Register(0, false), Op::Beat(0), Op::Polls(0, 10)].iter().for_each(|op| history.perform(op));
    let before = (history.log.line(), history.inputs.len());
    // 700 ms between two reads of both kinds, for 35 minutes, with a heartbeat each half a minute.
    for _ in 0..70 {
        history.perform(&Op::Polls(0, 43));
        history.perform(&Op::Beat(0));
    }
    let inputs = history.inputs.len() - before.1;
    let lines = history.log.line() - before.0;
    assert!(inputs > 6000 && lines < 70 + 2 * 8, "{lines} lines for {inputs} inputs");
    history.flush();
    let restarted = restart(&history.bytes()).unwrap();
    assert_eq!(fingerprint(&restarted.platform, history.now), fingerprint(&history.platform, history.now));
}

#[test]
fn a_read_that_notices_what_was_due_is_written() {
    let mut history = History::new(false, 7);
    history.repeats = Some(Repeats::default());
    let ops = [
        Op::Create,
        Op::Register(0, false),
        Op::Beat(0),
        Op::Polls(0, 6),
        Op::Late(300),
        Op::Polls(0, 1),
        Op::Late(50),
    ];
    ops.iter().for_each(|op| history.perform(op));
    history.perform(&Op::Create);
    let restarted = restart(&history.bytes()).unwrap();
    // The workspace was changed when the read came, not when the next line was written.
    assert_eq!(fingerprint(&restarted.platform, history.now), fingerprint(&history.platform, history.now));
}

#[test]
fn a_log_that_was_cut_at_any_byte_starts_again() {
    let mut history = History::new(false, 7);
    let ops =
        [Op::Create, Op::Register(0, false), Op::Beat(0), Op::Beat(0), Op::UserMessage(0), Op::Poll(0), Op::Poll(0)];
    ops.iter().for_each(|op| history.perform(op));
    let bytes = history.bytes();
    (0..=bytes.len())
        .step_by(7)
        .chain(bytes.len() - 120..=bytes.len())
        .for_each(|cut| check_cut(&history, &bytes, cut));
}

#[test]
fn ten_thousand_recorded_inputs_replay_byte_equal() {
    let mut history = History::new(false, 7);
    let mut steps = Vec::new();
    let ops = history::busy();
    for op in ops.iter().cycle() {
        if history.inputs.len() >= 10_000 {
            break;
        }
        history.perform(op);
        steps.append(&mut history.steps);
    }
    let bytes = history.bytes();
    let mut store = Store::memory();
    store.append(&bytes).unwrap();
    let (mut replayed, started) = (0, Instant::now());
    let start = replay(store, |_, entry, step, _| {
        if let (Entry::Input(..), Some(step)) = (entry, step) {
            // The whole step, with every byte of every answer and call.
            assert_eq!(format!("{step:?}"), steps[replayed], "input {replayed}");
            replayed += 1;
        }
    });
    let Start::Replayed(opened) = start.unwrap() else { panic!("the log has a header") };
    assert!(replayed >= 10_000);
    assert_eq!(opened.opened.mismatched, 0);
    println!("{replayed} inputs, {} KiB: replayed and compared in {:?}", bytes.len() >> 10, started.elapsed());
}

#[test]
#[ignore = "it prints how long a week of ten agents takes; run it with --release"]
fn a_week_of_ten_agents_opens() {
    let mut history = History::new(false, 7);
    for agent in 0..10 {
        history.perform(&Op::Create);
        history.perform(&Op::Register(agent, false));
    }
    history.keeps_steps = false;
    history.repeats = Some(Repeats::default());
    let rounds = 7 * 24 * 3600 / 30;
    for round in 0..rounds {
        for agent in 0..10 {
            history.perform(&Op::Beat(agent));
            // Every five seconds or so.
            history.perform(&Op::Polls(agent, 6));
        }
        if round % 20 == 0 {
            history.perform(&Op::UserMessage(round % 10));
        }
    }
    let bytes = history.bytes();
    let (lines, mib) = (history.log.line(), bytes.len() >> 20);
    let mut store = Store::memory();
    store.append(&bytes).unwrap();
    let started = Instant::now();
    let _ = replay(store, |_, _, _, _| {}).unwrap();
    println!("{lines} lines, {mib} MiB: replayed in {:?}", started.elapsed());
}

#[test]
fn a_request_like_an_earlier_one_takes_little_room() {
    let mut history = History::new(false, 7);
    history.perform(&Op::Create);
    history.perform(&Op::Register(0, false));
    (0..10).for_each(|_| history.perform(&Op::Beat(0)));
    let before = history.log.store().len();
    (0..100).for_each(|_| history.perform(&Op::Beat(0)));
    let each = (history.log.store().len() - before) / 100;
    assert!(each < 200, "{each} bytes a heartbeat");
}

#[test]
fn every_line_is_read_back_as_it_was_written_forwards_backwards_and_alone() {
    let mut history = History::new(false, 7);
    history::busy().iter().cycle().take(300).for_each(|op| history.perform(op));
    let mut reader = history.log.reader().unwrap();
    let text = |entry: &Entry| match entry {
        Entry::Input(recorded, _) => serde_json::to_string(recorded).unwrap(),
        Entry::Note(..) => panic!("the history has no notes"),
    };
    let mut forwards = Vec::new();
    reader
        .each(1..=u64::MAX, |line, entry| {
            forwards.push((line, text(&entry)));
            true
        })
        .unwrap();
    assert_eq!(forwards.len(), history.inputs.len());
    for ((line, text), (_, input)) in forwards.iter().zip(&history.inputs) {
        let input = serde_json::to_string(input).unwrap();
        assert!(text.contains(&input), "line {line}");
    }
    let mut backwards = Vec::new();
    reader
        .each_back(u64::MAX, |line, entry| {
            backwards.push((line, text(&entry)));
            true
        })
        .unwrap();
    backwards.reverse();
    assert_eq!(backwards, forwards);
    for (line, written) in forwards.iter().step_by(17) {
        assert_eq!(&text(&reader.entry(*line).unwrap()), written);
    }
    assert!(reader.entry(1).is_err() && reader.entry(u64::MAX).is_err());
}

#[test]
fn a_line_in_the_middle_that_is_damaged_is_named_and_nothing_is_cut() {
    let mut history = History::new(false, 7);
    [Op::Create, Op::Beat(0), Op::Beat(0)].iter().for_each(|op| history.perform(op));
    let text = String::from_utf8(history.bytes()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (damaged, number) in [("{", 2), ("{\"at\":[1,1]}", 3), ("", 3), ("{\"at\":[1,1],\"like\":{\"line\":9}}", 3)] {
        let mut lines = lines.clone();
        lines[number - 1] = damaged;
        let mut store = Store::memory();
        store.append(format!("{}\n", lines.join("\n")).as_bytes()).unwrap();
        let Err(error) = replay(store, |_, _, _, _| {}) else { panic!("{damaged:?} is no line") };
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert!(error.to_string().contains(&format!("line {number} ")), "{error}");
    }
}
