//! Strategies that generate random scenarios.

mod serving;

pub use serving::{auto, both_ways, direct, pushed};

use molecule_proto::Dialect;
use proptest::prelude::*;

use crate::calls::{CallKind, PeerAsk, PeerWay};
use crate::door::{Door, Manner};
use crate::handler::{Handler, HandlerManner};
use crate::scenario::{
    AfterError, AgentSetup, Crash, Moment, Mood, Scenario, ScenarioAction, Setup, Timed, TokenAt, Writer,
};
use crate::weather::{Gust, RetryAfter, Route, SlowPart, Weather};

/// Scenarios of one minute to one hour with many actions.
pub fn scenario() -> impl Strategy<Value = Scenario> {
    (60u32..3600, 0usize..14).prop_flat_map(|(lasts_s, most)| of(lasts_s, most))
}

/// Scenarios of one day with few actions.
pub fn life() -> impl Strategy<Value = Scenario> {
    (1usize..40).prop_flat_map(|most| of(86_400, most))
}

fn of(lasts_s: u32, most: usize) -> impl Strategy<Value = Scenario> {
    let acts = proptest::collection::vec(timed(u64::from(lasts_s) * 1000), 0..=most);
    (any::<u64>(), setup(), acts).prop_map(move |(seed, setup, acts)| {
        let acts = placed(acts);
        Scenario { about: "made up".to_owned(), seed, lasts_s, setup, acts }
    })
}

/// When an action happens.
#[derive(Debug, Clone, Copy)]
enum Timing {
    At(u64),
    /// This many milliseconds after the action before it: many faults need two events close together.
    Soon(u64),
}

fn placed(acts: Vec<(Timing, usize, ScenarioAction)>) -> Vec<Timed> {
    let mut before = 0;
    let mut placed = Vec::new();
    for (place, agent, act) in acts {
        before = match place {
            Timing::At(at_ms) => at_ms,
            Timing::Soon(after) => before + after,
        };
        placed.push(Timed { at_ms: before, agent, act });
    }
    placed.sort_by_key(|timed| timed.at_ms);
    placed
}

fn setup() -> impl Strategy<Value = Setup> {
    let dialect = prop_oneof![Just(Dialect::Current), Just(Dialect::April)];
    let rate_limit = prop_oneof![6 => Just(None), 1 => (30u32..600).prop_map(Some), 1 => (6u32..60).prop_map(Some)];
    let agents = prop_oneof![3 => proptest::collection::vec(agent(), 1), 2 => proptest::collection::vec(agent(), 2..4)];
    let rows_late_s = prop_oneof![2 => Just(0u32), 1 => 1u32..=30];
    (dialect, any::<bool>(), rate_limit, agents, rows_late_s).prop_map(
        |(dialect, provisioner, rate_limit, agents, rows_late_s)| Setup {
            dialect,
            provisioner,
            rate_limit,
            public: false,
            rows_late_s,
            agents,
        },
    )
}

fn agent() -> impl Strategy<Value = AgentSetup> {
    let token = prop_oneof![
        4 => Just(TokenAt::Stored),
        2 => Just(TokenAt::Given),
        1 => Just(TokenAt::GivenDeadStoredLive),
        1 => Just(TokenAt::GivenLiveStoredDead),
        1 => Just(TokenAt::Lost),
        4 => Just(TokenAt::NotMinted),
    ];
    let after_error = prop_oneof![Just(AfterError::End), Just(AfterError::Again), Just(AfterError::Restart)];
    let heartbeat_s = prop_oneof![4 => Just(30u32), 1 => 1u32..=60];
    let state_s = prop_oneof![4 => Just(30u32), 1 => 1u32..=300];
    let handler = proptest::option::weighted(0.4, (handler(), any::<bool>()));
    (token, any::<bool>(), heartbeat_s, state_s, any::<bool>(), any::<bool>(), after_error, handler).prop_map(
        |(token, push, heartbeat_s, state_s, waits_on_pause, registers_first, after_error, handler)| AgentSetup {
            count: 1,
            starts_within_s: 0,
            token,
            // Messages of an agent that polls all come through its feed.
            push: push && handler.is_none(),
            heartbeat_s,
            state_s,
            waits_on_pause,
            registers_first,
            after_error,
            handler: handler.map(|(handler, _)| handler),
            watches: handler.is_some_and(|(_, watches)| watches),
            server: None,
        },
    )
}

