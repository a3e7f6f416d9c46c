//! Section 7 of the rules: each limit at its edge, and memory that does not grow with claimed sizes.

use std::io;

use molecule_plugin::unpack::{EntryPath, Sink, UnpackPolicy, Unpacker};
use molecule_plugin::{InstallLimits, Rule};

use crate::support::{Archive, Header, MapSink, gzip, pax_record, refusal, rule, rule_by, unpack_by};

fn limited(limits: InstallLimits) -> UnpackPolicy {
    UnpackPolicy::default().limits(limits)
}

/// Checks that the archive is accepted with the limits `taken`, and refused with the limits `refused` by this rule.
fn edge(archive: &[u8], taken: InstallLimits, refused: InstallLimits, by: Rule) {
    if let Err(refusal) = unpack_by(archive, &limited(taken)) {
        panic!("{refusal}");
    }
    assert_eq!(rule_by(archive, &limited(refused)), by);
}

fn limits() -> InstallLimits {
    InstallLimits::default()
}

/// `unpacked-bytes`: headers, padding, skipped entries, and all bytes after the end mark count.
#[test]
fn every_unpacked_byte_counts() {
    let archive = Archive::new().file("a", "x").entry(Header::new("l", b'2'), "").zeros(10);
    let length = archive.clone().tar().len() as u64;
    assert_eq!(length, 512 * (2 + 1 + 10 + 2));
    edge(
        &archive.gz(),
        limits().max_unpacked_bytes(length),
        limits().max_unpacked_bytes(length - 1),
        Rule::UnpackedBytes,
    );
}

/// `unpacked-bytes`: all bytes count also if the tar is longer than one buffer.
#[test]
fn every_unpacked_byte_counts_in_long_archives() {
    let archive = (0..500).fold(Archive::new(), |archive, number| archive.file(&format!("{number}"), "x"));
    let length = archive.clone().tar().len() as u64;
    let taken = limits().max_unpacked_bytes(length);
    assert!(unpack_by(&archive.clone().gz(), &limited(taken)).is_ok());
    let refused = limited(limits().max_unpacked_bytes(length - 1));
    assert_eq!(unpack_by(&archive.gz(), &refused).unwrap_err().rule(), Rule::UnpackedBytes);
}

/// `unpacked-bytes`: a claimed size counts before a byte of it is read, and nothing is allocated for it.
#[test]
fn a_claimed_size_is_charged_at_once() {
    let most = limits().max_unpacked_bytes;
    for size in [most, 1 << 40, (1 << 62) - 1] {
        let base_256 = [&[0x80, 0, 0, 0][..], &size.to_be_bytes()].concat();
        let file = Archive::new().block(Header::new("a", b'0').field(124, base_256));
        assert_eq!(rule(&file.gz_open()), Rule::UnpackedBytes, "{size}");
        let pax = Archive::new().pax(pax_record("size", size.to_string())).block(Header::new("a", b'0'));
        assert_eq!(rule(&pax.gz_open()), Rule::UnpackedBytes, "{size}");
    }
    // A claimed size counts with the padding of its last block.
    let policy = limited(limits().max_unpacked_bytes(1_000));
    assert_eq!(
        rule_by(&Archive::new().block(Header::new("a", b'0').size(400)).gz_open(), &policy),
        Rule::UnpackedBytes
    );
    // A claimed size within the limit is accepted; this archive then ends too early.
    let fits = Archive::new().block(Header::new("a", b'0').size(most - 512));
    assert_eq!(rule(&fits.gz_open()), Rule::PartialBlock);
}

/// H7: a small archive that unpacks to many bytes. The output is bounded in every part of the archive.
#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let policy = limited(limits().max_unpacked_bytes(1 << 20));
    let zeros = vec![0; 8 << 20];
    for (what, archive, by) in [
        ("a file", Archive::new().file("a", &zeros).gz(), Rule::UnpackedBytes),
        ("behind the end", Archive::new().raw(&zeros).gz(), Rule::UnpackedBytes),
        ("an extension header", Archive::new().pax(&zeros).gz(), Rule::MetadataBytes),
        ("no tar at all", gzip(&vec![b'x'; 8 << 20]), Rule::Checksum),
    ] {
        assert_eq!(rule_by(&archive, &policy), by, "{what}");
    }
}

/// `entries`: all types count, skipped ones, repeated directories, the root, and directories that were left out.
#[test]
fn every_entry_counts() {
    let archive = Archive::new()
        .directory(".")
        .directory("d")
        .directory("d")
        .entry(Header::new("l", b'2'), "")
        .file("left/out/f", "")
        .gz();
    edge(&archive, limits().max_entries(7), limits().max_entries(6), Rule::Entries);
    // H24: very many entries in few bytes.
    let many = (0..60_000).fold(Archive::new(), |archive, number| archive.file(&format!("{number}"), "")).gz();
    assert_eq!(refusal(&many).rule(), Rule::Entries);
}

