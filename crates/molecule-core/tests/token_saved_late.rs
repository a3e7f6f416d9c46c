//! If a minted token could not be stored, the loop tries again, and a last time at its end.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::machines::{Recover, Register, Run};
use molecule_core::{ErrorKind, Event, Recovery};
use support::platform::ROTATE;
use support::*;

/// An agent whose minted token is only in memory, and the platform that minted it.
fn unsaved() -> (Agent, Platform) {
    let (mut agent, mut platform) = (Agent::new(), Platform::current().without_token());
    agent.store.fail("Replace");
    let error = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TokenNotSaved);
    (agent, platform)
}

fn told(looped: &Driven<Run>, event: &Event) -> usize {
    looped.events.iter().filter(|told| *told == event).count()
}

#[test]
fn a_loop_stores_the_token_once_the_disk_is_mended() {
    let (mut agent, mut platform) = unsaved();
    let mut looped = Driven::new(Run::new());
    looped.drive_for(&mut agent, secs(3_600), &mut |seen| platform.serve(seen));
    let tries = agent.lines("start").iter().filter(|line| line.contains("Replace(Token")).count();
    assert!((12..=20).contains(&tries), "{tries} tries in an hour");
    assert_eq!((agent.store.token.clone(), told(&looped, &Event::TokenStored)), (None, 0));
    agent.store.mend();
    looped.drive_for(&mut agent, secs(301), &mut |seen| platform.serve(seen));
    assert_eq!((agent.store.token.clone(), told(&looped, &Event::TokenStored)), (Some(secret("minted1")), 1));
}

#[test]
fn a_loop_that_is_stopped_tries_a_last_time() {
    for now in [false, true] {
        let (mut agent, mut platform) = unsaved();
        let mut looped = Driven::new(Run::new());
        looped.drive_for(&mut agent, secs(600), &mut |seen| platform.serve(seen));
        agent.store.mend();
        agent.session.raise_stop(now);
        looped.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
        let stored = agent.store.token.is_some();
        assert_eq!(stored, !now, "at once: {now}");
        assert_eq!(told(&looped, &Event::TokenStored), usize::from(stored));
    }
}

#[test]
fn a_loop_does_not_store_an_older_token_over_one_that_is_being_made() {
    let (mut agent, mut platform) = unsaved();
    let mut looped = Driven::new(Run::new());
    looped.drive_for(&mut agent, secs(1), &mut |seen| platform.serve(seen));
    agent.store.mend();
    let mut recover = Driven::new(Recover::new(Recovery::admin(&secret("admin")).unwrap()));
    recover
        .drive_for(&mut agent, secs(1), &mut |seen| if seen.is(ROTATE) { Reply::Never } else { platform.serve(seen) });
    looped.drive_for(&mut agent, secs(60), &mut |seen| platform.serve(seen));
    assert_eq!(agent.store.token, None, "the rotation is still under way");
    let rotation = *recover.in_flight.keys().next().unwrap();
    recover.perform(&mut agent, rotation, &mut |seen| platform.serve(seen));
    recover.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
    looped.drive_for(&mut agent, secs(600), &mut |seen| platform.serve(seen));
    assert_eq!(agent.store.token, Some(secret("minted2")));
}

/// The owner or another process stores a newer token. The agent tries it, and replaces it only if it is refused.
#[test]
fn a_token_that_came_into_the_store_meanwhile_stays_there_while_it_lives() {
    for (given, lives) in [(false, true), (true, true), (false, false), (true, false)] {
        let (mut agent, mut platform) = if given {
            let mut agent = Agent::with(Agent::options().token(secret("first")), 7);
            agent.store.fail("Replace");
            let mut platform = Platform::current();
            run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap();
            (agent, platform)
        } else {
            unsaved()
        };
        agent.store.mend();
        agent.store.token = Some(secret("newer"));
        let own = std::mem::take(&mut platform.live);
        platform.live = if lives { [secret("newer")].into_iter().collect() } else { own.clone() };
        let mut looped = Driven::new(Run::new());
        looped.drive_for(&mut agent, secs(900), &mut |seen| platform.serve(seen));
        let kept = if lives { Some(secret("newer")) } else { own.iter().next().cloned() };
        assert_eq!(agent.store.token, kept, "given: {given}, lives: {lives}");
        assert_eq!(told(&looped, &Event::TokenStored), usize::from(!lives));
        assert!(looped.done.is_none());
    }
}