fn timed(until_ms: u64) -> impl Strategy<Value = (Timing, usize, ScenarioAction)> {
    let place = prop_oneof![
        4 => (0..until_ms).prop_map(Timing::At),
        // Many interesting states occur while the agent starts.
        1 => (0..5_000u64.min(until_ms)).prop_map(Timing::At),
        2 => (0..12_000u64).prop_map(Timing::Soon),
        1 => (0..200u64).prop_map(Timing::Soon),
    ];
    let agent = prop_oneof![4 => Just(0usize), 1 => 0usize..3];
    (place, agent, act())
}

fn act() -> impl Strategy<Value = ScenarioAction> {
    prop_oneof![
        6 => owner(),
        5 => weather().prop_map(ScenarioAction::Weather),
        2 => Just(ScenarioAction::Weather(Weather::fair())),
        5 => (route(), gust()).prop_map(|(route, gust)| ScenarioAction::Strike { route, gust }),
        5 => (call(), prop_oneof![3 => Just(None), 1 => (0u32..20_000).prop_map(Some)], any::<bool>())
            .prop_map(|(call, gives_up_ms, dies)| ScenarioAction::Call { call, gives_up_ms, dies: dies && gives_up_ms.is_some() }),
        3 => program(),
        8 => writer().prop_map(ScenarioAction::Writes),
        2 => handler().prop_map(ScenarioAction::Handler),
        // A notice of which it is unknown whether it arrived is looked for within less.
        1 => (600u32..20_000).prop_map(ScenarioAction::Prune),
        1 => (1u8..5, any::<bool>()).prop_map(|(times, power)| ScenarioAction::Poison { times, power }),
        3 => door().prop_map(ScenarioAction::Door),
        3 => crash().prop_map(ScenarioAction::Crash),
        3 => prop_oneof![
            3 => Just(Mood::Fine), 2 => Just(Mood::Full), 1 => Just(Mood::ReadOnly), 1 => Just(Mood::Broken)
        ].prop_map(ScenarioAction::Disk),
        2 => clock(),
    ]
}

fn owner() -> impl Strategy<Value = ScenarioAction> {
    prop_oneof![
        3 => Just(ScenarioAction::Pause),
        3 => Just(ScenarioAction::Resume),
        1 => Just(ScenarioAction::Rotate),
        2 => Just(ScenarioAction::HandOver),
        2 => Just(ScenarioAction::RevokeAll),
        1 => any::<bool>().prop_map(|purge| ScenarioAction::Delete { purge }),
        1 => any::<u8>().prop_map(ScenarioAction::SetSecret),
        1 => any::<bool>().prop_map(ScenarioAction::Broke),
        1 => any::<bool>().prop_map(ScenarioAction::Muted),
        3 => any::<bool>().prop_map(|up| ScenarioAction::Database { up }),
    ]
}

fn program() -> impl Strategy<Value = ScenarioAction> {
    prop_oneof![
        2 => (0u8..5).prop_map(ScenarioAction::Report),
        2 => proptest::option::of(0u8..5).prop_map(ScenarioAction::SetUrl),
        1 => peer().prop_map(ScenarioAction::Forget),
        1 => Just(ScenarioAction::Stop),
        1 => Just(ScenarioAction::StopNow),
        1 => Just(ScenarioAction::SecondLoop),
        2 => Just(ScenarioAction::ConnectionsDie),
        3 => Just(ScenarioAction::Start),
    ]
}

fn writer() -> impl Strategy<Value = Writer> {
    prop_oneof![
        6 => Just(Writer::User),
        4 => peer().prop_map(Writer::Peer),
        2 => (0u8..2).prop_map(Writer::Channel),
        1 => Just(Writer::Webhook),
        1 => Just(Writer::Nudge),
        1 => Just(Writer::StallProbe),
        1 => Just(Writer::Schedule),
        1 => peer().prop_map(Writer::Broadcast),
        1 => Just(Writer::Upload),
    ]
}

