//! `plugin.yaml` fails closed: a manifest that is not clearly valid is refused.

use std::time::{Duration, Instant};

use molecule_plugin::digest::ContentDigest;
use molecule_plugin::{PluginManifest, Rule, TreeDigest};
use molecule_proto::PluginName;

use crate::support::{Archive, unpack};

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn rule(text: impl AsRef<[u8]>) -> Rule {
    match PluginManifest::parse(text.as_ref()) {
        Ok(manifest) => panic!("{manifest:?} of {:?}", String::from_utf8_lossy(text.as_ref())),
        Err(refusal) => refusal.rule(),
    }
}

fn parsed(text: impl AsRef<[u8]>) -> PluginManifest {
    PluginManifest::parse(text.as_ref()).unwrap_or_else(|refusal| panic!("{refusal}"))
}

#[test]
fn a_manifest_says_name_version_and_digest() {
    let manifest = parsed(format!("# a comment\nname: kitchen\nversion: 1.10\nsha256: {HEX}\nskills: [a, b]\n"));
    assert_eq!(manifest.name.as_deref(), Some("kitchen"));
    assert_eq!(manifest.version.as_deref(), Some("1.10"));
    assert_eq!(manifest.sha256.map(|digest| digest.to_string()).as_deref(), Some(HEX));
    assert_eq!(parsed("description: none\n"), PluginManifest::default());
    assert_eq!(parsed("{}"), PluginManifest::default());
    assert_eq!(parsed("version:\n").version, None);
    assert_eq!(parsed("version: [1]\n").version, None);
    assert_eq!(parsed(format!("version: {}\n", "1".repeat(257))).version, None);
}

#[test]
fn a_digest_may_be_spelled_as_yaml_spells_text() {
    for text in [
        format!("sha256: {HEX}"),
        format!("sha256: '{HEX}'"),
        format!("sha256: \"{HEX}\""),
        format!("sha256: !!str {HEX}"),
        format!("sha256: ! {HEX}"),
        format!("sha256: !<tag:yaml.org,2002:str> {HEX}"),
        format!("sha256: >-\n  {HEX}\n"),
        format!("other: &digest {HEX}\nsha256: *digest\n"),
        format!("&key sha256: {HEX}\n"),
        format!("{{\"sha256\": \"{HEX}\"}}"),
        format!("\u{feff}sha256: {HEX}\r\n"),
        format!("%YAML 1.2\n---\nsha256: {HEX}\n...\n"),
    ] {
        assert_eq!(parsed(&text).sha256.map(|digest| digest.to_string()).as_deref(), Some(HEX), "{text:?}");
    }
    for digits in ["1".repeat(64), format!("12e{}", "3".repeat(61)), format!("0b{}", "01".repeat(31))] {
        assert_eq!(parsed(format!("sha256: '{digits}'")).sha256.unwrap().to_string(), digits);
        assert_eq!(parsed(format!("sha256: !!str {digits}")).sha256.unwrap().to_string(), digits);
    }
}

/// `manifest-digest`
#[test]
fn a_digest_that_is_declared_is_text_of_64_lower_case_hexadecimal_digits() {
    for value in [
        "",
        "~",
        "null",
        "NULL",
        "false",
        "true",
        "0",
        "''",
        "[]",
        "{}",
        "[[a]]",
        "{a: b}",
        "[{a: b}]",
        "abc",
        &HEX[1..],
        &HEX.to_uppercase(),
        &format!("{HEX}0"),
        &format!("[{HEX}]"),
        &format!("0x{}", &HEX[2..]),
        &format!("'{HEX} '"),
        &format!("!!binary {HEX}"),
        &format!("!!int {HEX}"),
        &format!("!other {HEX}"),
        &format!("!<tag:example.com,2002:str> {HEX}"),
        &format!("|\n  {HEX}\n"),
        "\u{661}\u{661}",
    ] {
        assert_eq!(rule(format!("name: a\nsha256: {value}\n")), Rule::ManifestDigest, "{value:?}");
    }
    for key in ["SHA256", "Sha256", "'sha256 '", "sha256:"] {
        let text = format!("{key}: {HEX}\n");
        match key {
            // These are other keys.
            "'sha256 '" | "sha256:" => assert_eq!(parsed(text).sha256, None),
            _ => assert_eq!(rule(text), Rule::ManifestDigest),
        }
    }
}

