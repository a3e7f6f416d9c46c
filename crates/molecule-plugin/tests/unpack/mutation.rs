//! Archives with a fault cause no panic and no path outside, and their verdict does not depend on how the bytes are
//! cut. A second reader, the `tar` crate, reads the same tree from every accepted archive.

use std::collections::BTreeMap;
use std::io::{self, Read as _};

use flate2::read::MultiGzDecoder;
use molecule_plugin::InstallLimits;
use molecule_plugin::unpack::UnpackPolicy;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tar::EntryType;

use crate::support::plan::{Thought, pieces, thoughts, write};
use crate::support::{
    Archive, Header, MapSink, Node, gzip, pax_record, persisted, unpack_by, unpack_cut, unpack_pieces,
};

const BLOCK: usize = 512;

/// A mutation of an archive.
#[derive(Debug, Clone)]
enum Mutation {
    /// Replaces a byte at any place.
    Byte(Index, u8),
    /// Replaces a byte in a header, and corrects the checksum.
    Field(Index, usize, u8),
    /// Replaces the bytes of a header's field, and corrects the checksum.
    Text(Index, usize, &'static [u8]),
    /// Repeats a block.
    Repeat(Index),
    /// Removes a block.
    Remove(Index),
    /// Removes the rest.
    Cut(Index),
    /// Inserts blocks of another archive.
    Insert(Index, Vec<u8>),
    /// Inserts zeros.
    Zeros(Index, usize),
}

/// Offsets of the fields of a header that matter: name, mode, size, type, magic, prefix.
fn place() -> impl Strategy<Value = usize> {
    prop_oneof![
        0_usize..20,
        100_usize..108,
        124_usize..136,
        Just(156_usize),
        257_usize..265,
        345_usize..350,
        0_usize..BLOCK
    ]
}

fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![select(b"\0 /.:\\0123456789xgLKSDMVN7\x80\xff=\nab".to_vec()), any::<u8>(),]
}

const TEXTS: &[(usize, &[u8])] = &[
    (0, b"../x\0"),
    (0, b"/etc/passwd\0"),
    (0, b"a\0"),
    (0, b"dir\0"),
    (0, b"a/b\0"),
    (0, b"./\0"),
    (0, b"\0"),
    (124, b"00000000000\0"),
    (124, b"00000001000\0"),
    (124, b"77777777777\0"),
    (124, &[0xff; 12]),
    (124, b"\x80\0\0\0\0\0\0\0\0\0\x02\0"),
    (257, b"ustar\x0000"),
    (257, b"ustar  \0"),
    (257, &[0; 8]),
    (345, b"up\0"),
    (345, b"\0"),
    (100, b"0000755\0"),
    (100, b"0100644\0"),
    (100, b"\x80\0\0\0\0\0\x01\xed"),
    (100, b"\x80\0\0\0\0\0\x01\xa4"),
    (100, b"\x80\0\0\0\0\x01\0\0"),
    (108, b"junk"),
    (136, &[0xff; 12]),
];

/// Blocks that may stand between others.
fn foreign() -> impl Strategy<Value = Vec<u8>> {
    let extension = |flag: u8, content: Vec<u8>| Archive::new().entry(Header::new("extension", flag), content).open();
    let records = [
        pax_record("path", "pax/named"),
        pax_record("size", "0"),
        pax_record("size", "512"),
        pax_record("comment", "x"),
        pax_record("linkpath", "x"),
        pax_record("GNU.sparse.major", "1"),
        pax_record("SCHILY.realsize", "1"),
        pax_record("path", "../x"),
        b"7 a=b\n".to_vec(),
        Vec::new(),
        [pax_record("path", "one"), pax_record("size", "3")].concat(),
    ];
    let headers = records.map(|records| [extension(b'x', records.clone()), extension(b'g', records)]).concat();
    let mut blocks: Vec<Vec<u8>> = headers.into_iter().collect();
    for name in [&b"long/name\0"[..], b"long/name", b"a\0", b"", b"x\0y"] {
        blocks.extend([extension(b'L', name.to_vec()), extension(b'K', name.to_vec())]);
    }
    for flag in [b'1', b'2', b'3', b'5', b'6', b'7', b'S'] {
        blocks.push(Archive::new().entry(Header::new("other", flag), "").open());
    }
    blocks.push(Archive::new().file("a", "another").open());
    blocks.push(Archive::new().file("more/of/it", "").open());
    blocks.push(Archive::new().zeros(1).open());
    blocks.push(Archive::new().zeros(2).open());
    select(blocks)
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        2 => (at(), byte()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        6 => (at(), place(), byte()).prop_map(|(at, place, byte)| Mutation::Field(at, place, byte)),
        4 => (at(), select(TEXTS)).prop_map(|(at, (place, text))| Mutation::Text(at, place, text)),
        1 => at().prop_map(Mutation::Repeat),
        1 => at().prop_map(Mutation::Remove),
        1 => at().prop_map(Mutation::Cut),
        5 => (at(), foreign()).prop_map(|(at, blocks)| Mutation::Insert(at, blocks)),
        1 => (at(), 1..3_usize).prop_map(|(at, blocks)| Mutation::Zeros(at, blocks)),
    ]
}

/// The offset of a block that looks like a header.
fn header(tar: &[u8], at: &Index) -> Option<usize> {
    let places: Vec<usize> = (0..tar.len() / BLOCK).map(|block| block * BLOCK).collect();
    let places: Vec<usize> = places
        .into_iter()
        .filter(|at| tar[at + 257..].starts_with(b"ustar") || tar[at + 257..at + 265] == [0; 8])
        .collect();
    (!places.is_empty()).then(|| *at.get(&places))
}

