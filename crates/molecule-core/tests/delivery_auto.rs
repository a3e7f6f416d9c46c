//! The plan `Auto`: the loop checks whether the platform reaches the agent's server, polls while it does not, and says so.

#![allow(clippy::unwrap_used)]

mod support;

use std::cell::RefCell;
use std::rc::Rc;

use molecule_core::machines::{Register, Run};
use molecule_core::proto::DeliveryMode;
use molecule_core::{ErrorKind, Event, Lane, OnPause, Plan, PushState};
use serde_json::json;
use support::agent::start_unix;
use support::platform::{FEED, HEARTBEAT, REGISTER, SELF_A2A};
use support::*;

const URL: &str = "http://localhost:4711/a2a";

/// What the platform says to a message of the agent to itself.
type Path = Rc<RefCell<Box<dyn FnMut(&Seen) -> Reply>>>;

/// A loop of an agent with a server, and the path from the platform to it.
struct World {
    run: Looped,
    path: Path,
}

fn echo(seen: &Seen) -> Reply {
    let nonce = &seen.body["params"]["message"]["metadata"]["molecule.reachability"];
    let message =
        json!({"kind": "message", "role": "agent", "parts": [], "metadata": {"molecule.reachability": nonce}});
    Answer::json(200, json!({"jsonrpc": "2.0", "id": seen.body["id"], "result": message})).into()
}

fn refuse(_: &Seen) -> Reply {
    Answer::error(502, "failed to reach workspace agent").into()
}

impl World {
    fn new(plan: Plan, machine: Run, path: impl FnMut(&Seen) -> Reply + 'static) -> Self {
        Self::on(Platform::current(), plan, machine, path)
    }

    fn on(platform: Platform, plan: Plan, machine: Run, path: impl FnMut(&Seen) -> Reply + 'static) -> Self {
        let mut run = Looped::with(Agent::options().on_pause(OnPause::Wait), platform);
        run.agent.session.serve(URL, plan).unwrap();
        run.driven = Driven::new(machine);
        let path: Path = Rc::new(RefCell::new(Box::new(path)));
        let mine = path.clone();
        // In poll mode the platform calls nobody.
        let mut polls = false;
        run.platform.weather = Box::new(move |seen| {
            if seen.is(REGISTER) {
                polls = seen.body["delivery_mode"] == "poll";
            }
            let is_check = seen.is(SELF_A2A) && !polls;
            is_check.then(|| (mine.borrow_mut())(seen))
        });
        Self { run, path }
    }

    fn set_path(&self, path: impl FnMut(&Seen) -> Reply + 'static) {
        *self.path.borrow_mut() = Box::new(path);
    }

    /// What each register said.
    fn modes(&self) -> Vec<String> {
        let registers = self.run.platform.seen.iter().filter(|seen| seen.is(REGISTER));
        registers.map(|seen| seen.body["delivery_mode"].as_str().unwrap().to_owned()).collect()
    }

    /// The events of the delivery since the last call.
    fn said(&mut self) -> Vec<String> {
        let events = self.run.events();
        let ours = |event: &Event| {
            matches!(event, Event::PushReachable | Event::PushUnreachable { .. } | Event::Warning(_))
                || matches!(
                    event,
                    Event::Degraded { lane: Lane::Delivery, .. } | Event::Recovered { lane: Lane::Delivery, .. }
                )
        };
        events.iter().filter(|event| ours(event)).map(ToString::to_string).collect()
    }

    fn checks(&self) -> usize {
        self.run.platform.count(SELF_A2A)
    }

    fn reads(&self) -> usize {
        self.run.platform.seen.iter().filter(|seen| format!("{} {}", seen.method, seen.path).starts_with(FEED)).count()
    }

    fn state(&self) -> Option<PushState> {
        self.run.agent.session.health().push
    }
}

const UNREACHABLE: &str = "the platform does not reach the server, so the agent polls: the platform cannot connect to the \
     registered URL; check its host and port, and what is between them";
const REACHABLE: &str = "the platform reaches the server";

