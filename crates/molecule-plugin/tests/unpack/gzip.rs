//! Sections 1 and 2 of the rules: the download, and the gzip layer.

use flate2::{Crc, GzBuilder};
use http::HeaderMap;
use molecule_plugin::unpack::{UnpackError, UnpackPolicy, Unpacker};
use molecule_plugin::{InstallLimits, Rule};
use sha2::{Digest as _, Sha256};
use std::io::Write as _;

use crate::support::{Archive, MapSink, gzip, refusal, rule, rule_by, unpack, unpack_cut};

fn tar() -> Vec<u8> {
    Archive::new().file("plugin.yaml", "name: a\n").file("big", vec![7; 300_000]).tar()
}

fn paths(archive: &[u8]) -> Vec<String> {
    let (_, sink) = unpack(archive).unwrap_or_else(|refusal| panic!("{refusal}"));
    for size in [1, 13, 4_096] {
        assert_eq!(unpack_cut(archive, &UnpackPolicy::default(), size).unwrap().1, sink);
    }
    sink.paths().into_iter().map(str::to_owned).collect()
}

/// `not-gzip`
#[test]
fn what_is_no_gzip_says_what_it_starts_with() {
    let page = refusal(b"<!doctype html><title>Sign in</title>");
    assert_eq!(page.rule(), Rule::NotGzip);
    assert_eq!(page.detail(), "not a gzip archive (starts with `<!doctype html><`)");
    assert_eq!(refusal(b"\x1b[2J\0\xff").detail(), "not a gzip archive (starts with `\\u{1b}[2J\\0\\xff`)");
    assert_eq!(refusal(b"{}").detail(), "not a gzip archive (starts with `{}`)");
    assert_eq!(refusal(b"\x1f\x8c").rule(), Rule::NotGzip);
    assert_eq!(refusal(b"PK\x03\x04 a zip archive, say").rule(), Rule::NotGzip);
    assert_eq!(refusal(b"\0\0\0\0").rule(), Rule::NotGzip);
    assert_eq!(rule(&tar()), Rule::NotGzip);
    assert_eq!(rule(b""), Rule::NotGzip);
}

/// `gzip-truncated`
#[test]
fn an_archive_that_is_cut_anywhere_is_refused() {
    let archive = Archive::new().file("plugin.yaml", "name: a\n").file("b", "text\n".repeat(100)).gz();
    for end in 1..archive.len() {
        let rule = refusal(&archive[..end]).rule();
        assert_eq!(rule, Rule::GzipTruncated, "cut after {end} bytes");
    }
    unpack(&archive).unwrap();
}

/// `gzip-checksum`
#[test]
fn checksum_and_length_must_match() {
    let archive = gzip(&tar());
    for at in 1..=8 {
        let mut damaged = archive.clone();
        let place = damaged.len() - at;
        damaged[place] ^= 1;
        assert_eq!(rule(&damaged), Rule::GzipChecksum, "{at} bytes before the end");
    }
}

/// `deflate`
#[test]
fn damaged_data_are_refused() {
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    // A block of the reserved type, and a stored one whose length does not match its complement.
    assert_eq!(rule(&[&head[..], &[7, 0, 0, 0, 0, 0, 0, 0]].concat()), Rule::Deflate);
    assert_eq!(rule(&[&head[..], &[1, 5, 0, 0, 0, 0, 0, 0]].concat()), Rule::Deflate);
    // The output before the damage is judged first.
    let mut data = vec![0, 0, 2, 0xff, 0xfd];
    data.extend([b'x'; 512]);
    data.extend([7; 8]);
    assert_eq!(rule(&[&head[..], &data].concat()), Rule::Checksum);
}

/// `gzip-header`
#[test]
fn headers_of_members_are_read_as_rfc_1952_has_them() {
    let full = |flags: u8, rest: &[u8]| {
        let member = gzip(&tar());
        let head = [&[0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 2, 3], rest].concat();
        (head.clone(), [&head[..], &member[10..]].concat())
    };
    for (flags, rest) in [
        (1, &b""[..]),
        (4, b"\x03\0abc"),
        (4, b"\0\0"),
        (8, b"a name\0"),
        (16, b"a comment\0"),
        (4 | 8 | 16, b"\x01\0.name\0comment\0"),
    ] {
        let (head, archive) = full(flags, rest);
        assert_eq!(paths(&archive), ["big", "plugin.yaml"], "flags {flags}");
        // The same with a checksum of the header.
        let mut crc = Crc::new();
        let mut with_flag = head.clone();
        with_flag[3] |= 2;
        crc.update(&with_flag);
        let sum = (crc.sum() & 0xffff) as u16;
        let (_, good) = full(flags | 2, &[rest, &sum.to_le_bytes()].concat());
        assert_eq!(paths(&good), ["big", "plugin.yaml"], "flags {flags} and a checksum");
        let (_, bad) = full(flags | 2, &[rest, &(sum ^ 0x100).to_le_bytes()].concat());
        assert_eq!(rule(&bad), Rule::GzipHeader, "flags {flags} and a wrong checksum");
    }
    for flags in [0x20, 0x40, 0x80] {
        assert_eq!(rule(&full(flags, b"").1), Rule::GzipHeader);
    }
    let mut method = gzip(&tar());
    method[2] = 7;
    assert_eq!(rule(&method), Rule::GzipHeader);
    let named = GzBuilder::new().filename("kitchen.tar").comment("hello").extra([1, 2, 3]);
    let mut encoder = named.write(Vec::new(), flate2::Compression::best());
    encoder.write_all(&tar()).unwrap();
    assert_eq!(paths(&encoder.finish().unwrap()), ["big", "plugin.yaml"]);
}

