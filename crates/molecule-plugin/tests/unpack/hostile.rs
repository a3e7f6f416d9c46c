//! Archives that broke an older SDK, by the numbers of its defects.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use molecule_plugin::digest::ContentDigest;
use molecule_plugin::unpack::Unpacked;
use molecule_plugin::{Refusal, Rule};

use crate::support::{Archive, Header, Node, gzip, refusal, rule, unpack};

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn verify(unpacked: &Unpacked) -> Result<(), Refusal> {
    unpacked.verify(&"kitchen".parse().unwrap(), None).map(|_| ())
}

fn verdict(archive: Archive) -> Rule {
    let (unpacked, _) = unpack(&archive.file("setup.sh", "echo owned\n").gz()).unwrap();
    verify(&unpacked).unwrap_err().rule()
}

/// A wrong digest, a malformed digest and an unreadable manifest are refused before the plugin is put in its place.
#[test]
fn h3_h4_what_does_not_match_is_known_before_the_swap() {
    let declared =
        |value: &str| verdict(Archive::new().file("plugin.yaml", format!("name: kitchen\nsha256: {value}\n")));
    assert_eq!(declared(HEX), Rule::ContentMismatch);
    assert_eq!(declared("abc"), Rule::ManifestDigest);
    assert_eq!(declared(&"7".repeat(64)), Rule::ManifestDigest);
    assert_eq!(verdict(Archive::new().file("plugin.yaml", b"name: \xff\xfe\n")), Rule::ManifestUtf8);
}

/// An unreadable manifest does not turn the check off.
#[test]
fn h5_a_broken_manifest_skips_nothing() {
    let manifest = |text: &str| verdict(Archive::new().file("plugin.yaml", text));
    assert_eq!(manifest(&format!("name: [kitchen\nsha256: {HEX}\n")), Rule::ManifestYaml);
    assert_eq!(manifest(&format!("- name: kitchen\n- sha256: {HEX}\n")), Rule::ManifestMapping);
    assert_eq!(manifest(&format!("name: kitchen\nSHA256: {HEX}\n")), Rule::ManifestDigest);
    assert_eq!(manifest(""), Rule::ManifestMapping);
    assert_eq!(verdict(Archive::new()), Rule::ManifestMissing);
    assert_eq!(verdict(Archive::new().file("plugin.yml", format!("sha256: {HEX}\n"))), Rule::ManifestMissing);
    assert_eq!(rule(&Archive::new().file("Plugin.yaml", "name: kitchen\n").gz()), Rule::NameCase);
}

/// A digest inside the files that it protects proves nothing; the digest that the caller pinned does.
#[test]
fn h6_a_tampered_archive_with_a_digest_of_its_own_is_stopped_by_a_pin() {
    let archive = |script: &str| {
        let plain = Archive::new().file("plugin.yaml", "name: kitchen\n").file("setup.sh", script).gz();
        let content = ContentDigest::of_tree(&unpack(&plain).unwrap().0.tree);
        Archive::new().file("plugin.yaml", format!("name: kitchen\nsha256: {content}\n")).file("setup.sh", script).gz()
    };
    let (good, _) = unpack(&archive("echo hello\n")).unwrap();
    let (tampered, _) = unpack(&archive("echo owned\n")).unwrap();
    assert_eq!((verify(&good), verify(&tampered)), (Ok(()), Ok(())));
    let pinned = tampered.verify(&"kitchen".parse().unwrap(), Some(&good.tree.digest()));
    assert_eq!(pinned.unwrap_err().rule(), Rule::TreeMismatch);
}

