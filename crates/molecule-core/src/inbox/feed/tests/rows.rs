//! Which rows are handed out: many, late, large and odd ones.

use std::time::Duration;

use super::model::{Model, id, ms, secs};
use super::world::{World, begun, options};
use crate::config::inbox::InboxOptions;
use crate::error::ErrorKind;
use crate::inbox::feed::Position;

#[test]
fn a_thousand_waiting_messages_are_read_without_a_pause_and_in_order() {
    for (cap, requests) in [(500, 11), (100, 45)] {
        let mut model = Model::new(false);
        model.cap = cap;
        let rows: Vec<_> = (0..1000).map(|n| model.insert(model.now - secs(2000 - n), model.now)).collect();
        let mut world = World::new(model, InboxOptions::new(), 500);
        world.run();
        assert_eq!(world.order, rows, "all at once, the oldest first");
        assert!(world.model.requests.len() <= requests, "{cap} rows a page: {:#?}", world.model.requests);
        world.model.count();
        // The cursor has moved on with them, so that nothing is read again.
        world.finish_all();
        let Some(Position::Row { id, .. }) = world.feed.cursor() else { panic!("no cursor") };
        assert!(rows[960..].contains(&id), "{id:?}");
        world.pass(secs(5));
        assert_eq!(world.model.count(), 1);
        // The same after hours without a connection, when the feed has a base to read on from.
        let rows: Vec<_> =
            (0..1000).map(|n| world.model.insert(world.model.now + secs(n * 10), world.model.now)).collect();
        world.advance(secs(10_000));
        world.order.clear();
        world.feed.wake(world.mono);
        world.run();
        assert_eq!(world.order, rows);
        world.finish_all();
        let Some(Position::Row { id, .. }) = world.feed.cursor() else { panic!("no cursor") };
        assert!(rows[990..].contains(&id), "the first pass shows that they are old");
    }
}

#[test]
fn a_row_that_becomes_visible_late_is_handed_out_then() {
    for april in [false, true] {
        let mut world = begun(april, options());
        let late = world.model.write(secs(30));
        let rows: Vec<_> = (0..40)
            .map(|_| {
                world.pass(secs(1));
                world.model.write(Duration::ZERO)
            })
            .collect();
        world.pass(secs(6));
        world.assert_all_handed();
        let at = world.order.iter().position(|row| *row == late).unwrap();
        assert!(at >= 28 && world.order.len() == rows.len() + 1, "the others did not wait for it");
    }
}

#[test]
fn a_tail_of_more_than_a_page_is_read_whole_now_and_then_and_misses_nothing() {
    let mut world = World::new(Model::new(false), options(), 20);
    world.run();
    world.model.write(Duration::ZERO);
    world.pass(secs(50));
    world.model.count();
    let mut requests = Vec::new();
    // 20 rows a second for a minute, each tenth of them late by up to 30 s; a wake for each.
    for n in 0..1200_u64 {
        world.advance(ms(50));
        world.model.write(if n % 10 == 0 { ms(n * 7919 % 30_000) } else { Duration::ZERO });
        world.feed.wake(world.mono);
        world.run();
        requests.push(world.model.count());
        world.finish_all();
    }
    let total: usize = requests.iter().sum();
    assert!(total < 3 * requests.len(), "{total} requests for {} rows", requests.len());
    world.pass(secs(90));
    world.assert_all_handed();
}

#[test]
fn a_small_page_of_aprils_server_that_leaves_rows_out_is_not_all_that_is_read() {
    let mut world = begun(true, options());
    world.model.fits = 4;
    for _ in 0..3 {
        (0..60).for_each(|_| drop(world.model.write(Duration::ZERO)));
        world.pass(secs(20));
    }
    assert!(world.order.is_empty(), "{:?}", world.order);
    world.model.fits = usize::MAX;
    world.pass(secs(60));
    world.assert_all_handed();
    assert_eq!(world.warnings, [""; 0]);
    // Rows that never fit are told of, and hold the others up for a while alone.
    world.model.fits = 4;
    (0..60).for_each(|_| drop(world.model.write(Duration::ZERO)));
    world.pass(secs(300));
    assert!(world.warnings.iter().any(|warning| warning.contains("are lost")), "{:?}", world.warnings);
    assert!((181..240).contains(&world.order.len()), "{}", world.order.len());
}

#[test]
fn a_page_that_is_too_large_is_asked_for_in_smaller_ones() {
    let mut model = Model::new(false);
    let rows: Vec<_> = (0..1200).map(|n| model.insert(model.now - secs(2000 - n), model.now)).collect();
    model.fits = 40;
    let mut world = World::new(model, options(), 500);
    world.run();
    assert_eq!(world.order, rows);
    world.model.count();
    // Larger ones are tried again.
    world.model.fits = usize::MAX;
    world.finish_all();
    world.crash();
    world.finished.clear();
    world.saved = Some(Position::Beginning);
    world.crash();
    world.run();
    assert!(world.model.count() < 10);
    // A row that does not fit alone is a failure, and none without end.
    world.model.fits = 0;
    world.model.write(Duration::ZERO);
    world.pass(secs(60));
    assert!(world.failures.contains(&ErrorKind::TooLarge));
    assert!(world.model.count() < 100);
}

#[test]
fn a_page_with_many_rows_that_cannot_be_read_is_one_warning() {
    let mut world = begun(false, options());
    let rows: Vec<_> = (0..200).map(|_| world.model.write(Duration::ZERO)).collect();
    world.model.broken.extend(rows[..150].iter().cloned());
    world.pass(secs(30));
    assert_eq!(world.order, rows[150..]);
    let [warning] = &world.warnings[..] else { panic!("{:?}", world.warnings) };
    assert!(warning.contains("150 rows") && warning.contains(rows[0].as_str()), "{warning}");
    assert!(warning.contains("no row of the feed, from line"), "{warning}");
}

#[test]
fn a_row_that_cannot_be_read_is_passed_and_told_once() {
    let mut world = begun(false, options());
    let [before, broken, after] = [(); 3].map(|()| world.model.write(Duration::ZERO));
    world.model.broken.insert(broken.clone());
    world.pass(secs(30));
    assert_eq!(world.order, [before, after]);
    assert_eq!(world.warnings.len(), 1);
    assert!(world.warnings[0].contains(broken.as_str()), "{}", world.warnings[0]);
    world.finish_all();
    world.advance(secs(60));
    world.optional.insert(broken);
    let last = world.model.write(Duration::ZERO);
    world.pass(secs(60));
    world.finish_all();
    world.model.write(Duration::ZERO);
    world.pass(secs(60));
    assert_eq!(world.feed.cursor().unwrap().place().unwrap().id, last);
    assert_eq!(world.warnings.len(), 1);
}

#[test]
fn a_page_of_another_workspace_is_none_of_ours() {
    let mut world = begun(false, options());
    world.model.write(Duration::ZERO);
    world.model.rows[0].row.workspace_id = "00000000-0000-4000-8000-000000000001".parse().unwrap();
    world.pass(secs(10));
    assert!(world.order.is_empty());
    assert!(!world.failures.is_empty() && world.failures.iter().all(|kind| *kind == ErrorKind::Routing));
    world.optional.insert(id(0));
}
