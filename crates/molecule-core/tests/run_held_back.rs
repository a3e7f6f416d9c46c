//! The longest time for which a scarce rate budget may delay a poll of the state.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use support::platform::{HEARTBEAT, STATE};
use support::*;

/// Only the state shows a pause, so it is polled after five windows, whatever is left for heartbeats.
#[test]
fn a_look_at_the_state_is_held_back_for_five_windows_at_most() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    run.platform.weather = Box::new(move |seen| {
        let scarce = |answer: Answer| {
            let answer = answer.header("x-ratelimit-limit", "600").header("x-ratelimit-remaining", "20");
            answer.header("x-ratelimit-reset", "59")
        };
        if seen.is(HEARTBEAT) {
            return Some(scarce(Answer::json(200, json!({"status": "ok", "generation": 3}))).into());
        }
        let state = json!({"workspace_id": ID, "status": "online", "paused": false, "deleted": false});
        seen.is(STATE).then(|| scarce(Answer::json(200, state)).into())
    });
    let from = run.agent.now.mono;
    run.on(secs(2 * 3600));
    let looks: Vec<_> = run.platform.times(STATE).into_iter().filter(|at| *at >= from).collect();
    let gaps: Vec<_> = looks.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    // Five windows after the interval, and spread over one more.
    let most = secs(30) + 5 * secs(60) + secs(60);
    assert!(gaps.len() > 15 && gaps.iter().all(|gap| *gap <= most), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap > secs(270)), "nothing held it back: {gaps:?}");
    assert!(run.gaps(HEARTBEAT)[1..].iter().all(|gap| *gap <= 30.0 + 1e-6), "a heartbeat was held back");
}
