//! Section 3 of the rules: headers, numbers, extension headers, the end mark.

use molecule_plugin::Rule;

use crate::support::{Archive, Header, Node, gzip, pax_record, refusal, rule, unpack};

fn paths(archive: Archive) -> Vec<String> {
    let (_, sink) = unpack(&archive.gz()).unwrap_or_else(|refusal| panic!("{refusal}"));
    sink.paths().into_iter().map(str::to_owned).collect()
}

fn refused(archive: Archive) -> Rule {
    rule(&archive.gz())
}

fn file(name: &str) -> Header {
    Header::new(name, b'0')
}

/// `checksum`
#[test]
fn a_header_matches_its_unsigned_checksum() {
    assert_eq!(refused(Archive::new().block(file("a").field(148, "0000000\0").keep_checksum())), Rule::Checksum);
    assert_eq!(refused(Archive::new().block(file("a").field(148, "        ").keep_checksum())), Rule::Checksum);
    assert_eq!(refused(Archive::new().block(file("a").field(148, "zzzzzz\0 ").keep_checksum())), Rule::Checksum);
    assert_eq!(refused(Archive::new().raw([b'x'; 512])), Rule::Checksum);
    // Signed, as some old writers computed it.
    let name = "zażółć";
    let signed = |header: &Header| -> i32 {
        let mut block = header.clone().bytes();
        block[148..156].fill(b' ');
        block.iter().map(|byte| i32::from(byte.cast_signed())).sum()
    };
    let header = file(name);
    let sum = format!("{:06o}\0 ", signed(&header));
    assert_eq!(refused(Archive::new().block(header.field(148, sum).keep_checksum())), Rule::Checksum);
    assert_eq!(paths(Archive::new().file(name, "")), [name]);
    // Digits with spaces around them, as some writers have them.
    let header = file("a");
    let sum = u32::from_str_radix(std::str::from_utf8(&header.clone().bytes()[148..154]).unwrap(), 8).unwrap();
    assert_eq!(paths(Archive::new().block(header.field(148, format!(" {sum:5o}\0 ")).keep_checksum())), ["a"]);
}

/// `magic`
#[test]
fn a_header_is_of_ustar_gnu_or_v7() {
    assert_eq!(paths(Archive::new().block(file("a")).block(file("b").gnu()).block(file("c").v7())), ["a", "b", "c"]);
    for magic in [&b"ustar\0\0\0"[..], b"ustar  0", b"USTAR\x0000", b"\0\0\0\0\0\0\0x", b"ustar\x0001", b"        "] {
        assert_eq!(refused(Archive::new().block(file("a").field(257, magic))), Rule::Magic, "{magic:?}");
    }
    // star writes times where ustar has the end of the prefix.
    assert_eq!(refused(Archive::new().block(file("a").field(508, "tar\0"))), Rule::Magic);
    // Some readers prepend this to the name, some do not.
    assert_eq!(refused(Archive::new().block(file("a").gnu().field(345, "up"))), Rule::Magic);
    assert_eq!(refused(Archive::new().block(file("a").v7().field(345, "up"))), Rule::Magic);
}

#[test]
fn a_ustar_prefix_is_a_part_of_the_name() {
    assert_eq!(paths(Archive::new().block(file("c").field(345, "a/b"))), ["a", "a/b", "a/b/c"]);
    let (prefix, name) = (["p".repeat(77), "q".repeat(77)].join("/"), "n".repeat(100));
    let archive = Archive::new().block(file(&name).field(345, &prefix));
    assert_eq!(paths(archive).last(), Some(&format!("{prefix}/{name}")));
    assert_eq!(refused(Archive::new().block(file("b").field(345, ".."))), Rule::NameParent);
    assert_eq!(refused(Archive::new().block(file("b").field(345, "/a"))), Rule::NameAbsolute);
}

