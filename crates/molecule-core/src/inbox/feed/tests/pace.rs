//! When the feed is read and acknowledged.

use std::time::Duration;

use super::model::{answered, id, ms, secs};
use super::world::{begun, options};
use crate::effect::Effect;
use crate::inbox::feed::Position;
use crate::machine::Cx;
use crate::session::Feature;

#[test]
fn without_a_stream_the_feed_is_read_every_5_s_and_with_one_every_minute() {
    let mut world = begun(false, options());
    world.pass(secs(100));
    let reads = world.model.count();
    assert!((20..=23).contains(&reads), "{reads} reads in 100 s");
    let mut cx = Cx { now: world.now(), session: &mut world.session };
    world.feed.set_live(&mut cx, true, false);
    world.pass(secs(6));
    world.model.count();
    world.pass(secs(600));
    let reads = world.model.count();
    assert!((10..=12).contains(&reads), "{reads} reads in 600 s");
    // A wake is read at once, and some more times within half a minute if it has brought nothing.
    world.feed.wake(world.mono);
    world.run();
    assert_eq!(world.model.count(), 1);
    world.pass(secs(31));
    assert_eq!(world.model.count(), 5);
    world.pass(secs(20));
    assert_eq!(world.model.count(), 0);
    let row = world.model.write(Duration::ZERO);
    world.feed.wake(world.mono);
    world.run();
    assert_eq!((world.model.count(), world.order.last()), (1, Some(&row)));
    world.pass(secs(50));
    assert_eq!(world.model.count(), 0);
    // When the stream is lost, no minute is waited for.
    let mut cx = Cx { now: world.now(), session: &mut world.session };
    world.feed.set_live(&mut cx, false, false);
    world.pass(secs(5));
    assert!(world.model.count() >= 1);
}

/// The server shows most rows within a second, and some up to 30 s late.
#[test]
fn a_row_that_is_visible_only_after_its_event_is_found_soon() {
    for late in [ms(200), ms(900), secs(2), secs(6), secs(12), secs(30)] {
        let mut world = begun(false, options());
        let mut cx = Cx { now: world.now(), session: &mut world.session };
        world.feed.set_live(&mut cx, true, false);
        world.pass(secs(70));
        let (row, from) = (world.model.write(late), world.mono);
        world.feed.wake(world.mono);
        world.run();
        while world.order.last() != Some(&row) {
            world.pass(ms(100));
            assert!(world.mono.since(from) <= late * 2 + secs(1) + ms(100), "{late:?}");
        }
    }
}

#[test]
fn a_row_that_comes_without_an_event_is_found_sooner_while_one_is_expected() {
    let mut world = begun(false, options());
    let live = |world: &mut super::world::World, is_silent| {
        let mut cx = Cx { now: world.now(), session: &mut world.session };
        world.feed.set_live(&mut cx, true, is_silent);
    };
    live(&mut world, false);
    world.pass(secs(100));
    live(&mut world, true);
    let row = world.model.write(Duration::ZERO);
    world.pass(secs(15));
    assert_eq!(world.order.last(), Some(&row));
    world.model.count();
    live(&mut world, false);
    world.pass(secs(16));
    world.model.count();
    world.pass(secs(600));
    assert!((10..=12).contains(&world.model.count()));
}

#[test]
fn a_wake_during_a_read_is_a_read_of_its_own() {
    let mut world = begun(false, options());
    world.feed.wake(world.mono);
    world.settle();
    world.feed.wake(world.mono);
    assert!(world.answer());
    assert!(world.answer(), "the wake came while the first was in flight");
    assert!(!world.answer());
}

#[test]
fn a_scarce_budget_stretches_the_reads() {
    let mut world = begun(false, options());
    world.model.headers = vec![
        ("x-ratelimit-limit", "600".to_owned()),
        ("x-ratelimit-remaining", "50".to_owned()),
        ("x-ratelimit-reset", "59".to_owned()),
    ];
    world.pass(secs(10));
    world.model.count();
    world.pass(secs(600));
    let reads = world.model.count();
    assert!((9..=14).contains(&reads), "{reads} reads in 600 s");
    // What has happened is read within an interval.
    world.feed.wake(world.mono);
    world.pass(secs(5));
    assert!(world.model.count() >= 1);
}

