//! Sections 4 and 5 of the rules: types of entries, their names, and their collisions.

use std::io;

use molecule_plugin::unpack::{EntryPath, LinkPolicy, Sink, TakenBy, UnpackError, UnpackPolicy, Unpacker};
use molecule_plugin::{Rule, TreeDigest};

use crate::support::{Archive, Header, Node, pax_record, refusal, rule, rule_by, unpack};

fn refused(archive: Archive) -> Rule {
    rule(&archive.gz())
}

fn paths(archive: Archive) -> Vec<String> {
    let (_, sink) = unpack(&archive.gz()).unwrap_or_else(|refusal| panic!("{refusal}"));
    sink.paths().into_iter().map(str::to_owned).collect()
}

#[test]
fn regular_files_and_directories_are_made() {
    let archive = Archive::new()
        .directory("d")
        .entry(Header::new("d/a", b'0').mode(0o600), "one")
        .entry(Header::new("d/b", 0).mode(0o755), "two")
        .entry(Header::new("d/c", b'0').mode(0o100), "")
        .entry(Header::new("d/d", b'0').mode(0o7677), "");
    let (unpacked, sink) = unpack(&archive.gz()).unwrap();
    let file = |content: &str, executable| Node::File { content: content.into(), executable };
    assert_eq!(sink.nodes["d/a"], file("one", false));
    assert_eq!(sink.nodes["d/b"], file("two", true));
    assert_eq!(sink.nodes["d/c"], file("", true));
    assert_eq!(sink.nodes["d/d"], file("", false));
    assert_eq!((unpacked.files, unpacked.directories, unpacked.bytes, unpacked.entries), (4, 1, 6, 5));
    assert_ne!(unpacked.tree.digest(), TreeDigest([0; 32]));
}

/// `file-slash`
#[test]
fn a_file_is_not_named_like_a_directory() {
    for name in ["a/", "a//", "./", "a/b/"] {
        assert_eq!(refused(Archive::new().file(name, "")), Rule::FileSlash, "{name}");
        assert_eq!(refused(Archive::new().block(Header::new(name, 0).gnu())), Rule::FileSlash, "{name}");
    }
    assert_eq!(refused(Archive::new().pax(pax_record("path", "a/")).file("a", "")), Rule::FileSlash);
}

/// Section 4: a name ending in `/` is a directory's in a V7 header, which has no type for one.
#[test]
fn a_v7_file_that_is_named_like_a_directory_is_one() {
    for flag in [0, b'0'] {
        let v7 = |name: &str| Header::new(name, flag).v7();
        let archive = Archive::new().block(v7("./")).block(v7("d/")).block(v7("d/e//")).block(v7("d/a"));
        let (unpacked, sink) = unpack(&archive.gz()).unwrap();
        assert_eq!((&sink.nodes["d"], &sink.nodes["d/e"]), (&Node::Directory, &Node::Directory));
        assert!(matches!(sink.nodes["d/a"], Node::File { .. }));
        assert_eq!((unpacked.files, unpacked.directories, unpacked.entries), (1, 2, 4));
        // The rules of directories and those of names apply to it.
        assert_eq!(refused(Archive::new().entry(v7("d/"), "x")), Rule::DirectorySize);
        assert_eq!(refused(Archive::new().file("d", "").block(v7("d/"))), Rule::DirectoryOverFile);
        assert_eq!(refused(Archive::new().block(v7("../"))), Rule::NameParent);
        assert_eq!(refused(Archive::new().block(v7("plugin.yaml/")).file("plugin.yaml", "")), Rule::FileOverDirectory);
    }
    assert_eq!(refused(Archive::new().block(Header::new("a/", b'2').v7().size(1))), Rule::LinkSize);
}

/// `directory-size`
#[test]
fn a_directory_has_no_content() {
    assert_eq!(refused(Archive::new().entry(Header::new("d", b'5'), "x")), Rule::DirectorySize);
    assert_eq!(refused(Archive::new().pax(pax_record("size", "1")).directory("d").content("x")), Rule::DirectorySize);
    assert_eq!(refused(Archive::new().entry(Header::new(".", b'5'), "x")), Rule::DirectorySize);
}

#[test]
fn the_root_is_there_already() {
    for root in [".", "./", "", "././"] {
        let (unpacked, sink) = unpack(&Archive::new().directory(root).file("./a", "").gz()).unwrap();
        assert_eq!((sink.paths(), unpacked.directories, unpacked.entries), (vec!["a"], 0, 2), "{root:?}");
    }
}

