//! Support for the tests of unpacking: archives that are built block by block, and a sink that keeps everything in a
//! map.

#![allow(unreachable_pub)]

mod archive;
mod map;
mod persisted;
pub mod plan;

pub use archive::{Archive, Header, gzip, pax_record};
pub use map::{MapSink, Node};
pub use persisted::persisted;

use molecule_plugin::unpack::{UnpackError, UnpackPolicy, Unpacked, Unpacker};
use molecule_plugin::{Refusal, Rule};

/// Unpacks an archive in one piece.
pub fn unpack(archive: &[u8]) -> Result<(Unpacked, MapSink), Refusal> {
    unpack_by(archive, &UnpackPolicy::default())
}

/// Unpacks an archive in one piece, with this policy.
pub fn unpack_by(archive: &[u8], policy: &UnpackPolicy) -> Result<(Unpacked, MapSink), Refusal> {
    unpack_cut(archive, policy, archive.len().max(1))
}

/// Unpacks an archive in pieces of this size.
pub fn unpack_cut(archive: &[u8], policy: &UnpackPolicy, size: usize) -> Result<(Unpacked, MapSink), Refusal> {
    unpack_pieces(archive.chunks(size), policy)
}

/// Unpacks an archive in these pieces, and checks that an error stays the same in later calls.
pub fn unpack_pieces<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    policy: &UnpackPolicy,
) -> Result<(Unpacked, MapSink), Refusal> {
    let mut unpacker = Unpacker::new(MapSink::default(), policy);
    let mut failed = None;
    for piece in pieces {
        match unpacker.push(piece) {
            Ok(()) => assert_eq!(failed, None, "a failed unpacker went on"),
            Err(UnpackError::Refused(refusal)) => {
                assert!(failed.is_none() || failed.as_ref() == Some(&refusal), "it changed its mind: {refusal}");
                failed = Some(refusal);
            }
            Err(UnpackError::Sink { error, .. }) => panic!("a map does not fail: {error}"),
            Err(other) => panic!("{other}"),
        }
    }
    match unpacker.finish() {
        Ok((unpacked, sink)) => {
            assert_eq!(failed, None, "a failed unpacker finished");
            sink.check(&unpacked);
            Ok((unpacked, sink))
        }
        Err((UnpackError::Refused(refusal), _)) => {
            assert!(failed.is_none_or(|failed| failed == refusal), "it changed its mind at the end: {refusal}");
            Err(refusal)
        }
        Err((error, _)) => panic!("a map does not fail: {error}"),
    }
}

/// The refusal of an archive.
pub fn refusal(archive: &[u8]) -> Refusal {
    match unpack(archive) {
        Ok((unpacked, _)) => panic!("it was taken: {unpacked:?}"),
        Err(refusal) => refusal,
    }
}

/// The rule by which an archive is refused.
pub fn rule(archive: &[u8]) -> Rule {
    rule_by(archive, &UnpackPolicy::default())
}

/// The rule by which an archive is refused with this policy, the same for all cuts.
pub fn rule_by(archive: &[u8], policy: &UnpackPolicy) -> Rule {
    let refused = |size| match unpack_cut(archive, policy, size) {
        Ok((unpacked, _)) => panic!("it was taken: {unpacked:?}"),
        Err(refusal) => refusal,
    };
    let whole = refused(archive.len().max(1));
    for size in [1, 7, 512, 1_000] {
        assert_eq!(refused(size), whole, "cut into pieces of {size}");
    }
    whole.rule()
}