/// `number`
#[test]
fn numbers_are_octal_or_positive_in_base_256() {
    let sized = |size: &[u8]| Archive::new().block(file("a").field(124, size));
    let eight = |archive: Archive| archive.content("12345678");
    for size in [
        &b"00000000010\0"[..],
        b"10\0\0\0\0\0\0\0\0\0\0",
        b"         10 ",
        b"\x80\0\0\0\0\0\0\0\0\0\0\x08",
        b"000000000010",
    ] {
        let (_, sink) = unpack(&eight(sized(size)).gz()).unwrap_or_else(|refusal| panic!("{refusal}"));
        assert_eq!(sink.content("a"), b"12345678", "{size:?}");
    }
    assert_eq!(paths(sized(&[0; 12])), ["a"]);
    let negative = [0xff; 12];
    for size in [
        &b"00000000008\0"[..],
        b"-0000000010\0",
        b"+0000000010\0",
        b"0x000000010\0",
        b"            ",
        b"\x0000000000010",
        b"00000 000010",
        b"1e1\0\0\0\0\0\0\0\0\0",
        b"\x80\0\0\0\x40\0\0\0\0\0\0\0",
        b"\x81\0\0\0\0\0\0\0\0\0\0\x08",
        b"\xc0\0\0\0\0\0\0\0\0\0\0\x08",
        &negative,
    ] {
        assert_eq!(refused(eight(sized(size))), Rule::Number, "{size:?}");
    }
    for mode in [&b"0000648\0"[..], b"-000644\0", b"rw-r--r-"] {
        assert_eq!(refused(Archive::new().block(file("a").field(100, mode))), Rule::Number, "{mode:?}");
    }
    // Names of owners are not read.
    assert_eq!(paths(Archive::new().block(file("a").field(265, [0xff; 64]))), ["a"]);
}

/// `number`: ids, times and device numbers are checked too, although nothing here uses them.
#[test]
fn ids_and_times_are_octal_or_in_base_256() {
    let fields = [(108, 8), (116, 8), (136, 12), (329, 8), (337, 8)];
    let long = |at: usize, length: usize, bytes: &[u8]| {
        let mut field = bytes.to_vec();
        field.resize(length, bytes.last().copied().unwrap_or_default());
        Archive::new().block(file("a").field(at, field))
    };
    for (at, length) in fields {
        for good in [&b"\0"[..], b"0000007\0", b" 7 \0", b"\x80\0\0\0\0\0\0\x07"] {
            let mut field = good.to_vec();
            field.resize(length, 0);
            assert_eq!(paths(Archive::new().block(file("a").field(at, field))), ["a"], "{at} {good:?}");
        }
        for bad in [&b"junk"[..], b"-0000001", b"0x000001", b"8", b"\xff", b"\x81\0", b"\xc0\0", b" "] {
            assert_eq!(refused(long(at, length, bad)), Rule::Number, "{at} {bad:?}");
        }
    }
    // V7 has no device numbers.
    assert_eq!(paths(Archive::new().block(file("a").v7().field(329, "junk"))), ["a"]);
    assert_eq!(refused(Archive::new().block(file("a").v7().field(136, "junk"))), Rule::Number);
}

/// `number`: a mode in base 256 is the same as in octal, and neither is above 07777.
#[test]
fn a_mode_is_at_most_07777_however_it_is_written() {
    let with = |mode: &[u8]| Archive::new().block(file("a").field(100, mode));
    let executable = |mode: &[u8]| {
        let (_, sink) = unpack(&with(mode).gz()).unwrap_or_else(|refusal| panic!("{refusal}"));
        matches!(sink.nodes["a"], Node::File { executable: true, .. })
    };
    for (mode, expected) in [
        (&b"0000644\0"[..], false),
        (b"0000755\0", true),
        (b"0007777\0", true),
        (b"\x80\0\0\0\0\0\x01\xa4", false),
        (b"\x80\0\0\0\0\0\x01\xed", true),
        (b"\x80\0\0\0\0\0\x0f\xff", true),
    ] {
        assert_eq!(executable(mode), expected, "{mode:?}");
    }
    for mode in [
        &b"0010000\0"[..],
        b"0100644\0",
        b"77777777",
        b"\x80\0\0\0\0\0\x10\0",
        b"\x80\0\0\0\0\0\x81\xa4",
        b"\x80\x01\0\0\0\0\x01\xa4",
        b"\xff\xff\xff\xff\xff\xff\x01\xa4",
    ] {
        assert_eq!(refused(with(mode)), Rule::Number, "{mode:?}");
    }
}

/// H29: a negative size made another reader read the same header again, for ever.
#[test]
fn a_negative_size_leads_nowhere() {
    let archive = Archive::new().file("a", "").block(file("b").field(124, [0xff; 11])).gz();
    assert_eq!(rule(&archive), Rule::Number);
}

