//! Random trees are unpacked unchanged, from archives of all formats and for all cuts.

use molecule_plugin::unpack::UnpackPolicy;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::plan::{members, pieces, thoughts, write};
use crate::support::{persisted, unpack_cut, unpack_pieces};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: persisted(), ..ProptestConfig::default() })]

    #[test]
    fn a_tree_comes_out_as_it_went_in(
        thoughts in thoughts(),
        gzip_cuts in vec(any::<Index>(), 0..4),
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let (nodes, tar) = write(&thoughts);
        let archive = members(&tar, &gzip_cuts);
        let policy = UnpackPolicy::default();
        let (unpacked, sink) = unpack_pieces(pieces(&archive, &cuts).into_iter(), &policy)
            .unwrap_or_else(|refusal| panic!("{refusal}"));
        prop_assert_eq!(&sink.nodes, &nodes);
        prop_assert_eq!(unpacked.received, archive.len() as u64);
        if archive.len() < 5_000 {
            prop_assert_eq!(unpack_cut(&archive, &policy, 1).unwrap(), (unpacked, sink));
        }
    }
}