#[test]
fn links_are_left_out_and_reported() {
    let mut archive = Archive::new();
    for number in 0..25 {
        archive = archive
            .entry(Header::new(format!("link-{number}\u{202e}"), b'1' + number % 2).field(157, "/etc/passwd"), "");
    }
    let (unpacked, sink) = unpack(&archive.file("a", "").gz()).unwrap();
    assert_eq!(sink.paths(), ["a"]);
    assert_eq!((unpacked.skipped_links.count, unpacked.skipped_links.names.len()), (25, 20));
    assert_eq!(unpacked.skipped_links.names[0], "link-0\\u{202e}");
    assert_eq!(unpacked.entries, 26);
    // A link is never followed: an entry below it is made below a directory of that name.
    let below = Archive::new().entry(Header::new("l", b'2').field(157, "/etc"), "").file("l/passwd", "mine");
    assert_eq!(paths(below), ["l", "l/passwd"]);
    let replaced = Archive::new().entry(Header::new("l", b'2').field(157, "/etc/passwd"), "").file("l", "mine");
    assert_eq!(paths(replaced), ["l"]);
    // A link named `setup.sh` does not count as a setup script.
    let (unpacked, _) = unpack(&Archive::new().entry(Header::new("setup.sh", b'2'), "").gz()).unwrap();
    assert!(!unpacked.has_setup);
}

/// `link`
#[test]
fn links_are_refused_where_they_are_rejected() {
    let policy = UnpackPolicy::default().links(LinkPolicy::Reject);
    for flag in [b'1', b'2'] {
        assert_eq!(rule_by(&Archive::new().entry(Header::new("l", flag), "").gz(), &policy), Rule::Link);
    }
}

/// `link-size`, `link-manifest`, and the rules of names.
#[test]
fn a_link_that_is_left_out_keeps_the_other_rules() {
    for flag in [b'1', b'2'] {
        assert_eq!(refused(Archive::new().entry(Header::new("l", flag), "x")), Rule::LinkSize);
        assert_eq!(refused(Archive::new().entry(Header::new("plugin.yaml", flag), "")), Rule::LinkManifest);
        assert_eq!(refused(Archive::new().entry(Header::new(".//plugin.yaml", flag), "")), Rule::LinkManifest);
        assert_eq!(refused(Archive::new().entry(Header::new("../l", flag), "")), Rule::NameParent);
        assert_eq!(refused(Archive::new().entry(Header::new("", flag), "")), Rule::NameEmpty);
        assert_eq!(refused(Archive::new().entry(Header::new("Setup.sh", flag), "")), Rule::NameCase);
    }
}

/// `device`, `fifo`, `contiguous`, `sparse`, `entry-type`
#[test]
fn nothing_else_is_made() {
    for flag in 0..=255_u8 {
        let expected = match flag {
            0 | b'0' | b'1' | b'2' | b'5' | b'x' | b'g' | b'L' | b'K' => continue,
            b'3' | b'4' => Rule::Device,
            b'6' => Rule::Fifo,
            b'7' => Rule::Contiguous,
            b'S' => Rule::Sparse,
            _ => Rule::EntryType,
        };
        let refusal = refusal(&Archive::new().entry(Header::new("a", flag), "").gz());
        assert_eq!(refusal.rule(), expected, "type {flag}");
    }
    // H28: `plugin.yaml` as a FIFO.
    assert_eq!(refused(Archive::new().entry(Header::new("plugin.yaml", b'6'), "")), Rule::Fifo);
    // H8: modes, owners and device numbers do not matter.
    let device = Header::new("disk", b'4').mode(0o660).field(329, "0000010\0").field(337, "0000000\0");
    assert_eq!(refused(Archive::new().entry(device, "")), Rule::Device);
}

/// `sparse`
#[test]
fn nothing_is_sparse() {
    for key in [
        "GNU.sparse.major",
        "GNU.sparse.map",
        "GNU.sparse.realsize",
        "GNU.sparse.name",
        "GNU.sparse.size",
        "SCHILY.realsize",
    ] {
        assert_eq!(refused(Archive::new().pax(pax_record(key, "1")).file("a", "")), Rule::Sparse, "{key}");
    }
    let gnu = Header::new("a", b'S').gnu().size(0).field(483, "77777777777\0");
    assert_eq!(refused(Archive::new().block(gnu)), Rule::Sparse);
}

