//! Unpacks arbitrary bytes in arbitrary pieces: as they are, inside a valid gzip, or as blocks of a tar with valid
//! checksums. There is no panic and no path outside, the limits hold, and the verdict does not depend on how the bytes
//! are cut.

#![no_main]

use std::collections::BTreeMap;
use std::io;

use arbitrary::Arbitrary;
use flate2::Crc;
use libfuzzer_sys::fuzz_target;
use molecule_plugin::InstallLimits;
use molecule_plugin::unpack::{EntryPath, LinkPolicy, Sink, UnpackError, UnpackPolicy, Unpacked, Unpacker};

const MOST: u64 = 1 << 20;

#[derive(Debug, Arbitrary)]
struct Input {
    layer: Layer,
    reject_links: bool,
    cuts: Vec<u16>,
    bytes: Vec<u8>,
}

/// The layer of the archive that the bytes become.
#[derive(Debug, Arbitrary)]
enum Layer {
    /// The download itself.
    Raw,
    /// The content of a valid gzip.
    Gzip,
    /// The content of a valid gzip, in which each block has a valid header checksum.
    Sealed,
    /// The content of extension headers, each of which precedes a file.
    Extension { flag: u8 },
}

/// A sink that remembers all files and directories, and checks the order of its calls.
#[derive(Debug, Default, PartialEq, Eq)]
struct Map {
    nodes: BTreeMap<String, Option<Vec<u8>>>,
    open: Option<String>,
    written: u64,
}

impl Map {
    fn add(&mut self, path: &EntryPath, content: Option<Vec<u8>>) {
        assert!(self.open.is_none());
        assert!(path.as_str().len() <= 1_024);
        for component in path.components() {
            assert!(!["", ".", ".."].contains(&component));
            assert!(!component.contains(['\\', ':', '\0', '\n']) && component.len() <= 255);
        }
        if let Some(parent) = path.parent() {
            assert_eq!(self.nodes.get(parent), Some(&None), "the directory of {path} is not there");
        }
        assert_eq!(self.nodes.insert(path.to_string(), content), None, "{path} is made twice");
        assert!(self.nodes.len() <= 200);
    }
}

impl Sink for Map {
    fn directory(&mut self, path: &EntryPath) -> io::Result<()> {
        self.add(path, None);
        Ok(())
    }

    fn begin(&mut self, path: &EntryPath, _: bool) -> io::Result<()> {
        self.add(path, Some(Vec::new()));
        self.open = Some(path.to_string());
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        assert!((1..=128 << 10).contains(&piece.len()));
        self.written += piece.len() as u64;
        assert!(self.written <= MOST);
        let open = self.open.as_ref().expect("a piece belongs to a file");
        self.nodes.get_mut(open).and_then(Option::as_mut).expect("it was begun").extend_from_slice(piece);
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.open.take().expect("it was begun");
        Ok(())
    }
}

fn verdict<'a>(pieces: impl Iterator<Item = &'a [u8]>, policy: &UnpackPolicy) -> (Result<Unpacked, String>, Map) {
    let mut unpacker = Unpacker::new(Map::default(), policy);
    for piece in pieces {
        if unpacker.push(piece).is_err() {
            break;
        }
    }
    let progress = unpacker.progress();
    match unpacker.finish() {
        Ok((unpacked, map)) => {
            assert!(map.open.is_none());
            assert!(unpacked.entries <= 200 && unpacked.bytes == map.written && unpacked.bytes <= MOST);
            assert_eq!(unpacked.files + unpacked.directories, map.nodes.len() as u64);
            let _ = unpacked.verify(&"kitchen".parse().expect("a name"), None);
            (Ok(unpacked), map)
        }
        Err((UnpackError::Refused(refusal), map)) => {
            assert!(progress.received <= MOST);
            assert!(refusal.to_string().len() < 1_500, "{refusal}");
            (Err(refusal.to_string()), map)
        }
        Err((error, _)) => panic!("a map does not fail: {error}"),
    }
}

/// Writes the bytes as a gzip of stored blocks, without compression, so that the time goes to the unpacker.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    for piece in bytes.chunks(0xffff) {
        let length = u16::try_from(piece.len()).expect("a chunk is no longer");
        member.push(0);
        member.extend(length.to_le_bytes());
        member.extend((!length).to_le_bytes());
        member.extend_from_slice(piece);
    }
    member.extend([1, 0, 0, 0xff, 0xff]);
    let mut crc = Crc::new();
    crc.update(bytes);
    member.extend(crc.sum().to_le_bytes());
    member.extend(crc.amount().to_le_bytes());
    member
}

fn seal(block: &mut [u8]) {
    if block.len() == 512 && block.iter().any(|byte| *byte != 0) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

fn entry(flag: u8, name: &str, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut block);
    block.extend_from_slice(content);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn archive(layer: &Layer, mut bytes: Vec<u8>) -> Vec<u8> {
    match layer {
        Layer::Raw => bytes,
        Layer::Gzip => gzip(&bytes),
        Layer::Sealed => {
            // The blocks of a file's content get checksums too: this content is as arbitrary as before.
            bytes.chunks_mut(512).for_each(seal);
            gzip(&bytes)
        }
        Layer::Extension { flag } => {
            let flag = b"xgLK"[usize::from(*flag % 4)];
            let mut tar = Vec::new();
            for (number, body) in bytes.split(|byte| *byte == 0xfe).enumerate().take(20) {
                tar.extend(entry(flag, "extension", body));
                tar.extend(entry(b'0', &format!("file-{number}"), b"content"));
            }
            tar.resize(tar.len() + 1_024, 0);
            gzip(&tar)
        }
    }
}

fuzz_target!(|input: Input| {
    let limits = InstallLimits::default().max_archive_bytes(MOST).max_unpacked_bytes(MOST).max_entries(200);
    let links = if input.reject_links { LinkPolicy::Reject } else { LinkPolicy::Skip };
    let policy = UnpackPolicy::default().limits(limits).links(links);
    let archive = archive(&input.layer, input.bytes);
    let whole = verdict(std::iter::once(&archive[..]), &policy);
    let mut rest = &archive[..];
    let cuts = input.cuts.iter().map(|cut| usize::from(*cut)).chain(std::iter::once(usize::MAX));
    let pieces: Vec<&[u8]> = cuts
        .map(|cut| {
            let (piece, behind) = rest.split_at(cut.min(rest.len()));
            rest = behind;
            piece
        })
        .collect();
    assert_eq!(verdict(pieces.into_iter(), &policy), whole, "cut elsewhere");
    if archive.len() < 2_048 {
        assert_eq!(verdict(archive.chunks(1), &policy), whole, "byte by byte");
    }
});
