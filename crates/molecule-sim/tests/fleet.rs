//! Two hundred agents that share one rate limit.

#![allow(clippy::unwrap_used)]

use std::io::Write;

use molecule_sim::{library, run};

#[test]
fn two_hundred_agents_that_share_600_requests_a_minute_all_stay_online() {
    let mut fleets = 0;
    for (name, scenario) in
        library::all().unwrap().into_iter().filter(|(name, _)| name.starts_with("two-hundred-agents"))
    {
        let outcome = run(&scenario);
        assert!(outcome.broken.is_none(), "{name}: {:?}", outcome.broken);
        assert_eq!(outcome.absences, 0, "{name}: an agent was not online");
        // At the start 200 agents send more requests than a window allows; afterwards few are refused.
        let (requests, limited) = (outcome.requests, outcome.limited);
        assert!(limited * 10 < requests, "{name}: {limited} of {requests} requests were refused");
        let _ = writeln!(std::io::stderr(), "{name}: {requests} requests, {limited} refused with 429");
        fleets += 1;
    }
    assert!(fleets >= 2, "the scenarios are gone");
}