#[test]
fn a_server_that_is_reached_is_checked_after_the_register_and_stays_in_push_mode() {
    let mut world = World::new(Plan::Auto, Run::with_inbox(), echo);
    world.run.on(secs(10));
    assert_eq!((world.modes(), world.checks()), (vec!["push".to_owned()], 1));
    assert!(world.run.platform.times(SELF_A2A)[0] >= world.run.platform.times(REGISTER)[0]);
    assert_eq!(world.said(), [REACHABLE]);
    let health = world.run.agent.session.health();
    assert_eq!((health.push, health.delivery_mode), (Some(PushState::Reachable), Some(DeliveryMode::Push)));
    world.run.on(secs(3600));
    assert_eq!((world.modes().len(), world.said()), (1, vec![]));
    // It is checked again, before the platform would drop what it cannot deliver for 180 s.
    let gaps = world.run.gaps(SELF_A2A);
    assert!((29..=31).contains(&gaps.len()) && gaps.iter().all(|gap| *gap < 150.0), "{gaps:?}");
}

#[test]
fn a_server_that_is_not_reached_has_the_agent_poll_at_once_and_says_so() {
    let mut world = World::new(Plan::Auto, Run::with_inbox(), refuse);
    let row = world.run.platform.feed.user(start_unix(), "hello");
    world.run.on(secs(30));
    assert_eq!(world.modes(), ["push", "poll"]);
    assert_eq!(world.said(), [UNREACHABLE]);
    let [push, poll] = world.run.platform.times(REGISTER)[..] else { panic!("{:?}", world.modes()) };
    assert!(poll.since(push) < secs(1));
    assert_eq!(world.run.agent.offers[0].row, row);
    let health = world.run.agent.session.health();
    assert_eq!(health.delivery_mode, Some(DeliveryMode::Poll));
    assert!(matches!(health.push, Some(PushState::Unreachable(_))), "{:?}", health.push);
    assert!(serde_json::to_value(&health).unwrap()["push"]["why"].as_str().unwrap().contains("cannot connect"));
}

#[test]
fn it_is_tried_again_after_a_minute_then_less_and_less_often_and_says_nothing_new_meanwhile() {
    let mut world = World::new(Plan::Auto, Run::with_inbox(), refuse);
    world.run.on(secs(6 * 3600));
    let gaps: Vec<f64> = world.run.gaps(SELF_A2A);
    let minutes = [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0];
    for (gap, minutes) in gaps.iter().zip(minutes) {
        let range = minutes * 54.0..=minutes * 60.0 + 2.0;
        assert!(range.contains(gap), "{gap} s instead of {minutes} min: {gaps:?}");
    }
    assert!((15..=18).contains(&gaps.len()), "{gaps:?}");
    // Each try registers the URL, and goes back.
    let modes = world.modes();
    assert!(modes.chunks(2).all(|pair| pair == ["push", "poll"]), "{modes:?}");
    assert_eq!(world.said(), [UNREACHABLE]);
}

#[test]
fn once_it_is_reached_again_the_platform_pushes_and_the_waits_begin_anew() {
    let mut world = World::new(Plan::Auto, Run::with_inbox(), refuse);
    world.run.on(secs(1000));
    world.said();
    world.set_path(echo);
    world.run.on(secs(1800));
    assert_eq!(world.said(), [REACHABLE]);
    assert_eq!((world.modes().last().unwrap().as_str(), world.state()), ("push", Some(PushState::Reachable)));
    world.set_path(refuse);
    let from = world.run.agent.now.mono;
    world.run.on(secs(150));
    assert_eq!(world.said(), [UNREACHABLE]);
    // Two checks in a row found it unreachable, since it had been reachable.
    let failed: Vec<_> = world.run.platform.times(SELF_A2A).into_iter().filter(|at| *at >= from).take(2).collect();
    assert_eq!(failed[1].since(failed[0]), secs(5));
    world.set_path(echo);
    world.run.on(secs(70));
    assert_eq!(world.said(), [REACHABLE]);
}

#[test]
fn one_failed_check_of_a_server_that_was_reached_changes_nothing() {
    let mut world = World::new(Plan::Auto, Run::with_inbox(), echo);
    world.run.on(secs(10));
    world.said();
    let mut failed = false;
    world.set_path(move |seen| if std::mem::replace(&mut failed, true) { echo(seen) } else { refuse(seen) });
    world.run.on(secs(3600));
    assert_eq!((world.modes().len(), world.said()), (1, vec![]));
}

