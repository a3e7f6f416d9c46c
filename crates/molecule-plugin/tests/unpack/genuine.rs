//! An archive that a real server sent.

use serde_json::Value;

use crate::support::{Node, unpack, unpack_cut};
use molecule_plugin::digest::ContentDigest;
use molecule_plugin::unpack::UnpackPolicy;

const ARCHIVE: &[u8] = include_bytes!("../../../../fixtures/corpus/plugin-current.tar.gz");
const LISTED: &str = include_str!("../../../../fixtures/corpus/plugin-current.json");

#[test]
fn it_unpacks_to_what_is_listed() {
    let (unpacked, sink) = unpack(ARCHIVE).unwrap();
    let listed: Value = serde_json::from_str(LISTED).unwrap();
    let entries = listed["entries"].as_array().unwrap();
    assert_eq!(sink.nodes.len(), entries.len());
    assert_eq!(unpacked.entries, entries.len() as u64);
    for entry in entries {
        let path = entry["path"].as_str().unwrap();
        match &sink.nodes[path] {
            Node::Directory => assert_eq!(entry["type"], "dir", "{path}"),
            Node::File { content, executable } => {
                assert_eq!(entry["type"], "file", "{path}");
                assert_eq!(entry["size"], content.len(), "{path}");
                let mode = entry["mode"].as_str().unwrap().strip_prefix("0o").unwrap();
                assert_eq!(u32::from_str_radix(mode, 8).unwrap() & 0o100 != 0, *executable, "{path}");
                let text = unpacked.tree.to_string();
                let mark = if *executable { 'x' } else { '-' };
                assert!(text.contains(&format!("{} {mark} {path}\n", entry["sha256"].as_str().unwrap())), "{path}");
            }
        }
    }
    assert!(unpacked.has_setup);
    assert_eq!(unpacked.received, 1_357);
    assert_eq!(unpacked.skipped_links.count, 0);
}

/// Both digests, as `sha256sum` and the Python SDK compute them for the files of this archive.
#[test]
fn its_digests_are_those_that_others_compute() {
    let (unpacked, _) = unpack(ARCHIVE).unwrap();
    assert_eq!(unpacked.tree.digest().to_string(), "5adab7a0c21ee8cbbbc9ccd5da292386b1db54aba5bed0c49965524150728762");
    assert_eq!(
        ContentDigest::of_tree(&unpacked.tree).to_string(),
        "6ceef7b2e00eaae0e064e085496f6f3ca0bcdcc92914331a9ef9b8fa190aac89"
    );
}

#[test]
fn it_unpacks_however_it_is_cut() {
    let policy = UnpackPolicy::default();
    let whole = unpack(ARCHIVE).unwrap();
    for size in [1, 2, 3, 17, 511, 512, 513, 1_356] {
        assert_eq!(unpack_cut(ARCHIVE, &policy, size).unwrap(), whole, "pieces of {size}");
    }
}
