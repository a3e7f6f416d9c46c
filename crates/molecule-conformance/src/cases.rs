//! All conformance cases; each module has those of one subject.

mod answers;
mod bodies;
mod connecting;
mod heads;
mod limits;
mod pool;
mod proxies;
mod requests;
mod streams;
mod tls;

use super::case::Case;

/// All cases of the suite.
pub fn all() -> Vec<Case> {
    let parts = [
        connecting::cases(),
        tls::cases(),
        proxies::cases(),
        limits::cases(),
        requests::cases(),
        answers::cases(),
        heads::cases(),
        bodies::cases(),
        pool::cases(),
        streams::cases(),
    ];
    parts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use molecule_core::effect::FaultKind::{Interrupted, Tls};

    use super::super::case::{CaseOutcome, maybe, unsent};
    use super::super::seen::SEEN;
    use super::*;

    #[test]
    fn a_case_gives_a_reason_exactly_where_more_than_one_thing_may_come_of_it() {
        let mut names = BTreeSet::new();
        for case in all() {
            assert!(names.insert(case.name), "{} is there twice", case.name);
            assert!(case.allowed().count() > 0 && case.allowed().all(|seen| !seen.is_empty()), "{}", case.name);
            assert_eq!(case.because.is_some(), case.allowed().any(|seen| seen.len() > 1), "{}", case.name);
        }
    }

    #[test]
    fn every_fault_that_was_seen_is_the_one_outcome_of_a_case() {
        let cases = all();
        // The timing decides whether a server's close or alert arrives before the request is written.
        let at_times = [maybe(Tls), unsent(Interrupted)];
        for fault in SEEN {
            let is_it = |seen: &CaseOutcome| seen.fault() == Some(*fault);
            let mut allowed = cases.iter().flat_map(Case::allowed);
            if at_times.iter().any(is_it) {
                assert!(allowed.any(|seen| seen.iter().any(is_it)), "{fault:?}");
            } else {
                assert!(allowed.any(|seen| seen.len() == 1 && is_it(&seen[0])), "{fault:?}");
            }
        }
        for seen in cases.iter().flat_map(Case::allowed).flatten() {
            assert!(seen.fault().is_none_or(|fault| SEEN.contains(&fault)), "{seen}");
        }
    }
}