/// `manifest-digest`
#[test]
fn an_unquoted_digest_that_is_a_number_says_what_to_do() {
    for digits in ["1".repeat(64), format!("12e{}", "3".repeat(61)), format!("0b{}", "01".repeat(31)), "0".repeat(64)] {
        let refusal = PluginManifest::parse(format!("sha256: {digits}").as_bytes()).unwrap_err();
        assert_eq!(refusal.rule(), Rule::ManifestDigest);
        assert!(refusal.detail().contains("quote it"), "{refusal}");
        let alias = format!("a: &a {digits}\nsha256: *a\n");
        assert_eq!(rule(alias), Rule::ManifestDigest);
    }
}

/// `manifest-utf8`
#[test]
fn a_manifest_is_utf_8() {
    assert_eq!(rule(b"name: \xff\n"), Rule::ManifestUtf8);
    let utf_16: Vec<u8> = "\u{feff}name: a\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(rule(utf_16), Rule::ManifestUtf8);
}

/// `manifest-yaml`
#[test]
fn a_manifest_is_one_valid_document() {
    for text in [
        "a: b: c",
        "a: [",
        "a: 'b",
        "a: *nowhere",
        "@a: b",
        "a: b\n- c\n",
        "a: !undeclared!b c",
        "}",
        "a: \"\\q\"",
        "name: a\n---\nname: b\n",
        "name: a\n...\n---\nb: c\n",
        "name: a\0sha256: b\n",
        "name: \u{1}\n",
        "name: a\u{fffe}\n",
    ] {
        assert_eq!(rule(text), Rule::ManifestYaml, "{text:?}");
    }
}

/// `manifest-mapping`
#[test]
fn a_manifest_is_a_mapping_of_plain_keys() {
    for text in [
        "",
        "# nothing\n",
        "---\n",
        "~",
        "text",
        "- a\n- b\n",
        "[a, b]",
        "!!set {a, b}",
        "!!omap {a: b}",
        "!python/object {a: b}",
        "? [a]\n: b\n",
        "? {a: b}\n: c\n",
        "!!binary c2hhMjU2: a\n",
        "!other sha256: a\n",
        "base: &base {sha256: abc}\n<<: *base\n",
        "a: &a [b]\n*a : c\n",
    ] {
        assert_eq!(rule(text), Rule::ManifestMapping, "{text:?}");
    }
    assert_eq!(parsed("'<<': a\nname: b\n").name.as_deref(), Some("b"));
    assert_eq!(parsed("!!map {name: b}").name.as_deref(), Some("b"));
}

/// `manifest-duplicate`
#[test]
fn no_mapping_has_a_key_twice() {
    for text in [
        format!("sha256: {HEX}\nname: a\nsha256: {}\n", "0".repeat(64)),
        "name: a\n\"name\": a\n".to_owned(),
        "name: a\n!!str name: a\n".to_owned(),
        "name: a\n\"n\\u0061me\": a\n".to_owned(),
        "k: &k name\nname: a\n*k : b\n".to_owned(),
        "a: {b: 1, b: 2}\n".to_owned(),
        "a:\n  - b: 1\n    b: 1\n".to_owned(),
        "? a\n? a\n".to_owned(),
    ] {
        assert_eq!(rule(&text), Rule::ManifestDuplicate, "{text:?}");
    }
    assert_eq!(parsed("a: {name: x}\nb: {name: y}\nname: z\n").name.as_deref(), Some("z"));
}