/// `partial-block`, `end-mark`, `after-end`
#[test]
fn an_archive_ends_with_two_blocks_of_zeros() {
    let open = |archive: Archive| rule(&archive.gz_open());
    let one = || Archive::new().file("a", "content");
    assert_eq!(open(Archive::new()), Rule::EndMark);
    // H22: a tar that is cut after an entry, inside a valid gzip.
    assert_eq!(open(one()), Rule::EndMark);
    assert_eq!(open(one().zeros(1)), Rule::EndMark);
    assert_eq!(open(one().zeros(1).file("b", "").zeros(2)), Rule::EndMark);
    assert_eq!(open(one().raw([0; 511])), Rule::PartialBlock);
    assert_eq!(open(one().zeros(1).raw([0; 511])), Rule::PartialBlock);
    assert_eq!(open(one().raw([1; 100])), Rule::PartialBlock);
    assert_eq!(open(Archive::new().block(file("a").size(10)).raw("12345")), Rule::PartialBlock);
    assert_eq!(open(Archive::new().block(file("a").size(10)).raw("1234567890")), Rule::PartialBlock);
    assert_eq!(open(Archive::new().block(Header::new("x", b'x').size(10)).raw("12345")), Rule::PartialBlock);
    assert_eq!(open(one().zeros(2).file("b", "")), Rule::AfterEnd);
    assert_eq!(open(one().zeros(2).raw("x")), Rule::AfterEnd);
    assert_eq!(open(one().zeros(20).raw("x")), Rule::AfterEnd);
    for zeros in [2, 3, 20, 1_000] {
        assert!(unpack(&one().zeros(zeros).gz_open()).is_ok());
    }
    assert!(unpack(&one().zeros(2).raw([0; 10]).gz_open()).is_ok());
    assert!(unpack(&Archive::new().gz()).is_ok());
}

/// The padding of a content's last block has no meaning, and writers put any bytes there.
#[test]
fn padding_is_passed_over() {
    let mut block = [b'p'; 512];
    block[..3].copy_from_slice(b"abc");
    let archive = gzip(&Archive::new().block(file("a").size(3)).raw(block).tar());
    assert_eq!(unpack(&archive).unwrap().1.content("a"), b"abc");
}

#[test]
fn pax_records_name_and_size_an_entry() {
    let name = "rules/zażółć 🦀.md";
    let records = [pax_record("path", name), pax_record("mtime", "1.5"), pax_record("size", "3")].concat();
    let archive = Archive::new().pax(records).block(file("ignored").size(0)).content("abc");
    let (_, sink) = unpack(&archive.gz()).unwrap();
    assert_eq!(sink.content(name), b"abc");
    // Values may contain line ends and NULs; keys of vendors are ignored.
    let odd = [
        pax_record("SCHILY.xattr.user.a", "x\n9 path=b\n\0"),
        pax_record("LIBARCHIVE.x", ""),
        pax_record("comment", "é"),
    ]
    .concat();
    assert_eq!(paths(Archive::new().pax(odd).file("a", "")), ["a"]);
    for charset in ["ISO-IR 10646 2000 UTF-8", "UTF-8"] {
        assert_eq!(paths(Archive::new().pax(pax_record("hdrcharset", charset)).file("a", "")), ["a"]);
    }
    // An empty header, and a record whose length has three digits.
    assert_eq!(paths(Archive::new().pax("").file("a", "")), ["a"]);
    let long = "n".repeat(150);
    assert_eq!(paths(Archive::new().pax(pax_record("path", &long)).file("a", "")), [long]);
    // A pax header belongs to one entry, not to the next.
    assert_eq!(paths(Archive::new().pax(pax_record("path", "a")).file("x", "").file("b", "")), ["a", "b"]);
}

/// A pax `size` is that of the entry, not that of an extension header in between.
#[test]
fn a_pax_size_is_not_that_of_a_long_name() {
    let archive = Archive::new()
        .pax(pax_record("size", "3"))
        .entry(Header::new("././@LongLink", b'L'), "long-name\0")
        .block(file("short"))
        .content("abc");
    assert_eq!(unpack(&archive.gz()).unwrap().1.content("long-name"), b"abc");
}

/// `pax-record`
#[test]
fn pax_records_are_read_by_their_length() {
    for records in [
        "x",
        "5",
        "5 a=b",
        "6 a=b",
        "5 a=b\n",
        "7 a=b\n",
        "+6 a=b\n",
        "06 a=b\n",
        "07 a=b\n",
        "6  a=b\n",
        " 6 a=b\n",
        "0x6 a=b\n",
        "6\ta=b\n",
        "6 a=b\n6 a=c",
        "6 a=b\nx",
        "6 a=b\n\0",
        "6 abc\n",
        "5 =b\n",
        "8 a\nb=c\n",
        "8 a\0b=c\n",
        "0 \n",
        "2 \n",
        "3 \n",
        "18446744073709551622 a=b\n",
        "99999999999999999999999 a=b\n",
        "6 a=b\r",
    ] {
        assert_eq!(refused(Archive::new().pax(records).file("f", "")), Rule::PaxRecord, "{records:?}");
    }
}

