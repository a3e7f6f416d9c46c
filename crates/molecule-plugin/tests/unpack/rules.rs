//! Each rule has an archive that breaks this rule only.

use std::collections::BTreeMap;
use std::io;

use http::HeaderMap;
use molecule_plugin::unpack::{EntryPath, LinkPolicy, Sink, UnpackError, UnpackPolicy, Unpacker};
use molecule_plugin::{InstallLimits, Refusal, Rule, TreeDigest};

use crate::support::{Archive, Header, MapSink, gzip, pax_record, unpack, unpack_by};

/// Unpacks and verifies an archive, and returns its refusal.
fn verdict(archive: &[u8], policy: &UnpackPolicy, pin: Option<TreeDigest>) -> Result<(), Refusal> {
    let (unpacked, _) = unpack_by(archive, policy)?;
    unpacked.verify(&"kitchen".parse().unwrap(), pin.as_ref()).map(|_| ())
}

fn plain(archive: Archive) -> Option<Refusal> {
    verdict(&archive.gz(), &UnpackPolicy::default(), None).err()
}

fn open(archive: Archive) -> Option<Refusal> {
    verdict(&archive.gz_open(), &UnpackPolicy::default(), None).err()
}

fn raw(archive: &[u8]) -> Option<Refusal> {
    verdict(archive, &UnpackPolicy::default(), None).err()
}

fn limited(limits: InstallLimits) -> Option<Refusal> {
    let policy = UnpackPolicy::default().limits(limits);
    let archive = good().pax(pax_record("comment", "x")).file("rules/a.md", "be kind");
    verdict(&archive.gz(), &policy, None).err()
}

fn manifest(text: impl AsRef<[u8]>) -> Option<Refusal> {
    plain(Archive::new().file("plugin.yaml", text))
}

fn name(name: impl AsRef<[u8]>) -> Option<Refusal> {
    plain(good().block(Header::new(name, b'0')))
}

fn kind(flag: u8) -> Option<Refusal> {
    plain(good().block(Header::new("a", flag)))
}

/// An archive without a fault yet.
fn good() -> Archive {
    Archive::new().file("plugin.yaml", "name: kitchen\n")
}

fn encoded() -> Option<Refusal> {
    let headers = HeaderMap::from_iter([(http::header::CONTENT_ENCODING, "gzip".parse().unwrap())]);
    let judged = Unpacker::new(MapSink::default(), &UnpackPolicy::default()).head(&headers);
    judged.err()?.refusal().cloned()
}

/// A file system in which every name exists already.
struct Taken;