/// Each rule of names is broken by a plain header, by a pax path and by a GNU long name.
#[test]
fn every_spelling_of_a_bad_name_is_refused() {
    let long = |length: usize| "n".repeat(length);
    let deep = |depth: usize| vec!["d"; depth].join("/");
    for (name, expected) in [
        ("../a", Rule::NameParent),
        ("a/../../b", Rule::NameParent),
        ("a/..", Rule::NameParent),
        ("/etc/passwd", Rule::NameAbsolute),
        ("a\\b", Rule::NameBackslash),
        ("..\\a", Rule::NameBackslash),
        ("C:/a", Rule::NameColon),
        ("a:stream", Rule::NameColon),
        ("a\nb", Rule::NameControl),
        ("a\u{7f}", Rule::NameControl),
        ("a\u{85}", Rule::NameControl),
        (" a", Rule::NameSpace),
        ("a /b", Rule::NameSpace),
        ("a.", Rule::NameDot),
        ("a./b", Rule::NameDot),
        ("con", Rule::NameDevice),
        ("a/Aux.txt", Rule::NameDevice),
        ("com¹", Rule::NameDevice),
        ("Plugin.yaml", Rule::NameCase),
        ("PLUGIN.YAML", Rule::NameCase),
        ("./Setup.SH", Rule::NameCase),
        (&long(256), Rule::ComponentBytes),
        (&deep(65), Rule::Depth),
        (&[long(200), long(200), long(200), long(200), long(221)].join("/"), Rule::PathBytes),
    ] {
        let pax = pax_record("path", name);
        assert_eq!(refused(Archive::new().pax(pax).file("f", "")), expected, "{name:?} by pax");
        let gnu = Archive::new().entry(Header::new("././@LongLink", b'L').gnu(), name).file("f", "");
        assert_eq!(refused(gnu), expected, "{name:?} by a long name");
        let directory = Archive::new().pax(pax_record("path", name)).directory("d");
        assert_eq!(refused(directory), expected, "{name:?} as a directory");
        if name.len() <= 100 {
            assert_eq!(refused(Archive::new().file(name, "")), expected, "{name:?}");
        }
    }
    assert_eq!(refused(Archive::new().block(Header::new(b"a\xffb", b'0'))), Rule::NameUtf8);
    assert_eq!(refused(Archive::new().entry(Header::new("L", b'L').gnu(), b"a\xff").file("f", "")), Rule::NameUtf8);
}

/// A path whose components would take a minute to check is refused at once.
#[test]
fn a_path_of_many_thousand_components_is_refused_by_its_length() {
    let deep = "d/".repeat(60_000) + "f";
    assert_eq!(refused(Archive::new().pax(pax_record("path", &deep)).file("f", "")), Rule::PathBytes);
}

/// `name-empty`
#[test]
fn a_file_has_a_name() {
    assert_eq!(refused(Archive::new().file("", "x")), Rule::NameEmpty);
    assert_eq!(refused(Archive::new().file(".", "x")), Rule::NameEmpty);
    assert_eq!(refused(Archive::new().file("./.", "x")), Rule::NameEmpty);
}

/// `duplicate`, `file-over-directory`, `directory-over-file`
#[test]
fn nothing_is_made_twice() {
    assert_eq!(refused(Archive::new().file("a", "1").file("a", "2")), Rule::Duplicate);
    assert_eq!(refused(Archive::new().file("d/a", "1").file("./d//a", "1")), Rule::Duplicate);
    assert_eq!(refused(Archive::new().directory("a").file("a", "")), Rule::FileOverDirectory);
    assert_eq!(refused(Archive::new().file("a/b", "").file("a", "")), Rule::FileOverDirectory);
    assert_eq!(refused(Archive::new().file("a", "").directory("a")), Rule::DirectoryOverFile);
    assert_eq!(refused(Archive::new().file("a", "").file("a/b", "")), Rule::DirectoryOverFile);
    assert_eq!(refused(Archive::new().file("a/b", "").directory("a/b/c/d")), Rule::DirectoryOverFile);
    assert_eq!(paths(Archive::new().directory("a").directory("a/").file("a/b", "").directory("./a")), ["a", "a/b"]);
    assert_eq!(
        paths(Archive::new().file("a", "").file("A", "").file("a.b", "").file("a-b", "")),
        ["A", "a", "a-b", "a.b"]
    );
}

#[test]
fn directories_that_were_left_out_are_made() {
    let (unpacked, sink) = unpack(&Archive::new().file("a/b/c", "").file("a/d/e", "").directory("f/g").gz()).unwrap();
    assert_eq!(sink.paths(), ["a", "a/b", "a/b/c", "a/d", "a/d/e", "f", "f/g"]);
    assert_eq!((unpacked.directories, unpacked.entries), (5, 3));
}

/// A sink that fails at a name.
struct Failing {
    name: &'static str,
    kind: io::ErrorKind,
}

impl Failing {
    fn judge(&self, path: &EntryPath) -> io::Result<()> {
        if path.as_str() == self.name { Err(io::Error::new(self.kind, "as it was told")) } else { Ok(()) }
    }
}

