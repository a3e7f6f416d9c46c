//! Random scenarios of agents that the platform pushes to.

use molecule_proto::Dialect;
use proptest::prelude::*;

use super::{Timing, agent, crash, handler, placed, timed, writer};
use crate::calls::{CallKind, PeerAsk, PeerWay};
use crate::clients::{ClientAsk, ClientCall};
use crate::handler::{Handler, HandlerManner};
use crate::scenario::{AgentSetup, Scenario, ScenarioAction, ServerSetup, Setup, Writer};
use crate::weather::{Gust, RetryAfter, Route, Weather};

/// Scenarios of two minutes to half an hour, in which agents with servers of their own are written to and called.
pub fn pushed() -> impl Strategy<Value = Scenario> {
    of(Kind::Pushed, act)
}

/// The same, with agents that also read their feeds.
pub fn both_ways() -> impl Strategy<Value = Scenario> {
    of(Kind::BothWays, act)
}

/// The same, with agents that poll while the platform cannot reach them, which happens.
pub fn auto() -> impl Strategy<Value = Scenario> {
    of(Kind::Auto, |until_ms| prop_oneof![2 => act(until_ms), 1 => outage(until_ms)].boxed())
}

/// The same, with clients of other authors and direct peers, for which the agents have tokens and tasks.
pub fn direct() -> impl Strategy<Value = Scenario> {
    of(Kind::Direct, |until_ms| prop_oneof![1 => act(until_ms), 2 => asked_directly(until_ms)].boxed())
}

/// What the agents of a scenario are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pushed,
    BothWays,
    Auto,
    Direct,
}

/// An action, its agent and its time.
type Act = (Timing, usize, ScenarioAction);

fn of(kind: Kind, act: fn(u64) -> BoxedStrategy<Act>) -> impl Strategy<Value = Scenario> {
    (120u32..1800, 1usize..24).prop_flat_map(move |(lasts_s, most)| {
        let acts = proptest::collection::vec(act(u64::from(lasts_s) * 1000), 1..=most);
        (any::<u64>(), setup(kind), acts).prop_map(move |(seed, setup, acts)| {
            let acts = placed(acts);
            Scenario { about: "made up".to_owned(), seed, lasts_s, setup, acts }
        })
    })
}

fn setup(kind: Kind) -> BoxedStrategy<Setup> {
    let dialect = prop_oneof![3 => Just(Dialect::Current), 1 => Just(Dialect::April)];
    let agents = prop_oneof![
        2 => proptest::collection::vec(serving(kind), 1),
        2 => proptest::collection::vec(serving(kind), 2),
        1 => (serving(kind), agent().boxed()).prop_map(|(one, other)| vec![one, other]),
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

fn serving(kind: Kind) -> BoxedStrategy<AgentSetup> {
    let (auto, peer_tokens) = (kind == Kind::Auto, kind == Kind::Direct);
    let receives = matches!(kind, Kind::BothWays | Kind::Auto);
    let tasks = if kind == Kind::Direct { 0.8 } else { 0.2 };
    let server = (1u8..4, 0u8..4, any::<bool>(), any::<bool>(), proptest::bool::weighted(tasks)).prop_map(
        move |(handlers, queue, looks_up, open, tasks)| ServerSetup {
            handlers,
            queue,
            looks_up,
            open,
            tasks,
            auto,
            peer_tokens,
        },
    );
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

fn act(until_ms: u64) -> BoxedStrategy<Act> {
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

/// The platform cannot reach the servers from now on, or can again.
fn outage(until_ms: u64) -> BoxedStrategy<Act> {
    let when = prop_oneof![(0..until_ms).prop_map(Timing::At), (0..90_000u64).prop_map(Timing::Soon)];
    let gust = prop_oneof![
        2 => Just(Gust::Refused),
        1 => Just(Gust::Unresolved),
        1 => Just(Gust::TlsRefused),
        1 => any::<bool>().prop_map(|silent| Gust::LostBefore { silent }),
        1 => Just(Gust::Page { status: 404 }),
        1 => Just(Gust::Gateway { status: 502, acted: false, asked: RetryAfter::Nothing }),
    ];
    let down = (prop_oneof![3 => Just(100u8), 1 => 20u8..100], gust).prop_map(|(percent, gust)| Weather {
        percent,
        gusts: vec![gust],
        route: Some(Route::Dispatch),
    });
    let weather = prop_oneof![1 => down, 1 => Just(Weather::fair())].prop_map(ScenarioAction::Weather);
    (when, Just(0usize), weather).boxed()
}

/// A client or a peer asks an agent directly.
fn asked_directly(until_ms: u64) -> BoxedStrategy<Act> {
    let when = prop_oneof![1 => (0..until_ms).prop_map(Timing::At), 3 => (0..3_000u64).prop_map(Timing::Soon)];
    let call = prop_oneof![
        3 => (proptest::option::weighted(0.4, 0u8..3), any::<bool>())
            .prop_map(|(task, blocking)| ClientCall::Send { task, blocking }),
        3 => (0u8..3, proptest::option::of(0u8..4)).prop_map(|(task, history)| ClientCall::Get { task, history }),
        2 => (0u8..3).prop_map(ClientCall::Cancel),
        1 => Just(ClientCall::Files),
    ];
    let peer = prop_oneof![2 => Just(None), 3 => (0u8..3).prop_map(Some)];
    let client = (peer, call, 1u16..120)
        .prop_map(|(peer, call, limit_s)| ScenarioAction::Client(ClientAsk { peer, call, limit_s }));
    let directly = (0u8..2, super::limit()).prop_map(|(to, limit_s)| {
        let call = CallKind::Peer(PeerAsk { to, way: PeerWay::Direct, limit_s });
        ScenarioAction::Call { call, gives_up_ms: None, dies: false }
    });
    let slow = (1_000u32..20_000)
        .prop_map(|takes_ms| ScenarioAction::Handler(Handler { manner: HandlerManner::Echo, takes_ms }));
    let act = prop_oneof![6 => client, 2 => directly, 1 => slow, 1 => Just(ScenarioAction::Writes(Writer::Upload))];
    (when, 0usize..2, act).boxed()
}