#[test]
fn a_feed_that_cannot_be_read_is_read_again_with_backoff_whatever_wakes_it() {
    let mut world = begun(false, options());
    world.model.failing = 8;
    let mut times = Vec::new();
    while times.len() < 9 {
        world.feed.wake(world.mono);
        world.pass(ms(10));
        times.extend((world.model.count() > 0).then_some(world.mono));
    }
    for (n, pair) in times.windows(2).enumerate() {
        let (waited, ceiling) = (pair[1].since(pair[0]), secs(1 << n).min(secs(30)));
        assert!(waited + ms(20) >= ceiling / 2 && waited <= ceiling + ms(20), "{n}: {waited:?}");
    }
    assert_eq!(world.failures.len(), 8);
}

#[test]
fn nothing_is_read_while_enough_waits() {
    let mut world = begun(false, options());
    world.feed.pause(true);
    world.model.write(Duration::ZERO);
    world.feed.wake(world.mono);
    world.pass(secs(1000));
    assert_eq!(world.model.count(), 0);
    world.feed.pause(false);
    world.run();
    assert_eq!(world.order.len(), 1);
    // A page that was asked for is still handed out.
    world.model.write(Duration::ZERO);
    world.feed.wake(world.mono);
    world.settle();
    world.feed.pause(true);
    world.run();
    assert_eq!(world.order.len(), 2);
}

#[test]
fn only_what_is_saved_and_certain_is_acknowledged() {
    let mut world = begun(false, options());
    let old = world.model.write(Duration::ZERO);
    world.pass(secs(6));
    world.finish_all();
    world.save();
    world.pass(secs(100));
    assert_eq!(world.model.acked, None, "another row may still appear before it");
    world.model.write(Duration::ZERO);
    world.pass(secs(6));
    assert_eq!(world.feed.cursor().unwrap().place().unwrap().id, old);
    world.pass(secs(100));
    assert_eq!(world.model.acked, None, "it is not saved");
    world.save();
    world.run();
    assert_eq!(world.model.acked, Some(1));
    // At most once a minute, and the same mark once alone.
    world.model.count();
    world.save();
    world.pass(secs(200));
    assert!(world.model.requests.iter().all(|request| !request.ends_with("/ack")));
}

#[test]
fn a_server_that_takes_no_acknowledgement_is_not_asked_again() {
    let mut world = begun(false, options());
    world.session.dialect = None;
    for _ in 0..3 {
        world.model.write(Duration::ZERO);
        world.pass(secs(100));
        world.finish_all();
        world.save();
        // A server that is asked although its dialect is not known.
        world.settle();
        while let Some((id, effect)) = world.in_flight.pop_first() {
            let Effect::Http(request, _) = effect else { panic!("{effect:?}") };
            world.model.requests.push(request.uri().to_string());
            let is_ack = request.uri().path().ends_with("/ack");
            let outcome = if is_ack { answered(404, "404 page not found") } else { world.model.answer(&request) };
            world.feed(id, outcome);
            world.settle();
        }
    }
    let acks = world.model.requests.iter().filter(|request| request.ends_with("/ack")).count();
    assert_eq!(acks, 1);
    assert!(world.session.lacks(Feature::ActivityAck));
    // April's is not asked at all.
    let mut world = begun(true, options());
    world.feed.saved(&Position::Row { id: id(1), created_at: world.model.now, seq: Some(7) });
    world.pass(secs(100));
    assert!(world.model.requests.iter().all(|request| !request.ends_with("/ack")));
}

#[test]
fn a_stop_cancels_what_is_in_flight_and_reads_no_more() {
    let mut world = begun(false, options());
    world.feed.wake(world.mono);
    world.settle();
    assert!(!world.feed.is_quiet());
    let mut cx = Cx { now: world.now(), session: &mut world.session };
    world.feed.stop(&mut cx);
    assert_eq!(world.settle(), None);
    assert!(world.feed.is_quiet() && world.in_flight.is_empty());
    world.feed.wake(world.mono);
    world.advance(secs(1000));
    assert_eq!(world.settle(), None);
    assert_eq!(world.model.count(), 0);
}