impl Sink for Failing {
    fn directory(&mut self, path: &EntryPath) -> io::Result<()> {
        self.judge(path)
    }

    fn begin(&mut self, path: &EntryPath, _: bool) -> io::Result<()> {
        self.judge(path)
    }

    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        if self.name == "write" { Err(io::Error::new(self.kind, "as it was told")) } else { Ok(()) }
    }

    fn end(&mut self) -> io::Result<()> {
        if self.name == "end" { Err(io::Error::new(self.kind, "as it was told")) } else { Ok(()) }
    }
}

fn fail(archive: Archive, name: &'static str, kind: io::ErrorKind) -> UnpackError {
    let mut unpacker = Unpacker::new(Failing { name, kind }, &UnpackPolicy::default());
    let first = unpacker.push(&archive.gz()).err();
    let again = unpacker.push(b"more").err();
    let (error, _) = unpacker.finish().err().unwrap();
    for said in [first, again].into_iter().flatten() {
        assert_eq!(said.to_string(), error.to_string());
    }
    error
}

/// `collision`
#[test]
fn a_file_system_that_takes_two_names_for_one_is_a_refusal_with_both() {
    let archive = Archive::new().file("Straße/Readme", "").file("straße/readme", "").file("README", "");
    for name in ["straße", "straße/readme"] {
        let error = fail(archive.clone(), name, io::ErrorKind::AlreadyExists);
        let refusal = error.refusal().unwrap();
        assert_eq!(refusal.rule(), Rule::Collision);
        assert_eq!(refusal.entry().unwrap().number(), 2);
        assert!(refusal.detail().contains(&format!("`{name}`")) && refusal.detail().contains("`Straße"), "{refusal}");
    }
    let unknown = fail(archive, "README", io::ErrorKind::AlreadyExists);
    assert!(unknown.refusal().unwrap().detail().contains("another name in the archive"), "{unknown}");
}

/// A file system that does not distinguish composed and decomposed letters. If `says` is set, its error names the
/// existing file.
struct Normalising {
    says: bool,
}

impl Normalising {
    fn judge(&self, path: &EntryPath) -> io::Result<()> {
        let taken = || io::Error::new(io::ErrorKind::AlreadyExists, TakenBy("e\u{301}.md".to_owned()));
        match path.file_name() {
            "é.md" if self.says => Err(taken()),
            "é.md" => Err(io::ErrorKind::AlreadyExists.into()),
            _ => Ok(()),
        }
    }
}

impl Sink for Normalising {
    fn directory(&mut self, path: &EntryPath) -> io::Result<()> {
        self.judge(path)
    }

    fn begin(&mut self, path: &EntryPath, _: bool) -> io::Result<()> {
        self.judge(path)
    }

    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `collision`: names both files also if they differ by more than case, if the sink names the other one or there is
/// only one.
#[test]
fn a_collision_names_both_files() {
    let refused = |archive: Archive, says| {
        let mut unpacker = Unpacker::new(Normalising { says }, &UnpackPolicy::default());
        let pushed = unpacker.push(&archive.gz());
        let (error, _) = unpacker.finish().err().unwrap();
        assert!(pushed.is_ok() || pushed.unwrap_err().to_string() == error.to_string());
        error.refusal().unwrap().clone()
    };
    let two = || Archive::new().file("d/e\u{301}.md", "").file("d/é.md", "");
    let both = r"the file system takes `d/é.md` for `d/e\u{301}.md`";
    let with_more = Archive::new().file("a", "").file("d/b", "").file("d/e\u{301}.md", "").file("d/é.md", "");
    for (archive, says) in [(two(), true), (two(), false), (with_more, true)] {
        let refusal = refused(archive, says);
        assert_eq!((refusal.rule(), refusal.detail()), (Rule::Collision, both));
    }
    let root = Archive::new().file("e\u{301}.md", "").file("x", "").directory("é.md");
    assert_eq!(refused(root, true).detail(), r"the file system takes `é.md` for `e\u{301}.md`");
}

#[test]
fn what_a_sink_meets_is_no_refusal_and_names_the_entry() {
    let archive = || Archive::new().file("d/a", "x".repeat(300_000)).file("e/b", "content");
    for (name, number, shown) in [("e", 2, "e/b"), ("e/b", 2, "e/b"), ("write", 1, "d/a"), ("end", 1, "d/a")] {
        let error = fail(archive(), name, io::ErrorKind::StorageFull);
        let UnpackError::Sink { entry: Some(entry), error } = error else { panic!("{error}") };
        assert_eq!((entry.number(), entry.name(), error.kind()), (number, shown, io::ErrorKind::StorageFull), "{name}");
    }
}
