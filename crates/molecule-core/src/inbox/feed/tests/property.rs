//! Random worlds: every row is handed out, none twice, and the cursor passes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use molecule_proto::UnixTime;
use proptest::prelude::*;

use super::model::{Model, ms, secs};
use super::world::World;
use crate::config::inbox::{Backlog, InboxOptions};
use crate::machine::Cx;

/// What happens next in a random world.
#[derive(Debug, Clone)]
enum Act {
    /// A row is written that becomes visible so many ms later; `at_once` in the same instant as the one before.
    Write {
        late: u64,
        at_once: bool,
    },
    Many(usize),
    Advance(u64),
    Answer,
    Run,
    Wake,
    Finish(usize),
    FinishAll,
    Save,
    Crash,
    /// The server deletes the finished rows that are older than this.
    Prune(u64),
    Gone(u32),
    Fail,
    Fits(usize),
    Pause(bool),
    Live(bool),
}

fn act() -> impl Strategy<Value = Act> {
    let late = prop_oneof![3 => Just(0), 2 => 0..300_u64, 2 => 0..30_000_u64];
    prop_oneof![
        8 => (late, any::<bool>()).prop_map(|(late, at_once)| Act::Write { late, at_once }),
        1 => (1..12_usize).prop_map(Act::Many),
        6 => prop_oneof![0..50_u64, 0..5_000_u64, 0..60_000_u64].prop_map(Act::Advance),
        4 => Just(Act::Answer),
        6 => Just(Act::Run),
        3 => Just(Act::Wake),
        4 => (0..20_usize).prop_map(Act::Finish),
        2 => Just(Act::FinishAll),
        2 => Just(Act::Save),
        2 => Just(Act::Crash),
        1 => (0..100_000_u64).prop_map(Act::Prune),
        1 => (1..4_u32).prop_map(Act::Gone),
        1 => Just(Act::Fail),
        1 => prop_oneof![Just(usize::MAX), 1..4_usize].prop_map(Act::Fits),
        1 => any::<bool>().prop_map(Act::Pause),
        1 => any::<bool>().prop_map(Act::Live),
    ]
}

fn play(april: bool, backlog: Backlog, page: u32, before: usize, acts: Vec<Act>) -> World {
    let mut model = Model::new(april);
    // An old row is always there: only with a page of at least as many rows as one instant has can the very first rows
    // be found without it.
    let old = model.insert(model.now - secs(20 * 24 * 3600), model.now - secs(20 * 24 * 3600));
    let mut optional = BTreeSet::from([old]);
    for n in 0..before {
        let at = model.now - secs(40 + u64::try_from(n).unwrap() / 3);
        let row = model.insert(at, at);
        match backlog {
            Backlog::FromNow => optional.insert(row),
            Backlog::Since(_) | Backlog::All => false,
        };
    }
    // April's server shows no more than a page.
    let page = if april { 500 } else { page };
    let mut world = World::new(model, InboxOptions::new().backlog(backlog), page);
    world.optional = optional;
    world.run();
    let mut anchor = world.model.now;
    for act in acts {
        match act {
            Act::Write { late, at_once } => {
                anchor = if at_once { anchor } else { world.model.now };
                // Nothing is written in an instant that is long past.
                let created = if world.model.now.since(anchor) > ms(500) { world.model.now } else { anchor };
                let visible = (created + ms(late)).max(world.model.now);
                world.model.insert(created, visible);
            }
            Act::Many(rows) => (0..rows).for_each(|_| drop(world.model.write(Duration::ZERO))),
            Act::Advance(time) => world.advance(ms(time)),
            Act::Answer => {
                world.settle();
                world.answer();
            }
            Act::Run => world.run(),
            Act::Wake => {
                let now = world.mono;
                world.feed.wake(now);
            }
            Act::Finish(nth) => {
                let row = world.handed.difference(&world.finished).nth(nth).cloned();
                if let Some(row) = row {
                    world.finish(&row);
                }
            }
            Act::FinishAll => world.finish_all(),
            Act::Save => world.save(),
            Act::Crash => world.crash(),
            Act::Prune(age) => {
                let (now, finished) = (world.model.now, &world.finished);
                world.model.rows.iter_mut().skip(1).for_each(|stored| {
                    if finished.contains(&stored.row.id) && now.since(stored.row.created_at) > ms(age) {
                        // The row stays in the list, so that ids and counters go on.
                        stored.visible_at = UnixTime::from_secs(i64::MAX);
                    }
                });
            }
            Act::Gone(times) => world.model.gone = times,
            Act::Fail => world.model.failing = 1,
            // What does not fit into April's one page is lost.
            Act::Fits(rows) => world.model.fits = if april { usize::MAX } else { rows },
            Act::Pause(is_paused) => world.feed.pause(is_paused),
            Act::Live(is_live) => {
                let mut cx = Cx { now: world.now(), session: &mut world.session };
                world.feed.set_live(&mut cx, is_live, is_live && world.mono.as_nanos().is_multiple_of(2));
            }
        }
        world.check();
    }
    world.feed.pause(false);
    (world.model.gone, world.model.failing, world.model.fits) = (0, 0, usize::MAX);
    for _ in 0..4 {
        world.pass(secs(40));
        world.finish_all();
    }
    world.assert_all_handed();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_row_is_handed_out_and_none_again_once_it_is_finished(
        april in any::<bool>(),
        backlog in prop_oneof![Just(Backlog::All), Just(Backlog::Since(Duration::from_secs(3600))), Just(Backlog::FromNow)],
        page in prop_oneof![1..8_u32, Just(500)],
        before in prop_oneof![Just(0), 0..30_usize],
        acts in prop::collection::vec(act(), 0..60),
    ) {
        let mut world = play(april, backlog, page, before, acts);
        // A last row moves the cursor behind all others, and memory holds no more than its neighbourhood.
        world.advance(secs(100));
        let last = world.model.write(Duration::ZERO);
        world.pass(secs(61));
        world.finish_all();
        world.model.write(Duration::ZERO);
        // Twice, since a pass of several pages learns in the last one how old the rows of the first are.
        world.pass(secs(61));
        world.finish_all();
        world.pass(secs(61));
        prop_assert!(world.feed.reader.size() <= 2, "{} rows in memory", world.feed.reader.size());
        let cursor = world.feed.cursor().unwrap();
        prop_assert_eq!(cursor.place().map(|place| place.id), Some(last));
    }
}
