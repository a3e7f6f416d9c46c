//! Random scenarios of fleets.

use proptest::collection::vec;
use proptest::prelude::*;

use super::scenario::{FleetAct, FleetMember, FleetScenario, FleetTimed, StoreWeather};

const TTL: u64 = 3000;

/// Anything may happen.
pub fn fleet() -> impl Strategy<Value = FleetScenario> {
    scenario(1..=4, act(), 0..14, weather())
}

/// Two members whose partitions and slow answers lie around the lengths that matter.
pub fn fleet_of_two() -> impl Strategy<Value = FleetScenario> {
    let around = (TTL / 4..TTL * 7 / 4).boxed();
    let member = 0u8..2;
    let act = prop_oneof![
        4 => (member.clone(), around.clone()).prop_map(|(member, ms)| FleetAct::Partition { member, ms }),
        2 => (member.clone(), around.clone()).prop_map(|(member, ms)| FleetAct::Freeze { member, ms }),
        1 => (member.clone(), around.clone()).prop_map(|(member, ms)| FleetAct::Sleep { member, ms }),
        1 => around.prop_map(|ms| FleetAct::StoreDown { ms }),
        1 => member.prop_map(|member| FleetAct::Kill { member }),
    ];
    let weather = (0u8..40, 0u8..30, 0u8..50).prop_map(|(slow, lost_after, skipped)| StoreWeather {
        slow,
        lost_after,
        skipped,
        ..StoreWeather::default()
    });
    scenario(2..=2, act, 1..8, weather)
}

/// Two members. The first has a slow clock, loses many requests and gets slow answers; the second has a fast clock: what counts is
/// when a renewal was sent.
pub fn fleet_with_losses() -> impl Strategy<Value = FleetScenario> {
    let weather = (30u8..70, 0u8..50, 50u8..100).prop_map(|(lost_before, lost_after, slow_answers)| StoreWeather {
        lost_before,
        lost_after,
        slow_answers,
        of: Some(0),
        ..StoreWeather::default()
    });
    let message = (0u8..4, 0u8..6).prop_map(|(workspace, sender)| FleetAct::Message { workspace, sender });
    scenario(2..=2, message, 1..4, weather).prop_map(|mut scenario| {
        let rates = scenario.members.iter_mut().zip([-10, 10]);
        rates.for_each(|(member, rate)| *member = FleetMember { rate_percent: rate, absent: false, ..*member });
        // The weather ends with the last act.
        let last = FleetAct::Message { workspace: 0, sender: 0 };
        scenario.acts.push(FleetTimed { at_ms: TTL * 20, act: last });
        scenario
    })
}

/// The store goes back while members are away.
pub fn fleet_that_goes_back() -> impl Strategy<Value = FleetScenario> {
    let member = 0u8..3;
    let away = (TTL / 2..TTL * 3).boxed();
    let act = prop_oneof![
        3 => (member.clone(), away.clone()).prop_map(|(member, ms)| FleetAct::Partition { member, ms }),
        1 => (member.clone(), away.clone()).prop_map(|(member, ms)| FleetAct::Freeze { member, ms }),
        3 => (0..TTL * 4, prop_oneof![Just(0u8), 1u8..12]).prop_map(|(by_ms, fill)| FleetAct::GoBack { by_ms, fill }),
        1 => Just(FleetAct::Anew),
        1 => member.prop_map(|member| FleetAct::Restart { member }),
    ];
    scenario(2..=3, act, 2..8, Just(StoreWeather::default()))
}

fn scenario(
    members: std::ops::RangeInclusive<usize>,
    act: impl Strategy<Value = FleetAct> + 'static,
    acts: std::ops::Range<usize>,
    weather: impl Strategy<Value = StoreWeather> + 'static,
) -> impl Strategy<Value = FleetScenario> {
    let member = (-10i8..=10, -20i16..=20, prop::bool::weighted(0.1));
    let member = member.prop_map(|(rate_percent, ahead_ms, absent)| FleetMember { rate_percent, ahead_ms, absent });
    let timed = (0..TTL * 10, act).prop_map(|(at_ms, act)| FleetTimed { at_ms, act });
    let message = (0..TTL * 12, 0u8..4, 0u8..6)
        .prop_map(|(at_ms, workspace, sender)| FleetTimed { at_ms, act: FleetAct::Message { workspace, sender } });
    let shape = (any::<u64>(), 1u16..8, 1u16..=3, any::<bool>(), prop::bool::weighted(0.8));
    (shape, vec(member, members), weather, vec(timed, acts), vec(message, 0..12)).prop_map(
        |((seed, workspaces, parts, counts_each_key, watches), members, weather, acts, messages)| {
            let mut acts = [acts, messages].concat();
            acts.sort_by_key(|timed| timed.at_ms);
            // Whatever died, somebody is there at the end.
            let last = acts.last().map_or(0, |timed| timed.at_ms) + 1;
            let ends = |act: &FleetAct| matches!(act, FleetAct::Kill { .. } | FleetAct::Leave { .. });
            if acts.iter().any(|timed| ends(&timed.act)) || members.iter().any(|member| member.absent) {
                acts.push(FleetTimed { at_ms: last, act: FleetAct::Restart { member: 0 } });
            }
            FleetScenario {
                about: String::new(),
                seed,
                ttl_ms: TTL,
                workspaces,
                parts,
                counts_each_key,
                watches,
                members,
                weather,
                acts,
            }
        },
    )
}

fn weather() -> impl Strategy<Value = StoreWeather> {
    let percent = || prop_oneof![3 => Just(0u8), 1 => 1u8..25];
    (percent(), percent(), percent(), percent(), percent(), percent()).prop_map(
        |(lost_before, lost_after, late, slow, skipped, repeated)| StoreWeather {
            of: None,
            lost_before,
            lost_after,
            late,
            slow,
            slow_answers: 0,
            skipped,
            repeated,
        },
    )
}

fn act() -> impl Strategy<Value = FleetAct> {
    let member = || 0u8..4;
    let long = || TTL / 6..TTL * 3;
    prop_oneof![
        3 => (member(), long()).prop_map(|(member, ms)| FleetAct::Partition { member, ms }),
        2 => (member(), long()).prop_map(|(member, ms)| FleetAct::Freeze { member, ms }),
        1 => (member(), long()).prop_map(|(member, ms)| FleetAct::Sleep { member, ms }),
        1 => (member(), long()).prop_map(|(member, ms)| FleetAct::Stale { member, ms }),
        1 => long().prop_map(|ms| FleetAct::StoreDown { ms }),
        1 => (0..TTL * 3, prop_oneof![Just(0u8), 1u8..12]).prop_map(|(by_ms, fill)| FleetAct::GoBack { by_ms, fill }),
        1 => Just(FleetAct::Anew),
        1 => member().prop_map(|member| FleetAct::Kill { member }),
        2 => member().prop_map(|member| FleetAct::Restart { member }),
        1 => member().prop_map(|member| FleetAct::Leave { member }),
        1 => (member(), -5000i64..20_000).prop_map(|(member, by_ms)| FleetAct::SetClock { member, by_ms }),
    ]
}