/// `names-bytes`
#[test]
fn every_name_counts() {
    // 7 and 5 bytes for the entries, 3 for a directory that has no entry.
    let archive = Archive::new().file("dir/abc", "").entry(Header::new("links", b'1'), "").gz();
    edge(&archive, limits().max_names_bytes(15), limits().max_names_bytes(14), Rule::NamesBytes);
}

/// `metadata-bytes`
#[test]
fn extension_headers_are_bounded_together() {
    let two = |comment: usize, name: usize| {
        Archive::new()
            .pax(pax_record("comment", "c".repeat(comment)))
            .entry(Header::new("L", b'L').gnu(), "n".repeat(name))
            .file("f", "")
            .gz()
    };
    // The comment's 1,000 bytes, its key and its length make 1,014; the name has 200.
    edge(&two(1_000, 200), limits().max_metadata_bytes(1_214), limits().max_metadata_bytes(1_213), Rule::MetadataBytes);
    // The next entry begins anew.
    let again = Archive::new().pax(pax_record("comment", "c".repeat(1_000))).file("a", "");
    let again = again.pax(pax_record("comment", "c".repeat(1_000))).file("b", "").gz();
    edge(&again, limits().max_metadata_bytes(1_014), limits().max_metadata_bytes(1_013), Rule::MetadataBytes);
    // A claimed size is enough for a refusal.
    let claim = Archive::new().block(Header::new("x", b'x').size(1 << 32)).gz_open();
    assert_eq!(rule(&claim), Rule::MetadataBytes);
    assert_eq!(rule(&two(200_000, 100_000)), Rule::MetadataBytes);
}

/// `metadata-headers`
#[test]
fn extension_headers_are_few() {
    let global = |count: usize| {
        let archive = (0..count).fold(Archive::new(), |archive, _| archive.entry(Header::new("g", b'g'), ""));
        archive.file("f", "").gz()
    };
    edge(&global(8), limits(), limits().max_metadata_headers(7), Rule::MetadataHeaders);
    assert_eq!(rule(&global(9)), Rule::MetadataHeaders);
    assert_eq!(rule(&global(100_000)), Rule::MetadataHeaders);
}

/// `path-bytes`, `depth`, `manifest-bytes`
#[test]
fn paths_and_the_manifest_are_bounded() {
    let archive = Archive::new().file("abc/def/ghi", "").gz();
    edge(&archive, limits().max_path_bytes(11), limits().max_path_bytes(10), Rule::PathBytes);
    edge(&archive, limits().max_depth(3), limits().max_depth(2), Rule::Depth);
    let manifest = Archive::new().file("plugin.yaml", "name: kitchen\n").file("sub/plugin.yaml", "x".repeat(100)).gz();
    edge(&manifest, limits().max_manifest_bytes(14), limits().max_manifest_bytes(13), Rule::ManifestBytes);
    assert_eq!(rule(&Archive::new().file("plugin.yaml", vec![b'#'; (1 << 20) + 1]).gz()), Rule::ManifestBytes);
}

/// Files are written in few large pieces, even if the archive arrives in small ones.
#[test]
fn pieces_are_as_large_as_the_buffer() {
    let archive = Archive::new().file("a", vec![7; 4 << 20]).gz();
    let mut unpacker = Unpacker::new(Pieces::default(), &UnpackPolicy::default());
    for piece in archive.chunks(10) {
        unpacker.push(piece).unwrap();
    }
    let (_, Pieces(pieces)) = unpacker.finish().map_err(|(error, _)| error).unwrap();
    assert_eq!(pieces.iter().sum::<usize>(), 4 << 20);
    assert!(pieces.len() <= 33, "{} pieces", pieces.len());
}

/// A sink that records the lengths of its pieces.
#[derive(Default)]
struct Pieces(Vec<usize>);

impl Sink for Pieces {
    fn directory(&mut self, _: &EntryPath) -> io::Result<()> {
        Ok(())
    }

    fn begin(&mut self, _: &EntryPath, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.0.push(piece.len());
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn progress_counts_what_came_and_what_came_out() {
    let archive = Archive::new().file("a", vec![7; 1 << 20]).file("b", "").gz();
    let mut unpacker = Unpacker::new(MapSink::default(), &UnpackPolicy::default());
    let mut last = unpacker.progress();
    for piece in archive.chunks(100) {
        unpacker.push(piece).unwrap();
        let now = unpacker.progress();
        assert!(now.received == last.received + piece.len() as u64);
        assert!(now.unpacked >= last.unpacked && now.entries >= last.entries);
        last = now;
    }
    assert_eq!(last.unpacked, (1 << 20) + 4 * 512);
    assert_eq!(unpacker.finish().unwrap().0.entries, 2);
}
