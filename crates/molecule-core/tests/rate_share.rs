//! The share of a rate limit's window that is reserved for heartbeats: the code's figure equals the documentation's.

use molecule_core::RateBudget;

const README: &str = include_str!("../../../README.md");

#[test]
fn the_heartbeats_share_is_the_documented_one() {
    let share = RateBudget::KEPT_FOR_HEARTBEATS;
    assert!(README.contains(&format!("a share of {share}")), "README says another share than {share}");
    assert!(README.contains(&format!("{:.0} % of the rest of a window is kept for heartbeats", 100.0 * share)));
    // A heartbeat every 30 s that is up to 10 % early: every 28.5 s on average.
    let beats_a_minute = |agents: f64| agents * 60.0 / 28.5;
    assert!(beats_a_minute(240.0) < 600.0 * share, "not enough for 240 agents");
    assert!(beats_a_minute(245.0) > 600.0 * share, "more than 240 agents need");
}