/// Section 2: all members are read, not only the first.
#[test]
fn an_archive_may_have_several_members() {
    let tar = tar();
    for at in [0, 1, 511, 512, 1_000, 200_000, tar.len()] {
        let (one, other) = tar.split_at(at);
        assert_eq!(paths(&[gzip(one), gzip(other)].concat()), ["big", "plugin.yaml"], "cut at {at}");
    }
    let many: Vec<u8> = tar.chunks(1_000).flat_map(gzip).collect();
    assert_eq!(paths(&many), ["big", "plugin.yaml"]);
    let empty = [gzip(b"").repeat(100), gzip(&tar), gzip(b"").repeat(100)].concat();
    assert_eq!(paths(&empty), ["big", "plugin.yaml"]);
    // A second member continues after the end of the tar, so that a reader of one member sees nothing wrong.
    let smuggled = [gzip(&tar), Archive::new().file("evil", "").gz()].concat();
    assert_eq!(rule(&smuggled), Rule::AfterEnd);
    // The checksum of each member counts.
    let (one, other) = tar.split_at(1_000);
    let mut first = gzip(one);
    let place = first.len() - 5;
    first[place] ^= 1;
    assert_eq!(rule(&[first, gzip(other)].concat()), Rule::GzipChecksum);
}

/// `gzip-trailing`
#[test]
fn nothing_but_zeros_follows_the_last_member() {
    let archive = gzip(&tar());
    for zeros in [1, 512, 100_000] {
        assert_eq!(paths(&[&archive[..], &vec![0; zeros]].concat()), ["big", "plugin.yaml"]);
    }
    for tail in [&b"x"[..], b"\x1f", b"\x1f\x8c", b"\0x", b"\0\x1f\x8b\x08\0\0\0\0\0\0\xff", b"PK"] {
        let rule = rule(&[&archive[..], tail].concat());
        let cut = tail == b"\x1f";
        assert_eq!(rule, if cut { Rule::GzipTruncated } else { Rule::GzipTrailing }, "{tail:?}");
    }
}

/// `archive-bytes`
#[test]
fn received_bytes_are_bounded_whatever_was_announced() {
    let archive = gzip(&tar());
    let length = archive.len() as u64;
    let limited = |most| UnpackPolicy::default().limits(InstallLimits::default().max_archive_bytes(most));
    assert!(unpack_cut(&archive, &limited(length), 10).is_ok());
    for most in [0, 1, 15, 16, 17, length - 1] {
        assert_eq!(rule_by(&archive, &limited(most)), Rule::ArchiveBytes, "{most}");
    }
    // The bytes within the limit are judged first.
    assert_eq!(rule_by(b"<!doctype html>, and so on", &limited(16)), Rule::NotGzip);
    let noise = (0..160_u32).flat_map(|number| <[u8; 32]>::from(Sha256::digest(number.to_le_bytes())));
    let no_tar = gzip(&[b'x'; 512].into_iter().chain(noise).collect::<Vec<u8>>());
    assert!(no_tar.len() > 4_000);
    assert_eq!(rule_by(&no_tar, &limited(2_000)), Rule::Checksum);
}

fn head(headers: &[(&'static str, &str)], most: u64) -> Result<(), Rule> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    let policy = UnpackPolicy::default().limits(InstallLimits::default().max_archive_bytes(most));
    let mut unpacker = Unpacker::new(MapSink::default(), &policy);
    let judged = unpacker.head(&map).map_err(|error| error.refusal().unwrap().rule());
    if let Err(rule) = judged {
        // The archive stays refused.
        let Err(UnpackError::Refused(again)) = unpacker.push(&gzip(&tar())) else { panic!("it was taken") };
        assert_eq!(again.rule(), rule);
        let (Err((UnpackError::Refused(again), _)),) = (unpacker.finish(),) else { panic!("it was taken") };
        assert_eq!(again.rule(), rule);
    }
    judged
}

/// `archive-bytes`, before anything is received.
#[test]
fn what_announces_too_much_is_not_received() {
    assert_eq!(head(&[("content-length", "1000")], 1_000), Ok(()));
    assert_eq!(head(&[("content-length", "1001")], 1_000), Err(Rule::ArchiveBytes));
    assert_eq!(head(&[("content-length", "18446744073709551615")], 1_000), Err(Rule::ArchiveBytes));
    assert_eq!(head(&[], 1_000), Ok(()));
}

/// `content-encoding`
#[test]
fn an_encoding_on_top_is_refused() {
    assert_eq!(head(&[("content-encoding", "identity")], 1), Ok(()));
    assert_eq!(head(&[("content-encoding", "Identity, ")], 1), Ok(()));
    assert_eq!(head(&[("content-encoding", "")], 1), Ok(()));
    for encoding in ["gzip", "br", "identity, gzip", "GZIP"] {
        assert_eq!(head(&[("content-encoding", encoding)], 1), Err(Rule::ContentEncoding), "{encoding}");
    }
    assert_eq!(head(&[("content-encoding", "identity"), ("content-encoding", "zstd")], 1), Err(Rule::ContentEncoding));
}