#[test]
fn a_reason_that_may_pass_is_looked_at_again_when_the_platform_says() {
    let enrolling =
        || Answer::json(503, json!({"error": "workspace re-registering, retry", "retry_after_seconds": 30}));
    let mut first = true;
    let mut world = World::new(Plan::Auto, Run::with_inbox(), move |seen| {
        if std::mem::take(&mut first) { enrolling().into() } else { echo(seen) }
    });
    world.run.on(secs(100));
    assert_eq!(world.said(), [REACHABLE]);
    assert!((30.0..31.0).contains(&world.run.gaps(SELF_A2A)[0]), "{:?}", world.run.gaps(SELF_A2A));
    assert!(world.modes().iter().all(|mode| mode == "push"), "{:?}", world.modes());
    // If it stays, the agent polls.
    let mut world = World::new(Plan::Auto, Run::with_inbox(), move |_| enrolling().into());
    world.run.on(secs(50));
    assert_eq!(world.modes().last().unwrap(), "poll");
}

#[test]
fn an_answer_that_says_nothing_of_the_server_changes_nothing_and_is_reported_as_the_lanes_failure() {
    let outage: fn(&Seen) -> Reply = |_| Answer::error(503, "delivery-mode lookup failed; retry").into();
    let mut world = World::new(Plan::Auto, Run::with_inbox(), outage);
    world.run.on(secs(60));
    let said = world.said();
    assert!(said.len() >= 3 && said[0].starts_with("delivery: 1 failures in a row"), "{said:?}");
    assert_eq!((world.modes().len(), world.state()), (1, Some(PushState::Unchecked)));
    assert!(world.run.agent.session.health().delivery_failures >= 3);
    world.set_path(echo);
    world.run.on(secs(60));
    let said = world.said();
    assert!(
        said.iter().any(|line| line.starts_with("delivery: works again after")) && said.contains(&REACHABLE.to_owned())
    );
    assert_eq!(world.run.agent.session.health().delivery_failures, 0);
}

#[test]
fn a_rate_limit_is_waited_for() {
    let mut first = true;
    let mut world = World::new(Plan::Auto, Run::with_inbox(), move |seen| {
        let spent = json!({"error": "rate limit exceeded", "retry_after": 60});
        let spent = Answer::json(429, spent).header("retry-after", "60").header("x-ratelimit-limit", "600");
        if std::mem::take(&mut first) { spent.into() } else { echo(seen) }
    });
    world.run.on(secs(300));
    assert!(world.run.gaps(SELF_A2A)[0] >= 60.0, "{:?}", world.run.gaps(SELF_A2A));
    assert_eq!((world.modes().len(), world.state()), (1, Some(PushState::Reachable)));
}

#[test]
fn a_url_that_the_platform_refuses_has_the_agent_poll_from_its_first_register_on() {
    for mut platform in [Platform::current(), Platform::april()] {
        let reason = if platform.dialect == molecule_core::Dialect::April {
            "invalid request body"
        } else {
            "hostname \"localhost\" resolves to forbidden address: 127.0.0.1"
        };
        platform.weather = Box::new(move |seen| {
            let polls = |url: &str| url.is_empty() || url.ends_with("/no-inbound");
            let refuses = seen.is(REGISTER) && !polls(seen.body["url"].as_str().unwrap());
            refuses.then(|| Answer::error(400, reason).into())
        });
        let april = platform.dialect == molecule_core::Dialect::April;
        let mut agent = Agent::stored(&secret("first"));
        agent.session.serve(URL, Plan::Auto).unwrap();
        let mut driven = Driven::new(Register::new());
        driven.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
        let last = platform.last(REGISTER).body.clone();
        let url = if april { "http://localhost:9/no-inbound" } else { "" };
        assert_eq!((&last["delivery_mode"], &last["url"]), (&json!("poll"), &json!(url)));
        let said: Vec<_> = driven.events.iter().map(ToString::to_string).collect();
        let said = said.iter().find(|said| said.starts_with("the platform does not reach the server")).unwrap();
        assert!(said.contains("so the agent polls: the platform refuses the URL"), "{said}");
        assert_eq!(said.contains("forbidden address"), !april, "{said}");
        // The loop tries again, and ends neither.
        let mut run = Looped::new(agent, platform);
        run.on(secs(1000));
        assert!(run.platform.count(REGISTER) >= 6, "{}", run.platform.count(REGISTER));
        assert!(!run.events().iter().any(|event| matches!(event, Event::PushUnreachable { .. })), "said twice");
        // The waits of another server begin anew.
        run.agent.session.serve("http://localhost:4712/a2a", Plan::Auto).unwrap();
        let from = run.agent.now.mono;
        run.on(secs(70));
        assert_eq!(run.since(REGISTER, from), 4, "not tried again after a minute");
    }
}

