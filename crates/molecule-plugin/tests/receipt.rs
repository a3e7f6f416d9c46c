//! A receipt is written in its fixed form, and read only if it belongs to the plugin and is consistent.

#![allow(clippy::unwrap_used)]

use std::io;

use flate2::Compression;
use flate2::write::GzEncoder;
use molecule_plugin::unpack::{EntryPath, Sink, UnpackPolicy, Unpacked, Unpacker};
use molecule_plugin::{InstallLimits, MAX_RECEIPT_BYTES, Receipt, Rule};
use molecule_proto::{PluginName, UnixTime};
use serde_json::{Value, json};

/// The SHA-256 of `plugin.yaml`, and of no bytes.
const MANIFEST: &str = "478591b4961c8e4fe677ed5e7e5f669614928f54771e7b8f9a4849319137c90c";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct Nowhere;

impl Sink for Nowhere {
    fn directory(&mut self, _: &EntryPath) -> io::Result<()> {
        Ok(())
    }

    fn begin(&mut self, _: &EntryPath, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn name(text: &str) -> PluginName {
    text.parse().unwrap()
}

/// Unpacks an archive of a `plugin.yaml` and empty files with these names.
fn unpacked<'a>(names: impl IntoIterator<Item = &'a str>) -> Unpacked {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, content) in
        std::iter::once(("plugin.yaml", "name: mine\nversion: 1.2.3\n")).chain(names.into_iter().map(|name| (name, "")))
    {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    let bytes = archive.into_inner().unwrap().finish().unwrap();
    let limits = InstallLimits::default().max_names_bytes(64 << 20);
    let mut unpacker = Unpacker::new(Nowhere, &UnpackPolicy::default().limits(limits));
    unpacker.push(&bytes).unwrap();
    unpacker.finish().map_err(|(error, _)| error).unwrap().0
}

fn receipt(unpacked: &Unpacked) -> Receipt {
    let verified = unpacked.verify(&name("mine"), None).unwrap();
    let source = Some("local://mine".to_owned());
    Receipt::of(&name("mine"), source, unpacked, &verified, UnixTime::from_secs(1_700_000_000))
}

#[test]
fn a_receipt_says_what_was_installed() {
    let unpacked = unpacked(["skill.md"]);
    let verified = unpacked.verify(&name("mine"), None).unwrap();
    let bytes = receipt(&unpacked).write().unwrap();
    assert!(bytes.ends_with(b"}\n"));
    let expected = json!({
        "name": "mine", "version": "1.2.3", "source": "local://mine", "tree_sha256": verified.tree.to_string(),
        "manifest_sha256": verified.content.digest().to_string(), "declared": false, "installed_at": 1_700_000_000,
        "files": 2, "bytes": 26, "skipped_links": 0,
        "tree": [format!("{MANIFEST} - plugin.yaml"), format!("{EMPTY} - skill.md")],
    });
    assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), expected);

    let (read, tree) = Receipt::read(&name("mine"), &bytes).unwrap();
    assert_eq!((read.version(), read.source()), (Some("1.2.3"), Some("local://mine")));
    assert_eq!((read.installed_at(), tree), (UnixTime::from_secs(1_700_000_000), unpacked.tree));
}

/// A receipt of an earlier release or another program may lack keys.
#[test]
fn a_receipt_without_what_is_not_needed_is_read() {
    let unpacked = unpacked([]);
    let mut value: Value = serde_json::from_slice(&receipt(&unpacked).write().unwrap()).unwrap();
    for key in ["version", "source", "skipped_links"] {
        value.as_object_mut().unwrap().remove(key);
    }
    let (read, tree) = Receipt::read(&name("mine"), value.to_string().as_bytes()).unwrap();
    assert_eq!((read.version(), read.source(), tree), (None, None, unpacked.tree));
    // Writing leaves out unknown values, too.
    value["skipped_links"] = json!(0);
    assert_eq!(serde_json::from_slice::<Value>(&read.write().unwrap()).unwrap(), value);
}

#[test]
fn a_receipt_of_another_plugin_or_one_that_contradicts_itself_is_none() {
    let good = receipt(&unpacked(["skill.md"])).write().unwrap();
    let value: Value = serde_json::from_slice(&good).unwrap();
    assert!(Receipt::read(&name("mine"), &good).is_some());
    assert!(Receipt::read(&name("other"), &good).is_none(), "another plugin's");
    for (key, wrong) in [
        ("tree_sha256", json!("0".repeat(64))),
        ("tree_sha256", json!("?")),
        ("tree", json!([])),
        ("tree", json!([format!("{EMPTY} - ../skill\n.md")])),
        ("files", json!("two")),
    ] {
        let mut value = value.clone();
        value[key] = wrong;
        assert!(Receipt::read(&name("mine"), value.to_string().as_bytes()).is_none(), "{key}: {}", value[key]);
    }
    for bytes in [&b""[..], b"null", b"\xff", &good[..good.len() / 2]] {
        assert!(Receipt::read(&name("mine"), bytes).is_none());
    }
}

/// Each byte of these names needs two bytes in a receipt.
#[test]
fn a_receipt_that_nobody_would_read_is_not_written() {
    let long = vec!["\"".repeat(250); 4].join("/");
    let names: Vec<String> = (0..8_200).map(|number| format!("{number}/{long}")).collect();
    let refusal = receipt(&unpacked(names.iter().map(String::as_str))).write().unwrap_err();
    assert_eq!(refusal.rule(), Rule::ReceiptBytes);
    assert!(refusal.to_string().contains(&MAX_RECEIPT_BYTES.to_string()), "{refusal}");
}