fn handler() -> impl Strategy<Value = Handler> {
    let manner = prop_oneof![
        6 => Just(HandlerManner::Echo),
        2 => Just(HandlerManner::Continues),
        1 => Just(HandlerManner::Nothing),
        2 => (0u16..200).prop_map(HandlerManner::Later),
        1 => Just(HandlerManner::Fails),
        2 => (1u8..4).prop_map(HandlerManner::FailsFirst),
        1 => Just(HandlerManner::Panics),
        1 => Just(HandlerManner::Uncalled),
    ];
    let takes_ms = prop_oneof![2 => Just(0u32), 2 => 0u32..2_000, 1 => 2_000u32..60_000];
    (manner, takes_ms).prop_map(|(manner, takes_ms)| Handler { manner, takes_ms })
}

fn crash() -> impl Strategy<Value = Crash> {
    let moment = prop_oneof![Just(Moment::Before), Just(Moment::During), Just(Moment::After)];
    (0u16..20, moment, any::<bool>(), proptest::option::weighted(0.8, 0u32..300))
        .prop_map(|(after_effects, moment, power, restart_s)| Crash { after_effects, moment, power, restart_s })
}

fn clock() -> impl Strategy<Value = ScenarioAction> {
    prop_oneof![
        (-100_000i32..100_000).prop_map(ScenarioAction::SetCalendar),
        (1u32..40_000).prop_map(ScenarioAction::ClockJumps),
        (1u32..600).prop_map(ScenarioAction::ClockStands),
        (1u32..30_000, any::<bool>()).prop_map(|(secs, counted)| ScenarioAction::Sleep { secs, counted }),
    ]
}

fn call() -> impl Strategy<Value = CallKind> {
    prop_oneof![
        3 => Just(CallKind::Register),
        2 => Just(CallKind::RecoverByAdmin),
        2 => Just(CallKind::RecoverOwn),
        1 => Just(CallKind::Beat),
        1 => Just(CallKind::State),
        1 => Just(CallKind::Secrets),
        1 => Just(CallKind::Card),
        2 => Just(CallKind::RetryDeadLetter),
        10 => of_peers(),
    ]
}

fn of_peers() -> impl Strategy<Value = CallKind> {
    prop_oneof![
        1 => Just(CallKind::Peers),
        1 => peer().prop_map(CallKind::Discover),
        1 => peer().prop_map(CallKind::CheckAccess),
        12 => (peer(), way(), limit()).prop_map(|(to, way, limit_s)| CallKind::Peer(PeerAsk { to, way, limit_s })),
        3 => (peer(), proptest::option::of(0u8..3)).prop_map(|(to, key)| CallKind::Delegate { to, key }),
        1 => Just(CallKind::Delegations),
        1 => limit().prop_map(CallKind::WaitDelegation),
        1 => Just(CallKind::QueueItem),
        2 => limit().prop_map(CallKind::WaitQueueItem),
    ]
}

/// The index of an agent: mostly one that exists, often the other one of two.
fn peer() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(1u8), 3 => 0u8..4]
}

fn way() -> impl Strategy<Value = PeerWay> {
    prop_oneof![3 => Just(PeerWay::Auto), 2 => Just(PeerWay::Proxy), 2 => Just(PeerWay::Direct)]
}

fn limit() -> impl Strategy<Value = u16> {
    prop_oneof![2 => 1u16..30, 2 => 30u16..600]
}

fn door() -> impl Strategy<Value = Door> {
    let thinks_ms = prop_oneof![3 => Just(0u32), 1 => 0u32..5_000, 1 => 5_000u32..600_000];
    (any::<bool>(), manner(), thinks_ms).prop_map(|(wants_secret, manner, thinks_ms)| Door {
        wants_secret,
        manner,
        thinks_ms,
    })
}

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![
        3 => Just(Manner::Message),
        1 => Just(Manner::Task),
        1 => Just(Manner::Own),
        1 => Just(Manner::RpcError),
        1 => Just(Manner::Nothing),
        3 => Just(Manner::Busy),
        1 => asked().prop_map(Manner::Overloaded),
        2 => Just(Manner::HangsUp),
        1 => Just(Manner::Silent),
        1 => Just(Manner::Cut),
        1 => Just(Manner::TooLong),
        1 => Just(Manner::Page),
        1 => Just(Manner::Redirect),
        2 => says(),
    ]
}