/// `pax-duplicate`
#[test]
fn a_pax_header_has_each_key_once() {
    for (one, other) in [("path", "path"), ("size", "size"), ("mtime", "mtime"), ("VENDOR.x", "VENDOR.x")] {
        let records = [pax_record(one, "1"), pax_record("between", "2"), pax_record(other, "1")].concat();
        assert_eq!(refused(Archive::new().pax(&records).file("f", "")), Rule::PaxDuplicate);
        let global =
            Archive::new().entry(Header::new("g", b'g'), [pax_record("k", "1"), pax_record("k", "1")].concat());
        assert_eq!(refused(global), Rule::PaxDuplicate);
    }
}

/// `pax-path`
#[test]
fn a_pax_path_is_text() {
    for path in [&b""[..], b"a\0b", b"a\xff", b"\0"] {
        assert_eq!(refused(Archive::new().pax(pax_record("path", path)).file("f", "")), Rule::PaxPath, "{path:?}");
    }
}

/// `pax-size`
#[test]
fn a_pax_size_is_digits() {
    for size in [
        "",
        "-1",
        "+1",
        "0x1",
        "1 ",
        "1.0",
        "1e3",
        "9223372036854775808",
        "4611686018427387904",
        "99999999999999999999",
    ] {
        assert_eq!(refused(Archive::new().pax(pax_record("size", size)).file("f", "")), Rule::PaxSize, "{size:?}");
    }
}

/// `pax-charset`
#[test]
fn pax_headers_are_utf_8() {
    for charset in ["BINARY", "", "ISO-IR 8859 1 1998"] {
        assert_eq!(refused(Archive::new().pax(pax_record("hdrcharset", charset)).file("f", "")), Rule::PaxCharset);
        let global = Archive::new().entry(Header::new("g", b'g'), pax_record("hdrcharset", charset));
        assert_eq!(refused(global), Rule::PaxCharset);
    }
}

/// `pax-global`
#[test]
fn a_global_header_names_nothing() {
    let global = |records: Vec<u8>| Archive::new().entry(Header::new("pax_global_header", b'g'), records).file("f", "");
    // git writes the commit.
    assert_eq!(paths(global(pax_record("comment", "5b9126eba74508eff9f3ff6ee5c102cd1ab5fb6e"))), ["f"]);
    assert_eq!(paths(global(pax_record("mtime", "1"))), ["f"]);
    for key in ["path", "linkpath", "size", "GNU.sparse.major", "GNU.x"] {
        assert_eq!(refused(global(pax_record(key, "1"))), Rule::PaxGlobal, "{key}");
    }
    // A global header may stand anywhere but between an entry and its extension headers.
    assert_eq!(paths(Archive::new().file("f", "").entry(Header::new("g", b'g'), "")), ["f"]);
}

#[test]
fn gnu_long_names_name_an_entry() {
    let long = |flag: u8, name: &[u8]| Archive::new().entry(Header::new("././@LongLink", flag).gnu(), name);
    for name in [&b"long/name"[..], b"long/name\0", b"long/name\0\0\0\0\0"] {
        assert_eq!(paths(long(b'L', name).block(file("short").gnu())), ["long", "long/name"]);
    }
    let name = "n".repeat(200);
    assert_eq!(paths(long(b'L', name.as_bytes()).block(file("short").gnu())), [name]);
    // The target belongs to a link, which is left out anyway.
    assert!(paths(long(b'K', b"target\0").entry(Header::new("a", b'2'), "")).is_empty());
    let both = long(b'K', b"target\0").entry(Header::new("././@LongLink", b'L').gnu(), "name\0");
    assert!(paths(both.block(Header::new("short", b'1').gnu())).is_empty());
}

/// `link-target`: some readers make a link of any entry to which an extension header gives a target.
#[test]
fn only_a_link_is_given_a_target() {
    let long = || Archive::new().entry(Header::new("././@LongLink", b'K').gnu(), "target\0");
    let pax = || Archive::new().pax(pax_record("linkpath", "target"));
    for given in [long(), pax()] {
        for flag in [b'1', b'2'] {
            assert!(paths(given.clone().entry(Header::new("a", flag), "")).is_empty());
        }
        for entry in [file("a"), file("a").gnu(), file("a/").v7(), Header::new("a", b'5')] {
            assert_eq!(refused(given.clone().block(entry)), Rule::LinkTarget);
        }
    }
    // A long name between the two changes nothing, and neither does the extension header of another entry.
    let named = long().entry(Header::new("././@LongLink", b'L').gnu(), "name\0").block(file("short").gnu());
    assert_eq!(refused(named), Rule::LinkTarget);
    assert_eq!(paths(long().entry(Header::new("l", b'2'), "").file("a", "")), ["a"]);
}