/// `manifest-depth`
#[test]
fn a_manifest_is_nested_at_most_64_deep() {
    let flow = |depth: usize| format!("a: {}{}\n", "[".repeat(depth), "]".repeat(depth));
    parsed(flow(63));
    assert_eq!(rule(flow(64)), Rule::ManifestDepth);
    assert_eq!(rule(flow(250)), Rule::ManifestDepth);
    let block = |depth: usize| format!("a:\n{}x\n", "- ".repeat(depth));
    parsed(block(63));
    assert_eq!(rule(block(64)), Rule::ManifestDepth);
    assert_eq!(rule(block(100_000)), Rule::ManifestDepth);
    // The same depth by aliases.
    let alias = |depth: usize| {
        format!("a: &a {}{}\nb: {}*a{}\n", "[".repeat(32), "]".repeat(32), "[".repeat(depth), "]".repeat(depth))
    };
    parsed(alias(31));
    assert_eq!(rule(alias(32)), Rule::ManifestDepth);
}

/// `manifest-aliases`
#[test]
fn aliases_stand_for_a_bounded_number_of_nodes() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let last = level - 1;
        laughs += &format!(
            "a{level}: &a{level} [*a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}]\n"
        );
    }
    assert_eq!(rule(laughs), Rule::ManifestAliases);
    assert_eq!(rule("a: &a [*a]\n"), Rule::ManifestAliases);
    assert_eq!(rule("a: &a {b: *a}\n"), Rule::ManifestAliases);
    let plain = |count: usize| format!("a: &a x\nb: [{}]\n", "*a, ".repeat(count));
    parsed(plain(10_000));
    assert_eq!(rule(plain(10_001)), Rule::ManifestAliases);
}

/// `manifest-name`
#[test]
fn a_name_is_a_plain_value() {
    for value in ["", "~", "null", "[a]", "{a: b}", "!!binary YQ==", "!other a"] {
        assert_eq!(rule(format!("name: {value}\n")), Rule::ManifestName, "{value:?}");
    }
    assert_eq!(parsed("name: 123\n").name.as_deref(), Some("123"));
    assert_eq!(parsed("name: 'null'\n").name.as_deref(), Some("null"));
}

/// A quarter of a megabyte of the most expensive input for a parser is judged at once, also without optimisation;
/// quadratic time would be minutes.
#[test]
#[allow(clippy::disallowed_methods)] // Nothing else tells how long it takes.
fn hostile_manifests_take_no_time() {
    let much = |unit: &str| unit.repeat((1 << 18) / unit.len());
    let numbered = |line: fn(usize) -> String| (0..10_000).map(line).collect::<String>();
    for (what, text) in [
        ("sequences in sequences", much("- ")),
        ("brackets", much("[")),
        ("braces", much("{")),
        ("braces with keys", much("{a: ")),
        ("mappings in mappings", (0..1_400).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect()),
        ("explicit keys", much("? ")),
        ("anchors", numbered(|n| format!("k{n}: &a{n} x\n"))),
        ("aliases", format!("a: &a x\nb:\n{}", much("- *a\n"))),
        ("keys", numbered(|n| format!("key-{n}: x\n"))),
        ("flow keys", format!("{{{}}}", numbered(|n| format!("key-{n}: x, ")))),
        ("one long plain scalar", format!("a: {}", much("x"))),
        ("one long quoted scalar", format!("a: \"{}\"", much("\\x41"))),
        ("lines of a scalar", format!("a: x\n{}", much(" x\n"))),
        ("lines of a quoted scalar", format!("a: '{}'", much("x\n "))),
        ("empty lines of a block", format!("a: |\n{}", much("\n"))),
        ("a block", format!("a: |\n{}", much(" x\n"))),
        ("comments", much("#\n")),
        ("one comment", much("#")),
        ("spaces", much(" ")),
        ("tags", much("!a ")),
        ("one tag", format!("a: !{} b", much("x"))),
        ("directives", numbered(|n| format!("%TAG !a{n}! tag:a{n}:\n"))),
        ("documents", much("---\n")),
        ("colons", much(":")),
        ("a long anchor", format!("a: &{} b", much("x"))),
        (
            "texts by aliases",
            format!("a: &a {}\n{}", "x".repeat(125_000), (0..9_000).map(|n| format!("k{n}: *a\n")).collect::<String>()),
        ),
        ("keys by aliases", format!("a: &a {}\nb:\n{}", "x".repeat(125_000), "- {*a : 1}\n".repeat(9_000))),
        ("anchors of one name", numbered(|n| format!("k{n}: &a x\n"))),
    ] {
        let started = Instant::now();
        let verdict = PluginManifest::parse(text.as_bytes()).map_err(|refusal| refusal.rule());
        let took = started.elapsed();
        assert!(took < Duration::from_secs(8), "{what}: {verdict:?} after {took:?}");
    }
}