fn reseal(tar: &mut [u8], at: usize) {
    let block = &mut tar[at..at + BLOCK];
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn mutate(tar: &mut Vec<u8>, mutation: &Mutation) {
    if tar.is_empty() {
        return;
    }
    let block = |at: &Index| at.index(tar.len() / BLOCK + 1) * BLOCK;
    match mutation {
        Mutation::Byte(at, byte) => {
            let at = at.index(tar.len());
            tar[at] = *byte;
        }
        Mutation::Field(at, place, byte) => {
            if let Some(at) = header(tar, at) {
                tar[at + place] = *byte;
                reseal(tar, at);
            }
        }
        Mutation::Text(at, place, text) => {
            if let Some(at) = header(tar, at) {
                tar[at + place..at + place + text.len()].copy_from_slice(text);
                reseal(tar, at);
            }
        }
        Mutation::Repeat(at) => {
            let at = block(at).min(tar.len() - BLOCK.min(tar.len()));
            let copy = tar[at..(at + BLOCK).min(tar.len())].to_vec();
            tar.splice(at..at, copy);
        }
        Mutation::Remove(at) => {
            let at = block(at).min(tar.len());
            let end = (at + BLOCK).min(tar.len());
            tar.drain(at..end);
        }
        Mutation::Cut(at) => tar.truncate(at.index(tar.len() + 1)),
        Mutation::Insert(at, blocks) => {
            let at = block(at).min(tar.len());
            tar.splice(at..at, blocks.iter().copied());
        }
        Mutation::Zeros(at, blocks) => {
            let at = block(at).min(tar.len());
            tar.splice(at..at, std::iter::repeat_n(0, blocks * BLOCK));
        }
    }
}

fn small() -> impl Strategy<Value = Vec<Thought>> {
    thoughts().prop_map(|mut thoughts| {
        thoughts.truncate(6);
        thoughts.retain(|thought| !thought.is_large());
        thoughts
    })
}

/// The tree as the `tar` crate reads it.
fn second_opinion(tar: &[u8]) -> io::Result<BTreeMap<String, Node>> {
    let mut nodes = BTreeMap::new();
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let is_file = kind == EntryType::Regular;
        if !is_file && kind != EntryType::Directory {
            continue;
        }
        // Only NULs follow the first NUL of a long name.
        let path = entry.path_bytes().split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        let path = String::from_utf8(path).map_err(io::Error::other)?;
        let components: Vec<&str> = path.split('/').filter(|component| !["", "."].contains(component)).collect();
        let executable = mode(entry.header())? & 0o100 != 0;
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        for end in 1..components.len() {
            nodes.entry(components[..end].join("/")).or_insert(Node::Directory);
        }
        let node = if is_file { Node::File { content, executable } } else { Node::Directory };
        if !components.is_empty() {
            nodes.insert(components.join("/"), node);
        }
    }
    Ok(nodes)
}

/// The mode as other readers read it: the `tar` crate does not read base 256. A mode above 07777 is refused here
/// before.
fn mode(header: &tar::Header) -> io::Result<u32> {
    match header.as_old().mode {
        [0x80, 0, 0, 0, rest @ ..] => Ok(u32::from_be_bytes(rest)),
        _ => header.mode(),
    }
}

fn policy() -> UnpackPolicy {
    UnpackPolicy::default().limits(InstallLimits::default().max_unpacked_bytes(4 << 20))
}

/// Checks that the verdict does not depend on how the bytes are cut, and that the other reader reads the same tree from
/// an accepted archive.
fn judge(archive: &[u8], cuts: &[Index]) -> Result<(), TestCaseError> {
    let whole = unpack_by(archive, &policy());
    prop_assert_eq!(&unpack_pieces(pieces(archive, cuts).into_iter(), &policy()), &whole);
    if archive.len() < 1_000 {
        prop_assert_eq!(&unpack_cut(archive, &policy(), 1), &whole);
    }
    if let Ok((_, MapSink { nodes, .. })) = whole {
        let mut tar = Vec::new();
        prop_assert!(MultiGzDecoder::new(archive).read_to_end(&mut tar).is_ok(), "another reader finds it damaged");
        match second_opinion(&tar) {
            Ok(others) => prop_assert_eq!(others, nodes),
            // A number that consists of NULs is 0 here, as in most readers.
            Err(error) => prop_assert!(error.to_string().contains("number: "), "another reader says: {error}"),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4 * ProptestConfig::default().cases, failure_persistence: persisted(), ..ProptestConfig::default() })]

    #[test]
    fn a_bent_tar_is_judged_alike_by_every_cut_and_every_reader(
        thoughts in small(),
        mutations in vec(mutation(), 0..4),
        cuts in vec(any::<Index>(), 0..10),
    ) {
        let (_, mut tar) = write(&thoughts);
        for one in &mutations {
            mutate(&mut tar, one);
        }
        judge(&gzip(&tar), &cuts)?;
    }

    #[test]
    fn a_bent_gzip_is_judged_alike_by_every_cut(
        thoughts in small(),
        bytes in vec((any::<Index>(), any::<u8>()), 1..4),
        end in prop_oneof![4 => Just(None), 1 => any::<Index>().prop_map(Some)],
        cuts in vec(any::<Index>(), 0..10),
    ) {
        let (_, tar) = write(&thoughts);
        let mut archive = gzip(&tar);
        for (at, byte) in &bytes {
            let at = at.index(archive.len());
            archive[at] = *byte;
        }
        if let Some(end) = end {
            archive.truncate(end.index(archive.len() + 1));
        }
        judge(&archive, &cuts)?;
    }
}