/// `long-name`
#[test]
fn a_long_name_is_one_name() {
    for flag in [b'L', b'K'] {
        for name in [&b""[..], b"\0", b"\0\0name", b"name\0more", b"name\0\0\0x\0"] {
            let archive = Archive::new().entry(Header::new("././@LongLink", flag).gnu(), name).file("f", "");
            assert_eq!(refused(archive), Rule::LongName, "{name:?}");
        }
    }
}

/// `extension-repeated`
#[test]
fn an_entry_has_one_extension_header_of_a_kind() {
    for flag in [b'x', b'L', b'K'] {
        let header = || Header::new("extension", flag);
        let content = if flag == b'x' { pax_record("comment", "x") } else { b"name\0".to_vec() };
        let archive = Archive::new().entry(header(), &content).entry(header(), &content).file("f", "");
        assert_eq!(refused(archive), Rule::ExtensionRepeated, "{}", char::from(flag));
    }
}

/// `extension-conflict`
#[test]
fn a_pax_header_and_a_long_name_do_not_both_name_an_entry() {
    let long = || (Header::new("././@LongLink", b'L').gnu(), "long\0");
    let pax = || (Header::new("x", b'x'), pax_record("path", "pax"));
    let archive = Archive::new().entry(pax().0, pax().1).entry(long().0, long().1).file("f", "");
    assert_eq!(refused(archive), Rule::ExtensionConflict);
    let archive = Archive::new().entry(long().0, long().1).entry(pax().0, pax().1).file("f", "");
    assert_eq!(refused(archive), Rule::ExtensionConflict);
}

/// `extension-dangling`
#[test]
fn an_extension_header_has_its_entry() {
    for flag in [b'x', b'L', b'K'] {
        let content = if flag == b'x' { pax_record("comment", "x") } else { b"name\0".to_vec() };
        let archive = Archive::new().file("f", "").entry(Header::new("extension", flag), content);
        assert_eq!(refused(archive), Rule::ExtensionDangling, "{}", char::from(flag));
    }
}

/// `extension-dangling`: some readers would apply the extension header to the global header, not to the entry.
#[test]
fn no_global_header_stands_between_an_entry_and_what_is_said_of_it() {
    for flag in [b'x', b'L', b'K'] {
        let content = if flag == b'x' { pax_record("path", "x") } else { b"name\0".to_vec() };
        let archive = Archive::new().entry(Header::new("extension", flag), content);
        let archive = archive.entry(Header::new("g", b'g'), pax_record("comment", "x")).file("f", "");
        assert_eq!(refused(archive), Rule::ExtensionDangling, "{}", char::from(flag));
    }
}

/// `magic`
#[test]
fn v7_has_no_extension_headers() {
    for flag in [b'x', b'g', b'L', b'K'] {
        let archive =
            Archive::new().entry(Header::new("extension", flag).v7(), pax_record("comment", "x")).file("f", "");
        assert_eq!(refused(archive), Rule::Magic, "{}", char::from(flag));
    }
}

/// A refusal names the entry, by number and escaped.
#[test]
fn a_refusal_names_its_entry() {
    let entry = |archive: Archive| {
        let refusal = refusal(&archive.gz());
        refusal.entry().map(|entry| (entry.number(), entry.name().to_owned()))
    };
    let third = |name: &str| Some((3, name.to_owned()));
    let two = || Archive::new().directory("d").pax(pax_record("comment", "x")).file("d/f", "");
    assert_eq!(entry(two().file("a\n/../\u{202e}b", "")), third("a\\n/../\\u{202e}b"));
    assert_eq!(entry(two().pax(pax_record("path", "../a")).file("f", "")), third("../a"));
    assert_eq!(entry(two().pax("nonsense").file("f", "")), third("PaxHeaders.0/x"));
    assert_eq!(entry(two().block(file("f").field(257, "what now"))), third("f"));
    assert_eq!(entry(two().entry(Header::new("f", b'6'), "")), third("f"));
    let refusal = refusal(&two().file("..", "").gz());
    assert_eq!(
        refusal.to_string(),
        "entry 3 (`..`): the name holds the component `..` (rule name-parent: no component of a path is `..`)"
    );
}
