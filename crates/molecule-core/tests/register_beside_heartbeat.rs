//! A heartbeat is answered while a register stores its token: the newer answer says what the server is.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::effect::{Effect, EffectId, HostOp, Outcome, Slot};
use molecule_core::machines::{Beat, Register};
use molecule_core::proto::Dialect;
use serde_json::json;
use support::*;

/// Drives a register until the store has the token that the owner gave, and returns that outcome before it is fed.
fn storing(register: &mut Driven<Register>, agent: &mut Agent, platform: &mut Platform) -> (EffectId, Outcome) {
    let until = agent.now.mono + secs(60);
    loop {
        let Next::Outcome(id, outcome) = register.next(agent, until, &mut |seen| platform.serve(seen)) else {
            panic!("the token was not stored")
        };
        if matches!(register.in_flight[&id], Effect::Host(HostOp::Replace(Slot::Token, _))) {
            return (id, outcome);
        }
        register.feed(agent, id, outcome);
    }
}

#[test]
fn what_a_heartbeat_shows_while_the_token_is_stored_is_not_overwritten() {
    let mut agent = Agent::with(Agent::options().token(secret("first")), 7);
    let mut platform = Platform::april();
    let mut register = Driven::new(Register::new());
    let (id, outcome) = storing(&mut register, &mut agent, &mut platform);
    run(&mut agent, Beat::new(), |_| Answer::json(200, json!({"status": "ok", "generation": 3})).into()).unwrap();
    register.feed(&mut agent, id, outcome);
    let registration = register.finish(&mut agent, &mut |seen| platform.serve(seen)).unwrap();
    assert_eq!((registration.dialect, agent.session.health().dialect), (Dialect::Current, Some(Dialect::Current)));
}
