//! The first start and the backlog.

use std::time::Duration;

use super::model::{Model, START, secs};
use super::world::{World, begun, ids, options};
use crate::config::inbox::{Backlog, InboxOptions};
use crate::inbox::feed::Position;

#[test]
fn the_first_start_reads_the_backlog_that_was_asked_for() {
    let day = secs(24 * 3600);
    for april in [false, true] {
        for (backlog, first) in
            [(Backlog::All, 0), (Backlog::Since(day), 2), (Backlog::Since(secs(60)), 4), (Backlog::FromNow, 5)]
        {
            let mut model = Model::new(april);
            let date = molecule_proto::UnixTime::from_secs(START);
            let date = httpdate::fmt_http_date(std::time::SystemTime::from(date));
            model.headers.push(("date", date));
            let ages = [secs(29 * 24 * 3600), day + secs(60), day - secs(60), secs(90), secs(30)];
            let mut rows: Vec<_> = ages.iter().map(|age| model.insert(model.now - *age, model.now)).collect();
            let mut world = World::new(model, InboxOptions::new().backlog(backlog), 500);
            world.optional = ids(&rows[..first]);
            world.run();
            assert_eq!(world.order, rows[first..], "{backlog:?}");
            assert!(world.saved.is_some(), "the start is settled");
            // What comes later is always read, also by another process that has nothing to hand out yet.
            world.crash();
            rows.push(world.model.write(Duration::ZERO));
            world.advance(secs(1));
            world.order.clear();
            world.run();
            assert_eq!(world.order, rows[first..], "{backlog:?}: nothing was finished");
        }
    }
}

#[test]
fn rows_of_one_time_at_the_edge_of_a_page_are_all_found() {
    for newer in 495..505 {
        let mut model = Model::new(false);
        let mut rows: Vec<_> = (0..3).map(|_| model.insert(model.now - secs(5000), model.now)).collect();
        rows.extend((0..newer).map(|n| model.insert(model.now - secs(4000 - n), model.now)));
        let mut world = World::new(model, options(), 500);
        world.run();
        assert_eq!(world.order, rows, "{newer} newer ones");
    }
}

#[test]
fn a_row_that_becomes_visible_while_the_first_start_looks_for_its_place_is_not_lost() {
    for answers in 0..6 {
        let mut model = Model::new(false);
        let old = model.insert(model.now - secs(7200), model.now - secs(7200));
        let late = model.insert(model.now - secs(20), model.now + secs(5));
        let row = model.insert(model.now - secs(10), model.now);
        let mut world = World::new(model, InboxOptions::new().backlog(Backlog::Since(secs(3600))), 500);
        world.optional.insert(old);
        world.settle();
        (0..answers).for_each(|_| {
            world.answer();
        });
        world.advance(secs(6));
        world.run();
        world.pass(secs(6));
        assert_eq!(ids(&world.order), ids(&[late, row]), "after {answers} answers");
    }
}

#[test]
fn a_feed_without_any_row_is_at_its_beginning() {
    for april in [false, true] {
        for backlog in [Backlog::All, Backlog::Since(secs(60)), Backlog::FromNow] {
            let mut world = begun(april, InboxOptions::new().backlog(backlog));
            assert_eq!(world.saved, Some(Position::Beginning));
            world.crash();
            let late = world.model.write(secs(20));
            let row = world.model.write(Duration::ZERO);
            world.pass(secs(30));
            assert_eq!(world.order, [row, late], "{backlog:?}");
        }
    }
}
