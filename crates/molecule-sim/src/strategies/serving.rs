//! Random scenarios of agents that the platform pushes to.

use molecule_proto::Dialect;
use proptest::prelude::*;

use super::{Timing, agent, crash, handler, placed, timed, writer};
use crate::calls::{CallKind, PeerAsk};
use crate::handler::{Handler, HandlerManner};
use crate::scenario::{AgentSetup, Scenario, ScenarioAction, ServerSetup, Setup};
use crate::weather::{Gust, Route, Weather};

/// Scenarios of two minutes to half an hour, in which agents with servers of their own are written to and called.
pub fn pushed() -> impl Strategy<Value = Scenario> {
    of(false)
}

/// The same, with agents that also read their feeds.
pub fn both_ways() -> impl Strategy<Value = Scenario> {
    of(true)
}

fn of(receives: bool) -> impl Strategy<Value = Scenario> {
    (120u32..1800, 1usize..24).prop_flat_map(move |(lasts_s, most)| {
        let acts = proptest::collection::vec(act(u64::from(lasts_s) * 1000), 1..=most);
        (any::<u64>(), setup(receives), acts).prop_map(move |(seed, setup, acts)| {
            let acts = placed(acts);
            Scenario { about: "made up".to_owned(), seed, lasts_s, setup, acts }
        })
    })
}

fn setup(receives: bool) -> BoxedStrategy<Setup> {
    let dialect = prop_oneof![3 => Just(Dialect::Current), 1 => Just(Dialect::April)];
    let agents = prop_oneof![
        2 => proptest::collection::vec(serving(receives), 1),
        2 => proptest::collection::vec(serving(receives), 2),
        1 => (serving(receives), agent().boxed()).prop_map(|(one, other)| vec![one, other]),
    ];
    let rows_late_s = prop_oneof![2 => Just(0u32), 1 => 1u32..=30];
    (dialect, any::<bool>(), agents, rows_late_s)
        .prop_map(|(dialect, provisioner, agents, rows_late_s)| Setup {
            dialect,
            provisioner,
            rate_limit: None,
            public: false,
            rows_late_s,
            agents,
        })
        .boxed()
}

fn serving(receives: bool) -> BoxedStrategy<AgentSetup> {
    let server = (1u8..4, 0u8..4, any::<bool>(), any::<bool>(), proptest::bool::weighted(0.2))
        .prop_map(|(handlers, queue, looks_up, open, tasks)| ServerSetup { handlers, queue, looks_up, open, tasks });
    (agent().boxed(), server, proptest::option::weighted(0.8, handler()))
        .prop_map(move |(agent, server, handler)| AgentSetup {
            push: true,
            watches: agent.watches && receives,
            handler: handler.filter(|_| receives),
            server: Some(server),
            ..agent
        })
        .boxed()
}

fn act(until_ms: u64) -> BoxedStrategy<(Timing, usize, ScenarioAction)> {
    let soon = || prop_oneof![1 => (0..until_ms).prop_map(Timing::At), 2 => (0..400u64).prop_map(Timing::Soon)];
    let slow = (handler(), 0u32..20_000).prop_map(|(handler, takes_ms)| Handler { takes_ms, ..handler });
    let gust = prop_oneof![
        3 => Just(Gust::Twice),
        2 => any::<bool>().prop_map(|silent| Gust::LostAfter { silent }),
        1 => any::<bool>().prop_map(|silent| Gust::LostBefore { silent }),
        1 => Just(Gust::Cut),
    ];
    let route = prop_oneof![6 => Just(Route::Dispatch), 1 => Just(Route::Feed), 1 => Just(Route::Heartbeat)];
    let strikes = (route, gust.clone()).prop_map(|(route, gust)| ScenarioAction::Strike { route, gust });
    let twice = (5u8..100, proptest::collection::vec(gust, 1..3))
        .prop_map(|(percent, gusts)| ScenarioAction::Weather(Weather { percent, gusts, route: Some(Route::Dispatch) }));
    let call = (0u8..2, super::way(), super::limit())
        .prop_map(|(to, way, limit_s)| CallKind::Peer(PeerAsk { to, way, limit_s }));
    let busy = Just(ScenarioAction::Handler(Handler { manner: HandlerManner::Echo, takes_ms: 15_000 }));
    let act = prop_oneof![
        12 => writer().prop_map(ScenarioAction::Writes),
        3 => slow.prop_map(ScenarioAction::Handler),
        2 => busy,
        4 => strikes,
        2 => twice,
        1 => Just(ScenarioAction::Weather(Weather::fair())),
        3 => crash().prop_map(ScenarioAction::Crash).boxed(),
        1 => (1u8..4, any::<bool>()).prop_map(|(times, power)| ScenarioAction::Poison { times, power }),
        4 => call.prop_map(|call| ScenarioAction::Call { call, gives_up_ms: None, dies: false }),
    ];
    let own = (soon(), 0usize..2, act);
    // In boxes, since a debug build needs much stack for what is nested so deeply.
    prop_oneof![3 => own.boxed(), 1 => timed(until_ms).boxed()].boxed()
}