#[test]
fn the_plan_push_is_told_by_the_registers_error_and_is_never_checked() {
    let mut agent = Agent::stored(&secret("first"));
    agent.session.serve(URL, Plan::Push).unwrap();
    let mut platform = Platform::current();
    platform.weather = Box::new(|seen| {
        (seen.is(REGISTER) && seen.body["url"] == URL)
            .then(|| Answer::error(400, "url targets a blocked address: loopback").into())
    });
    let error = run(&mut agent, Register::new(), |seen| platform.serve(seen)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("blocked address"), "{error}");
    let mut world = World::new(Plan::Push, Run::with_inbox(), refuse);
    world.run.on(secs(3600));
    assert_eq!((world.checks(), world.modes().len(), world.state()), (0, 1, Some(PushState::Unchecked)));
}

#[test]
fn a_call_of_the_platform_is_as_good_as_a_check() {
    // The agent may not send messages, so that no check comes to a result.
    let denied: fn(&Seen) -> Reply = |_| Answer::error(403, "tool call failed").into();
    let mut world = World::new(Plan::Auto, Run::with_inbox(), denied);
    world.run.on(secs(10));
    assert_eq!(world.modes(), ["push", "poll"]);
    let said = world.said();
    assert!(said[0].contains("the agent may not send messages"), "{said:?}");
    world.set_path(echo);
    world.run.on(secs(120));
    world.said();
    let checks = world.checks();
    for _ in 0..60 {
        world.run.agent.session.pushed(world.run.agent.now);
        world.run.on(secs(60));
    }
    assert_eq!((world.checks(), world.said()), (checks, vec![]), "a check beside a call each minute");
    // The calls end: the checks go on.
    world.run.on(secs(600));
    assert!(world.checks() > checks);
    // A call right after the register replaces the first check.
    let mut world = World::new(Plan::Auto, Run::with_inbox(), |_| Reply::Never);
    world.run.on(secs(1));
    world.run.agent.session.pushed(world.run.agent.now);
    world.run.on(secs(60));
    assert_eq!(world.state(), Some(PushState::Reachable));
    // One that comes during a check outweighs it.
    let lost: fn(&Seen) -> Reply = |_| Reply::After(secs(20), Answer::json(202, json!({"queued": true})).outcome());
    let mut world = World::new(Plan::Auto, Run::with_inbox(), lost);
    world.run.on(secs(10));
    world.run.agent.session.pushed(world.run.agent.now);
    world.run.on(secs(60));
    assert_eq!((world.state(), world.modes().len()), (Some(PushState::Reachable), 1));
}

#[test]
fn a_call_before_an_outage_proves_nothing_afterwards() {
    let mut world = World::new(Plan::Auto, Run::with_inbox(), echo);
    world.run.on(secs(10));
    world.run.agent.session.pushed(world.run.agent.now);
    assert_eq!(world.said(), [REACHABLE]);
    world.set_path(refuse);
    world.run.on(secs(140));
    assert_eq!(
        (world.said(), world.modes()),
        (vec![UNREACHABLE.to_owned()], vec!["push".to_owned(), "poll".to_owned()])
    );
    assert!(matches!(world.state(), Some(PushState::Unreachable(_))), "{:?}", world.state());
}

