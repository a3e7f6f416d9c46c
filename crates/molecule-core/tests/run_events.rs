//! The events of the loop in their order, and the agent's health.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::proto::{DeliveryMode, RateLimit, WorkspaceStatus};
use molecule_core::{Dialect, Event, Lane};
use support::platform::{HEARTBEAT, STATE};
use support::*;

/// The names of the events, with the fields that distinguish them.
fn names(events: Vec<Event>) -> Vec<String> {
    let name = |event: Event| match event {
        Event::Degraded { lane, failures, .. } => format!("degraded {lane} {failures}"),
        Event::Recovered { lane, .. } => format!("recovered {lane}"),
        Event::StatusChanged(status) => format!("status {status}"),
        Event::Registered { delivery_mode, minted, .. } => {
            let mode = delivery_mode.map_or("-".to_owned(), |mode| mode.to_string());
            format!("registered {mode}{}", if minted { " minted" } else { "" })
        }
        other => format!("{other:?}").split([' ', '(']).next().unwrap().to_lowercase(),
    };
    events.into_iter().map(name).collect()
}

#[test]
fn a_life_is_told_in_order() {
    let agent = Agent::with(Agent::options().on_pause(molecule_core::OnPause::Wait), 7);
    let mut run = Looped::new(agent, Platform::current().without_token());
    run.on(secs(100));
    assert_eq!(
        names(run.events()),
        ["status online", "tokenchanged", "registered poll minted", "inboundsecretchanged", "online"],
        "the first start"
    );

    let from = run.agent.now.mono;
    run.platform.weather = Box::new(move |seen| {
        (seen.is(HEARTBEAT) && seen.at.since(from) < secs(28)).then(|| Answer::error(500, "boom").into())
    });
    run.on(secs(100));
    let told = names(run.events());
    assert_eq!(told[..2], ["degraded heartbeat 1", "degraded heartbeat 2"]);
    assert_eq!(told.last().unwrap(), "recovered heartbeat");

    run.platform.inbound = Some(secret("another"));
    run.on(secs(100));
    assert_eq!(names(run.events()), ["inboundsecretchanged"]);

    run.platform.status = "paused".to_owned();
    run.on(secs(100));
    assert_eq!(names(run.events()), ["status paused", "paused"]);

    run.platform.status = "provisioning".to_owned();
    run.on(secs(100));
    let told = names(run.events());
    assert_eq!(told[..2], ["status provisioning", "resumed"]);
    assert!(told.contains(&"registered poll".to_owned()) && told.contains(&"online".to_owned()), "{told:?}");
    // The register saw the status first, in the view.
    assert_eq!(told.iter().filter(|name| *name == "status online").count(), 1, "{told:?}");

    let rotated = secret("rotated");
    run.platform.live = [rotated.clone()].into();
    run.agent.store.token = Some(rotated);
    run.on(secs(100));
    assert_eq!(names(run.events()), ["tokenchanged"]);

    run.platform.removed = true;
    run.end().unwrap();
    let told = names(run.events());
    let registers: Vec<_> = told.iter().filter(|name| !name.starts_with("degraded state")).collect();
    assert_eq!(registers, ["degraded register 1", "degraded register 2"], "told of twice, and never online");
}

#[test]
fn aprils_events_name_no_mode_and_the_placeholder() {
    let mut run = Looped::new(Agent::new(), Platform::april().without_token());
    run.on(secs(100));
    assert_eq!(
        names(run.events()),
        ["status online", "tokenchanged", "registered - minted", "pollunsupported", "online"]
    );
}

#[test]
fn a_gap_is_followed_by_online_again() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    let from = run.agent.now.mono;
    run.platform.weather = Box::new(move |seen| {
        (seen.is(HEARTBEAT) && seen.at.since(from) < secs(300)).then(|| Answer::error(500, "boom").into())
    });
    run.on(secs(100));
    run.events();
    run.on(secs(400));
    let told = names(run.events());
    let told: Vec<_> = told.iter().filter(|name| !name.starts_with("degraded")).collect();
    assert_eq!(told, ["recovered heartbeat", "registered poll", "online"]);
}

#[test]
fn health_tells_how_the_agent_is() {
    let mut run = Looped::usual(Platform::current());
    let health = run.agent.session.health();
    assert_eq!((health.last_beat, health.status, health.dialect), (None, None, None));
    assert!(!health.registered && health.rate.is_none());

    run.on(secs(100));
    let health = run.agent.session.health();
    let last = *run.platform.times(HEARTBEAT).last().unwrap();
    assert_eq!(run.agent.now.unix.since(health.last_beat.unwrap()), run.agent.since(last));
    assert_eq!((health.status, health.dialect), (Some(WorkspaceStatus::Online), Some(Dialect::Current)));
    assert!(health.registered);
    assert_eq!((health.heartbeat_failures, health.state_failures, health.register_failures), (0, 0, 0));

    run.platform.weather = Box::new(|seen| {
        let answer = Answer::error(500, "boom").header("x-ratelimit-limit", "unlimited");
        (seen.is(HEARTBEAT) || seen.is(STATE)).then(|| answer.into())
    });
    run.on(secs(60));
    let health = run.agent.session.health();
    assert!(health.heartbeat_failures > 2 && health.state_failures > 2);
    assert_eq!(health.rate, Some(RateLimit::Unlimited));
    let told = names(run.events());
    let most = |lane: Lane| told.iter().filter(|name| name.starts_with(&format!("degraded {lane} "))).count() as u32;
    assert_eq!(health.heartbeat_failures, most(Lane::Heartbeat));
    assert_eq!(health.state_failures, most(Lane::State));
}

#[test]
fn a_changed_status_is_told_once() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    run.events();
    run.platform.weather = Box::new(|seen| {
        let answer = serde_json::json!({"workspace_id": ID, "status": "degraded", "paused": false, "deleted": false});
        seen.is(STATE).then(|| Answer::json(200, answer).into())
    });
    run.on(secs(600));
    assert_eq!(names(run.events()), ["status degraded"]);
    assert_eq!(run.agent.session.health().status, Some(WorkspaceStatus::Degraded));
    assert_eq!(DeliveryMode::Poll.as_str(), "poll");
}