fn name(text: &str) -> PluginName {
    text.parse().unwrap()
}

fn archive(manifest: &str) -> Vec<u8> {
    Archive::new().file("plugin.yaml", manifest).file("rules.md", "be kind\n").gz()
}

/// Section 8: `manifest-missing`, `manifest-name`, `content-mismatch`, `tree-mismatch`, in that order.
#[test]
fn a_plugin_is_verified_before_it_is_put_in_its_place() {
    let verdict = |archive: &[u8], pin: Option<TreeDigest>| {
        let (unpacked, _) = unpack(archive).unwrap();
        unpacked.verify(&name("kitchen"), pin.as_ref()).map_err(|refusal| refusal.rule())
    };
    let (unpacked, _) = unpack(&archive("name: kitchen\n")).unwrap();
    let content = ContentDigest::of_tree(&unpacked.tree);
    let tree = unpacked.tree.digest();
    let wrong = TreeDigest([7; 32]);

    let plain = verdict(&archive("name: kitchen\n"), Some(tree)).unwrap();
    assert!(!plain.content.is_declared() && plain.content.digest() == content && plain.tree == tree);
    let declared = verdict(&archive(&format!("name: kitchen\nsha256: {content}\n")), None).unwrap();
    assert!(declared.content.is_declared() && declared.content.digest() == content);
    assert!(verdict(&archive("description: nameless\n"), None).is_ok());

    assert_eq!(verdict(&archive("name: kitchen\n"), Some(wrong)), Err(Rule::TreeMismatch));
    let mismatch = format!("name: kitchen\nsha256: {HEX}\n");
    assert_eq!(verdict(&archive(&mismatch), Some(wrong)), Err(Rule::ContentMismatch));
    assert_eq!(verdict(&archive(&format!("name: other\nsha256: {HEX}\n")), Some(wrong)), Err(Rule::ManifestName));
    assert_eq!(verdict(&archive("name: Kitchen\n"), None), Err(Rule::ManifestName));
    assert_eq!(verdict(&archive("name: [\n"), Some(tree)), Err(Rule::ManifestYaml));
    for missing in [
        Archive::new().file("rules.md", "").gz(),
        Archive::new().file("plugin.yml", "name: kitchen\n").gz(),
        Archive::new().file("sub/plugin.yaml", "name: kitchen\n").gz(),
        Archive::new().directory("plugin.yaml").gz(),
        Archive::new().gz(),
    ] {
        assert_eq!(verdict(&missing, None), Err(Rule::ManifestMissing));
    }
}

/// H6: a declared digest proves nothing; the digest that the caller pins covers `plugin.yaml` too.
#[test]
fn a_pin_covers_what_the_declared_digest_leaves_out() {
    let (unpacked, _) = unpack(&archive("name: kitchen\n")).unwrap();
    let tampered =
        Archive::new().file("plugin.yaml", "name: kitchen\nhooks: evil\n").file("rules.md", "be kind\n").gz();
    let (tampered, _) = unpack(&tampered).unwrap();
    assert_eq!(ContentDigest::of_tree(&tampered.tree), ContentDigest::of_tree(&unpacked.tree));
    let verdict = tampered.verify(&name("kitchen"), Some(&unpacked.tree.digest()));
    assert_eq!(verdict.unwrap_err().rule(), Rule::TreeMismatch);
}