#[test]
fn while_the_server_gets_the_messages_the_feed_is_read_to_the_end_of_what_came_before_and_then_seldom() {
    for plan in [Plan::Push, Plan::Auto] {
        let mut world = World::new(plan, Run::with_inbox(), echo);
        let start = world.run.agent.now;
        let before = start_unix() - secs(10);
        let row = world.run.platform.feed.user(before, "from before the register");
        world.run.on(secs(20));
        // A row of a time before the register, which the platform shows late.
        let late = world.run.platform.feed.user(before, "shown late");
        world.run.on(secs(60));
        let reads = world.reads();
        assert_eq!(
            world.run.agent.offers.iter().map(|offer| &offer.row).collect::<Vec<_>>(),
            [&row, &late],
            "{plan:?}"
        );
        assert!(world.run.agent.since(start.mono) < secs(100));
        world.run.on(secs(3600));
        // For what no push has brought: not every five seconds, as in poll mode.
        assert!((11..=13).contains(&(world.reads() - reads)), "{plan:?}: {} reads in an hour", world.reads() - reads);
    }
}

#[test]
fn when_it_polls_again_the_feed_goes_on_where_it_ended() {
    let mut world = World::new(Plan::Auto, Run::with_inbox(), echo);
    world.run.on(secs(100));
    let offered = world.run.agent.offers.len();
    world.set_path(refuse);
    let now = world.run.agent.now.unix;
    let row = world.run.platform.feed.user(now, "while the platform could not push");
    world.run.on(secs(200));
    assert!(world.modes().contains(&"poll".to_owned()));
    assert_eq!(world.run.agent.offers[offered..].iter().map(|offer| &offer.row).collect::<Vec<_>>(), [&row]);
}

#[test]
fn a_loop_without_a_handler_says_that_nobody_reads_the_messages() {
    let mut world = World::new(Plan::Auto, Run::new(), refuse);
    world.run.on(secs(600));
    let said = world.said();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[1], "warning: the agent polls now, and this loop reads no messages: run the loop with a handler");
}

#[test]
fn nothing_is_checked_while_the_workspace_is_paused_and_a_resume_is_followed_by_a_check() {
    let mut world = World::new(Plan::Auto, Run::with_inbox(), echo);
    world.run.on(secs(100));
    world.run.platform.status = "paused".to_owned();
    world.run.on(secs(60));
    let checks = world.checks();
    world.run.on(secs(3600));
    assert_eq!(world.checks(), checks);
    world.run.platform.status = "online".to_owned();
    world.run.on(secs(60));
    assert_eq!((world.checks(), world.modes().len()), (checks + 1, 2));
}

#[test]
fn another_server_is_checked_anew_and_the_end_of_the_server_ends_the_checks() {
    let mut world = World::new(Plan::Auto, Run::with_inbox(), refuse);
    world.run.on(secs(3600));
    world.set_path(echo);
    world.run.agent.session.serve("http://localhost:4712/a2a", Plan::Auto).unwrap();
    world.said();
    let from = world.run.agent.now.mono;
    world.run.on(secs(10));
    assert_eq!(world.said(), [REACHABLE]);
    assert_eq!(world.run.platform.last(REGISTER).body["url"], "http://localhost:4712/a2a");
    assert!(world.run.since(SELF_A2A, from) == 1);
    // The result of a check of the server before says nothing of this one.
    world.set_path(|_| Reply::After(secs(20), Answer::error(502, "failed to reach workspace agent").outcome()));
    world.run.on(secs(120));
    world.set_path(echo);
    world.run.agent.session.serve("http://localhost:4713/a2a", Plan::Auto).unwrap();
    world.run.on(secs(60));
    assert_eq!((world.said(), world.modes().last().unwrap().as_str()), (vec![REACHABLE.to_owned()], "push"));
    // A check in flight is given up with its server.
    world.set_path(|_| Reply::Never);
    world.run.on(secs(130));
    world.run.agent.session.unserve();
    let checks = world.checks();
    world.run.on(secs(3600));
    assert_eq!((world.checks(), world.said(), world.state()), (checks, vec![], None));
    assert_eq!(world.modes().last().unwrap(), "poll");
    assert!(world.run.platform.count(HEARTBEAT) > 200);
}

#[test]
fn a_check_that_is_never_answered_delays_no_heartbeat_and_no_stop() {
    let mut world = World::new(Plan::Auto, Run::with_inbox(), |_| Reply::Never);
    world.run.on(secs(600));
    let gaps = world.run.gaps(HEARTBEAT);
    assert!(gaps.len() >= 19 && gaps.iter().all(|gap| *gap <= 30.0), "{gaps:?}");
    world.run.stop(false);
    assert_eq!(world.run.end().unwrap(), molecule_core::Ended::Stopped);
}
