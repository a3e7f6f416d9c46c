//! The archive of a plugin equals the one that the real server sent for the same folder, except for the times.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::Read;

use bytes::Bytes;
use common::Bench;
use flate2::read::GzDecoder;
use molecule_platform::{Dialect, PluginTree};
use molecule_proto::path;
use serde_json::Value;
use sha2::{Digest, Sha256};

const BLOCK: usize = 512;
/// The bytes of a header with the modification time; the checksum follows.
const TIMES: std::ops::Range<usize> = 136..148;
const CHECKSUM: std::ops::Range<usize> = 148..156;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../fixtures/corpus/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn inflate(archive: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    GzDecoder::new(archive).read_to_end(&mut stream).unwrap();
    stream
}

/// The folder of the recorded archive, with the three links that the server omitted.
fn kitchen() -> PluginTree {
    let stream = inflate(&fixture("plugin-current.tar.gz"));
    let mut archive = tar::Archive::new(stream.as_slice());
    let mut entries = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        entries.push((path, entry.header().entry_type().is_dir(), entry.header().mode().unwrap(), content));
    }
    // The entries are added in reverse order, so that the order in the archive is the platform's own.
    let tree = PluginTree::new("kitchen")
        .link("link-to-file", "rules/hi.md")
        .link("link-to-folder", "rules")
        .link("data/link-out", "/etc/passwd");
    entries.into_iter().rev().fold(tree, |tree, (path, is_directory, mode, content)| {
        let tree = if is_directory { tree.directory(&path) } else { tree.file(&path, content) };
        tree.mode(&path, mode)
    })
}

fn download(bench: &mut Bench, name: &str) -> http::Response<Bytes> {
    let (id, token) = bench.create("a");
    let path = path::plugin_download(&id, &name.parse().unwrap(), None);
    let request = http::Request::get(path).header("authorization", token.bearer()).body(Bytes::new()).unwrap();
    bench.platform.handle(bench.now, None, request).ready().unwrap()
}

/// Clears the times in every header of an archive, and the checksums, which depend on them.
fn without_times(mut stream: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while stream[at] != 0 {
        let header = tar::Header::from_byte_slice(&stream[at..at + BLOCK]);
        let (content, sum) = (header.entry_size().unwrap(), header.cksum().unwrap());
        let block = &mut stream[at..at + BLOCK];
        let written = block[CHECKSUM].to_vec();
        block[CHECKSUM].fill(b' ');
        assert_eq!(block.iter().map(|byte| u32::from(*byte)).sum::<u32>(), sum, "at {at}");
        // The form of the checksum stays: the number of digits, and the bytes after them.
        let form = written.iter().map(|byte| if byte.is_ascii_digit() { b'0' } else { *byte });
        block[CHECKSUM].copy_from_slice(&form.collect::<Vec<_>>());
        block[TIMES].fill(0);
        at += BLOCK + usize::try_from(content).unwrap().next_multiple_of(BLOCK);
    }
    stream
}

#[test]
fn every_byte_but_the_times_is_the_recorded_one() {
    let recorded = fixture("plugin-current.tar.gz");
    let mut bench = Bench::new(Dialect::Current);
    bench.platform.add_plugin(kitchen());
    let answer = download(&mut bench, "kitchen");
    // The header of the gzip member: magic, method, flags, time, level and system.
    assert_eq!(answer.body()[..10], recorded[..10]);
    let (ours, recorded) = (without_times(inflate(answer.body())), without_times(inflate(&recorded)));
    assert_eq!(ours.len(), recorded.len());
    for (number, (ours, recorded)) in ours.chunks(BLOCK).zip(recorded.chunks(BLOCK)).enumerate() {
        assert_eq!(String::from_utf8_lossy(ours), String::from_utf8_lossy(recorded), "block {number}");
    }
}

#[test]
fn the_headers_are_the_recorded_ones() {
    let recorded: Value = serde_json::from_slice(&fixture("plugin-current.json")).unwrap();
    let mut bench = Bench::new(Dialect::Current);
    bench.platform.add_plugin(kitchen());
    let answer = download(&mut bench, "kitchen");
    for (name, value) in recorded["response"]["headers"].as_object().unwrap() {
        let ours = answer.headers().get(name).unwrap().to_str().unwrap();
        // Two compressors produce different lengths for the same content.
        let expected =
            if name == "Content-Length" { answer.body().len().to_string() } else { value.as_str().unwrap().into() };
        assert_eq!(ours, expected, "{name}");
    }
    for name in recorded["response"]["not_sent"].as_array().unwrap() {
        assert!(!answer.headers().contains_key(name.as_str().unwrap()), "{name}");
    }
}

#[test]
fn the_entries_are_those_that_were_noted_down() {
    let recorded: Value = serde_json::from_slice(&fixture("plugin-current.json")).unwrap();
    let noted = recorded["entries"].as_array().unwrap();
    let mut bench = Bench::new(Dialect::Current);
    bench.platform.add_plugin(kitchen());
    let stream = inflate(download(&mut bench, "kitchen").body());
    let mut archive = tar::Archive::new(stream.as_slice());
    let mut count = 0;
    for (entry, noted) in archive.entries().unwrap().zip(noted) {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert_eq!(entry.path_bytes(), noted["path"].as_str().unwrap().as_bytes());
        assert_eq!(entry.header().entry_type().is_dir(), noted["type"] == "dir", "{noted}");
        assert_eq!(format!("0o{:o}", entry.header().mode().unwrap()), noted["mode"].as_str().unwrap(), "{noted}");
        assert_eq!(entry.header().mtime().unwrap(), u64::try_from(bench.now.unix.as_secs()).unwrap(), "{noted}");
        if let Some(digest) = noted["sha256"].as_str() {
            let ours: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(ours, digest, "{noted}");
        }
        count += 1;
    }
    assert_eq!(count, noted.len());
}

#[test]
fn two_downloads_differ_in_their_bytes_and_not_in_their_content() {
    let mut bench = Bench::new(Dialect::Current);
    bench.platform.add_plugin(kitchen());
    let first = download(&mut bench, "kitchen");
    bench.wait(1);
    let second = download(&mut bench, "kitchen");
    assert_ne!(first.body(), second.body());
    assert_eq!(without_times(inflate(first.body())), without_times(inflate(second.body())));
}

#[test]
fn an_empty_plugin_is_an_archive_without_entries() {
    let mut bench = Bench::new(Dialect::April);
    bench.platform.add_plugin(PluginTree::new("empty"));
    assert_eq!(inflate(download(&mut bench, "empty").body()), [0; 2 * BLOCK]);
}