/// A megabyte that unpacks to a gigabyte.
#[test]
fn h7_a_bomb_is_refused_before_its_first_byte_is_written() {
    let gigabyte = Archive::new().file("first", "written").block(Header::new("bomb", b'0').size(1 << 30)).open();
    let mut zeros = GzEncoder::new(Vec::new(), Compression::best());
    zeros.write_all(&vec![0; 8 << 20]).unwrap();
    let archive = [gzip(&gigabyte), zeros.finish().unwrap().repeat(128)].concat();
    assert!(archive.len() < 2 << 20);
    let refusal = refusal(&archive);
    assert_eq!((refusal.rule(), refusal.entry().unwrap().number()), (Rule::UnpackedBytes, 2));
}

/// Devices, FIFOs, set-uid programs, and files that everybody may write.
#[test]
fn h8_nothing_but_plain_files_and_directories_comes_out() {
    for (flag, expected) in [(b'3', Rule::Device), (b'4', Rule::Device), (b'6', Rule::Fifo)] {
        assert_eq!(rule(&Archive::new().entry(Header::new("dev", flag).mode(0o660), "").gz()), expected);
    }
    let set_uid = Header::new("su", b'0').mode(0o6777).field(108, "0030071\0");
    let (_, sink) =
        unpack(&Archive::new().entry(set_uid, "x").entry(Header::new("w", b'0').mode(0o666), "").gz()).unwrap();
    // Of a mode only the executable bit remains.
    assert_eq!(sink.nodes["su"], Node::File { content: b"x".to_vec(), executable: true });
    assert_eq!(sink.nodes["w"], Node::File { content: Vec::new(), executable: false });
}

/// Five files of twenty, in a valid gzip.
#[test]
fn h22_an_archive_that_was_cut_behind_an_entry_is_not_whole() {
    let five = (0..5).fold(Archive::new(), |archive, number| archive.file(&format!("{number}"), "x"));
    assert_eq!(rule(&five.gz_open()), Rule::EndMark);
}

/// Three hundred thousand entries in a few hundred kilobytes.
#[test]
fn h24_entries_without_end_are_refused_at_the_limit() {
    let entries = (0..300_000).fold(Archive::new(), |archive, number| archive.file(&format!("{number:06}"), ""));
    let archive = entries.gz();
    let refusal = refusal(&archive);
    assert_eq!((refusal.rule(), refusal.entry().unwrap().number()), (Rule::Entries, 50_001));
}

/// A `plugin.yaml` that no reader would ever finish reading.
#[test]
fn h28_a_manifest_that_is_a_fifo_is_refused() {
    assert_eq!(rule(&Archive::new().entry(Header::new("plugin.yaml", b'6'), "").gz()), Rule::Fifo);
}

/// A hundred bytes that made another reader loop for ever.
#[test]
fn h29_a_negative_size_goes_nowhere() {
    let archive = Archive::new().file("a", "").block(Header::new("b", b'0').field(124, [0xff; 12])).gz_open();
    assert!(archive.len() < 200);
    assert_eq!(rule(&archive), Rule::Number);
    let back = [&[0xff; 4][..], &(-1_024_i64).to_be_bytes()].concat();
    assert_eq!(rule(&Archive::new().block(Header::new("b", b'0').field(124, back)).gz()), Rule::Number);
}

/// All files are made inside the plugin's directory, for any archive.
#[test]
fn nothing_leaves_the_directory() {
    for name in ["../up", "/abs", "a/../../up", "..", "a/..", "./..", "\\up", "C:up", "a\\..\\..\\up"] {
        assert!(unpack(&Archive::new().file(name, "").gz()).is_err(), "{name}");
        assert!(unpack(&Archive::new().directory(name).gz()).is_err(), "{name}");
        for flag in [b'1', b'2'] {
            assert!(unpack(&Archive::new().entry(Header::new(name, flag), "").gz()).is_err(), "{name}");
        }
    }
    // A link that points away, and files that would go through it.
    let link = Header::new("out", b'2').field(157, "/etc");
    let (_, sink) = unpack(&Archive::new().entry(link, "").file("out/passwd", "x").gz()).unwrap();
    assert_eq!(sink.paths(), ["out", "out/passwd"]);
}
