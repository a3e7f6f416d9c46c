//! The simulated network reports exactly the faults that real drivers reported.

use molecule_conformance::SEEN;
use molecule_core::effect::{FaultKind, Sent};
use molecule_sim::FAULTS;

#[test]
fn a_real_driver_gave_every_fault_of_the_simulated_network() {
    for (sent, kind) in FAULTS {
        // A driver reports this one itself, when a machine cancels an effect.
        let own = (kind, sent) == (FaultKind::Cancelled, Sent::Maybe);
        assert!(own || SEEN.contains(&(kind, sent)), "{kind:?}, {sent:?}");
    }
}

#[test]
fn the_simulated_network_gives_every_fault_that_a_real_driver_gave() {
    for (kind, sent) in SEEN {
        assert!(FAULTS.contains(&(*sent, *kind)), "{kind:?}, {sent:?}");
    }
}