/// Answers of an agent, some of which imitate the platform.
fn says() -> impl Strategy<Value = Manner> {
    let status = proptest::sample::select(vec![200u16, 202, 400, 401, 402, 403, 404, 405, 429, 500, 502, 503]);
    let body = proptest::sample::select(vec![
        r#"{"error":"no"}"#,
        r#"{"error":"invalid caller auth token"}"#,
        r#"{"error":"rate limit exceeded","retry_after":60}"#,
        r#"{"error":"workspace not found"}"#,
        r#"{"error":"failed to reach workspace agent"}"#,
        r#"{"queued":true,"queue_id":"16fbce34-b9f3-4274-9310-2d6cf9256ac5","queue_depth":1}"#,
        r#"{"status":"queued","delivery_mode":"push-async"}"#,
        r#"{"code":"platform_unavailable","error":"down"}"#,
        "",
        "<html>",
    ]);
    (status, body).prop_map(|(status, body)| Manner::Says { status, body: body.to_owned() })
}

fn weather() -> impl Strategy<Value = Weather> {
    let percent = prop_oneof![Just(100u8), 5u8..100];
    let route = proptest::option::weighted(0.2, route());
    (percent, proptest::collection::vec(gust(), 1..4), route).prop_map(|(percent, gusts, route)| Weather {
        percent,
        gusts,
        route,
    })
}

fn route() -> impl Strategy<Value = Route> {
    prop_oneof![
        4 => Just(Route::Register),
        3 => Just(Route::Heartbeat),
        3 => Just(Route::State),
        2 => Just(Route::View),
        2 => Just(Route::Rotate),
        2 => Just(Route::Mint),
        1 => Just(Route::ListTokens),
        1 => Just(Route::RevokeToken),
        1 => Just(Route::Secrets),
        1 => Just(Route::Card),
        1 => Just(Route::Peers),
        2 => Just(Route::Discover),
        4 => Just(Route::A2a),
        4 => Just(Route::Direct),
        4 => Just(Route::Dispatch),
        2 => Just(Route::Delegate),
        1 => Just(Route::Delegations),
        1 => Just(Route::QueueItem),
        1 => Just(Route::CheckAccess),
        3 => Just(Route::Feed),
        1 => Just(Route::Ack),
        3 => Just(Route::Notify),
        2 => Just(Route::Events),
    ]
}

fn gust() -> impl Strategy<Value = Gust> {
    let part = prop_oneof![Just(SlowPart::Connect), Just(SlowPart::Head), Just(SlowPart::Read), Just(SlowPart::Drip)];
    prop_oneof![
        2 => Just(Gust::Refused),
        1 => Just(Gust::Unresolved),
        1 => Just(Gust::TlsRefused),
        1 => Just(Gust::ProxyRefused),
        1 => Just(Gust::ProxyLocked),
        2 => any::<bool>().prop_map(|silent| Gust::LostBefore { silent }),
        4 => any::<bool>().prop_map(|silent| Gust::LostAfter { silent }),
        4 => (part, 100u32..60_000).prop_map(|(part, ms)| Gust::Slow { part, ms }),
        2 => asked().prop_map(Gust::TooMany),
        1 => asked().prop_map(Gust::Busy),
        3 => (prop_oneof![4 => Just(502u16), 4 => Just(503), 4 => Just(504), 1 => Just(520), 1 => Just(530)], any::<bool>(), asked())
            .prop_map(|(status, acted, asked)| Gust::Gateway { status, acted, asked }),
        1 => Just(Gust::Redirect),
        2 => Just(Gust::Cut),
        2 => Just(Gust::Corrupt),
        2 => prop_oneof![Just(200u16), Just(403), Just(404), Just(410), Just(500)].prop_map(|status| Gust::Page { status }),
        3 => prop_oneof![Just(401u16), Just(404), Just(410)].prop_map(|status| Gust::Framework { status }),
        1 => prop_oneof![Just(400u16), Just(403), Just(500)].prop_map(|status| Gust::Echo { status }),
        1 => Just(Gust::TooLarge),
        1 => prop_oneof![Just(302u16), Just(403), Just(404), Just(502), Just(503)]
            .prop_map(|status| Gust::LongPage { status }),
        1 => Just(Gust::NoHttp),
    ]
}

fn asked() -> impl Strategy<Value = RetryAfter> {
    prop_oneof![
        2 => Just(RetryAfter::Nothing),
        4 => (0u32..90).prop_map(RetryAfter::Seconds),
        1 => (-100i32..100).prop_map(RetryAfter::Date),
        1 => Just(RetryAfter::Junk),
    ]
}