impl Sink for Taken {
    fn directory(&mut self, _: &EntryPath) -> io::Result<()> {
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn begin(&mut self, _: &EntryPath, _: bool) -> io::Result<()> {
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn collision() -> Option<Refusal> {
    let mut unpacker = Unpacker::new(Taken, &UnpackPolicy::default());
    let _ = unpacker.push(&good().gz());
    match unpacker.finish() {
        Err((UnpackError::Refused(refusal), _)) => Some(refusal),
        _ => None,
    }
}

fn damaged(from_end: usize) -> Option<Refusal> {
    let mut archive = good().gz();
    let at = archive.len() - from_end;
    archive[at] ^= 1;
    raw(&archive)
}

#[test]
fn each_rule_has_an_archive_that_breaks_it() {
    let limits = InstallLimits::default;
    let global = |key: &str| plain(good().entry(Header::new("g", b'g'), pax_record(key, "1")));
    let pax = |key: &str, value: &[u8]| plain(good().pax(pax_record(key, value)).file("f", ""));
    let long = || (Header::new("L", b'L').gnu(), "long\0");
    let size_of = |flag| plain(good().entry(Header::new("a", flag), "x"));
    let reject = UnpackPolicy::default().links(LinkPolicy::Reject);
    let cases: Vec<(Rule, Option<Refusal>)> = vec![
        (Rule::ContentEncoding, encoded()),
        (Rule::ArchiveBytes, limited(limits().max_archive_bytes(30))),
        (Rule::NotGzip, raw(b"<html>")),
        (Rule::GzipHeader, raw(&[0x1f, 0x8b, 8, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        (Rule::Deflate, raw(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0])),
        (Rule::GzipChecksum, damaged(1)),
        (Rule::GzipTruncated, raw(&good().gz()[..40])),
        (Rule::GzipTrailing, raw(&[&good().gz()[..], b"x"].concat())),
        (Rule::UnpackedBytes, limited(limits().max_unpacked_bytes(1_000))),
        (Rule::PartialBlock, open(good().raw("x"))),
        (Rule::Checksum, plain(good().raw([1; 512]))),
        (Rule::Magic, plain(good().block(Header::new("a", b'0').field(257, "other")))),
        (Rule::Number, plain(good().block(Header::new("a", b'0').field(124, "9")))),
        (Rule::PaxRecord, plain(good().pax("x").file("f", ""))),
        (Rule::PaxDuplicate, plain(good().pax([pax_record("a", "1"), pax_record("a", "1")].concat()).file("f", ""))),
        (Rule::PaxPath, pax("path", b"")),
        (Rule::PaxSize, pax("size", b"-1")),
        (Rule::PaxCharset, pax("hdrcharset", b"BINARY")),
        (Rule::PaxGlobal, global("path")),
        (Rule::LongName, plain(good().entry(long().0, "").file("f", ""))),
        (Rule::ExtensionRepeated, plain(good().entry(long().0, long().1).entry(long().0, long().1).file("f", ""))),
        (Rule::ExtensionConflict, plain(good().pax(pax_record("path", "a")).entry(long().0, long().1).file("f", ""))),
        (Rule::ExtensionDangling, plain(good().entry(long().0, long().1))),
        (Rule::MetadataBytes, limited(limits().max_metadata_bytes(5))),
        (Rule::MetadataHeaders, limited(limits().max_metadata_headers(0))),
        (Rule::EndMark, open(good())),
        (Rule::AfterEnd, open(good().zeros(2).raw("x"))),
        (Rule::Sparse, kind(b'S')),
        (Rule::Device, kind(b'3')),
        (Rule::Fifo, kind(b'6')),
        (Rule::Contiguous, kind(b'7')),
        (Rule::EntryType, kind(b'X')),
        (Rule::Link, verdict(&good().block(Header::new("a", b'2')).gz(), &reject, None).err()),
        (Rule::LinkSize, size_of(b'2')),
        (Rule::LinkTarget, pax("linkpath", b"a")),
        (Rule::LinkManifest, plain(Archive::new().block(Header::new("plugin.yaml", b'2')))),
        (Rule::DirectorySize, size_of(b'5')),
        (Rule::FileSlash, name("a/")),
        (Rule::PathBytes, limited(limits().max_path_bytes(3))),
        (Rule::ComponentBytes, pax("path", &[b'n'; 256])),
        (Rule::Depth, limited(limits().max_depth(1))),
        (Rule::NameUtf8, name(b"a\xff")),
        (Rule::NameEmpty, name("")),
        (Rule::NameAbsolute, name("/a")),
        (Rule::NameParent, name("..")),
        (Rule::NameBackslash, name("a\\b")),
        (Rule::NameColon, name("a:b")),
        (Rule::NameControl, name("a\tb")),
        (Rule::NameSpace, name("a ")),
        (Rule::NameDot, name("a.")),
        (Rule::NameDevice, name("nul")),
        #[cfg(windows)]
        (Rule::NameReserved, name("a?b")),
        (Rule::NameCase, name("Plugin.yaml")),
        (Rule::Entries, limited(limits().max_entries(1))),
        (Rule::NamesBytes, limited(limits().max_names_bytes(15))),
        (Rule::Duplicate, plain(good().file("a", "").file("a", ""))),
        (Rule::FileOverDirectory, plain(good().directory("a").file("a", ""))),
        (Rule::DirectoryOverFile, plain(good().file("a", "").directory("a"))),
        (Rule::Collision, collision()),
        (Rule::ManifestMissing, plain(Archive::new().file("a", ""))),
        (Rule::ManifestBytes, limited(limits().max_manifest_bytes(3))),
        (Rule::ManifestUtf8, manifest(b"name: \xff")),
        (Rule::ManifestYaml, manifest("name: [")),
        (Rule::ManifestMapping, manifest("- name")),
        (Rule::ManifestDuplicate, manifest("name: kitchen\nname: kitchen\n")),
        (Rule::ManifestDepth, manifest(format!("a: {}", "[".repeat(70)))),
        (Rule::ManifestAliases, manifest("a: &a [*a]")),
        (Rule::ManifestName, manifest("name: other")),
        (Rule::ManifestDigest, manifest("sha256: abc")),
        (Rule::ContentMismatch, manifest(format!("sha256: {}", "a".repeat(64)))),
        (Rule::TreeMismatch, verdict(&good().gz(), &UnpackPolicy::default(), Some(TreeDigest([0; 32]))).err()),
    ];
    let mut broken = BTreeMap::new();
    for (rule, refusal) in cases {
        let refusal = refusal.unwrap_or_else(|| panic!("{rule} was not minded"));
        assert_eq!(refusal.rule(), rule, "{refusal}");
        assert!(refusal.to_string().contains(rule.name()) && refusal.to_string().len() < 500, "{refusal}");
        broken.insert(rule, refusal);
    }
    for rule in Rule::ALL {
        // The first rule applies on Windows only; `tests/receipt.rs` breaks the second.
        let is_elsewhere = matches!(rule, Rule::NameReserved | Rule::ReceiptBytes);
        assert!(broken.contains_key(rule) || is_elsewhere, "nothing breaks {rule}");
    }
    assert_eq!(verdict(&good().gz(), &UnpackPolicy::default(), None), Ok(()));
    assert!(unpack(&gzip(&good().tar())).is_ok());
}
