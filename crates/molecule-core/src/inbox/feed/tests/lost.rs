//! Rows that the server does not show any more: lost cursors, and April's one page.

use std::time::Duration;

use molecule_proto::UnixTime;

use super::model::{Model, ms, secs};
use super::world::{World, begun, ids, options};
use crate::config::inbox::{Backlog, InboxOptions};
use crate::error::ErrorKind;
use crate::inbox::feed::Position;

#[test]
fn a_row_that_the_server_no_longer_has_is_no_reason_to_replay() {
    for keeps_older in [true, false] {
        let mut model = Model::new(false);
        // Three rows have the same time, as the files of one upload do.
        let rows: Vec<_> = (0..100).map(|n| model.insert(model.now - secs(400 - n / 3 * 3), model.now)).collect();
        let mut world = World::new(model, options(), 500);
        world.run();
        world.finish_all();
        world.pass(secs(6));
        world.save();
        let Some(Position::Row { id, .. }) = world.saved.clone() else { panic!("no cursor") };
        let at = rows.iter().position(|row| *row == id).unwrap();
        assert!(at > 50);
        // The row of the cursor is gone, and perhaps all before it.
        let hidden = UnixTime::from_secs(i64::MAX);
        let gone = if keeps_older { at..at + 1 } else { 0..at + 1 };
        world.model.rows[gone].iter_mut().for_each(|stored| stored.visible_at = hidden);
        // Nobody remembers what was finished: time alone says that it was.
        let finished = std::mem::take(&mut world.finished);
        world.order.clear();
        world.crash();
        let new = world.model.write(Duration::ZERO);
        let (kept, forgotten) = finished.into_iter().partition(|row| rows[at + 1..].contains(row));
        (world.finished, world.optional) = (kept, forgotten);
        world.run();
        assert_eq!(world.order, [new], "older rows kept: {keeps_older}");
        assert_eq!(world.feed.cursor(), world.saved, "the cursor does not go back");
    }
}

#[test]
fn a_server_that_has_lost_every_row_that_is_named_is_asked_again_with_backoff() {
    let mut world = begun(false, options());
    world.model.write(Duration::ZERO);
    world.pass(secs(50));
    world.finish_all();
    world.model.write(Duration::ZERO);
    world.pass(secs(50));
    world.finish_all();
    world.model.count();
    world.model.gone = u32::MAX;
    world.pass(secs(300));
    assert!(world.failures.len() > 5, "{:?} {:#?}", world.failures, world.model.requests);
    assert!(world.failures.iter().all(|kind| *kind == ErrorKind::NotFound));
    assert!(world.model.count() < 60, "at most one in 5 s on the average");
    world.model.gone = 0;
    let row = world.model.write(Duration::ZERO);
    world.pass(secs(31));
    assert_eq!(world.order.last(), Some(&row));
}

#[test]
fn april_is_asked_for_its_whole_page_and_a_gap_is_told() {
    let mut world = begun(true, options());
    let rows: Vec<_> = (0..300).map(|_| world.model.write(Duration::ZERO)).collect();
    world.pass(secs(6));
    assert_eq!(ids(&world.order), ids(&rows));
    assert!(world.warnings.is_empty());
    let request = world.model.requests.last().unwrap();
    assert_eq!(request, ":id/activity?type=a2a_receive&limit=500&include=peer_info");
    // 600 rows between two reads are 100 more than the server shows.
    world.advance(secs(1));
    let rows: Vec<_> = (0..600).map(|n| world.model.insert(world.model.now + ms(n), world.model.now)).collect();
    world.order.clear();
    world.pass(secs(6));
    assert_eq!(ids(&world.order), ids(&rows[100..]));
    assert_eq!(world.warnings.len(), 1);
    assert!(world.warnings[0].contains("are lost"), "{}", world.warnings[0]);
    world.pass(secs(60));
    assert_eq!(world.warnings.len(), 1, "told once");
}

/// Pages that were too large before come whole now and then, so that the rows are not too large for them.
#[test]
fn a_network_that_swells_pages_of_april_for_an_hour_loses_no_row() {
    let mut world = begun(true, options());
    let rows: Vec<_> = (0..6).map(|_| world.model.write(Duration::ZERO)).collect();
    world.model.swells = |_| true;
    world.pass(secs(60));
    world.model.swells = |number| number % 3 != 0;
    world.pass(secs(3600));
    assert!(world.warnings.is_empty(), "{:?}", world.warnings);
    world.model.swells = |_| false;
    world.pass(secs(60));
    assert_eq!(ids(&world.order), ids(&rows));
}

#[test]
fn a_server_of_unknown_dialect_is_known_by_its_rows() {
    let mut model = Model::new(true);
    let rows: Vec<_> = (0..5).map(|n| model.insert(model.now - secs(50 - n), model.now)).collect();
    let mut world = World::new(model, InboxOptions::new().backlog(Backlog::All), 500);
    world.session.dialect = None;
    world.run();
    assert_eq!(world.order, rows);
    let new = world.model.write(Duration::ZERO);
    world.pass(secs(6));
    assert_eq!(world.order.last(), Some(&new));
    // Later it is replaced by a newer one, which has its rows.
    world.model.april = false;
    world.session.learn_dialect(true);
    for (n, stored) in world.model.rows.iter_mut().enumerate() {
        stored.row.seq = Some(i64::try_from(n).unwrap() + 1);
    }
    let newer = world.model.write(Duration::ZERO);
    world.pass(secs(6));
    assert_eq!(world.order.len(), 7);
    assert_eq!(world.order.last(), Some(&newer));
}
