//! Random trees, and archives of them as other programs write them.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tar::{Builder, EntryType, Header};

use super::{Node, gzip};

/// How an archive is written.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    /// A name that does not fit uses the prefix; longer names use GNU's extension.
    Ustar,
    /// Long names are in an extension header before the entry.
    Gnu,
    /// Every name is in a pax header, with other records that change nothing.
    Pax,
}

/// A planned entry. It is skipped if it conflicts with those before it.
#[derive(Debug, Clone)]
pub struct Thought {
    path: Vec<String>,
    content: Option<Vec<u8>>,
    executable: bool,
    format: Format,
}

impl Thought {
    /// Whether it is a file of many blocks.
    pub fn is_large(&self) -> bool {
        self.content.as_ref().is_some_and(|content| content.len() > 5_000)
    }
}

fn format() -> impl Strategy<Value = Format> {
    select(&[Format::Ustar, Format::Gnu, Format::Pax][..])
}

fn component() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&["a", "b", "c", "dir", "plugin.yaml", "setup.sh", "README.md"][..]).prop_map(str::to_owned),
        1 => select(&["..a", "a..b", ".hidden", "a b", "zażółć 🦀", "é", "e\u{301}", "-x", "a-b", "a0", "con.", "A"][..])
            .prop_map(|name| name.trim_end_matches('.').replace("con", "icon")),
        1 => "[a-zA-Z0-9_é-]{1,40}".prop_map(|name| format!("n{name}n")),
        1 => (60_usize..200).prop_map(|length| "l".repeat(length)),
    ]
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => vec(any::<u8>(), 0..40),
        1 => select(&[511_usize, 512, 513, 1_024, 4_096, 131_071, 131_072, 131_073, 300_000][..]).prop_map(|length| vec![b'x'; length]),
        1 => vec(any::<u8>(), 500..3_000),
    ]
}

fn thought() -> impl Strategy<Value = Thought> {
    let content = prop_oneof![4 => content().prop_map(Some), 1 => Just(None)];
    (vec(component(), 1..5), content, any::<bool>(), format()).prop_map(|(path, content, executable, format)| Thought {
        path,
        content,
        executable,
        format,
    })
}

/// The planned entries of a tree.
pub fn thoughts() -> impl Strategy<Value = Vec<Thought>> {
    vec(thought(), 0..25)
}

/// The tree of a plan, and its tar.
pub fn write(thoughts: &[Thought]) -> (BTreeMap<String, Node>, Vec<u8>) {
    let mut nodes = BTreeMap::new();
    let mut builder = Builder::new(Vec::new());
    for thought in thoughts {
        let path = thought.path.join("/");
        let folded = path.to_lowercase();
        let is_root_name = |name: &str| folded == name && path != name;
        let parents: Vec<String> = (1..thought.path.len()).map(|end| thought.path[..end].join("/")).collect();
        let blocked = parents.iter().any(|parent| matches!(nodes.get(parent), Some(Node::File { .. })));
        let there = nodes.get(&path).is_some_and(|node| thought.content.is_some() || *node != Node::Directory);
        if blocked || there || is_root_name("plugin.yaml") || is_root_name("setup.sh") {
            continue;
        }
        for parent in parents {
            nodes.insert(parent, Node::Directory);
        }
        append(&mut builder, thought, &path);
        let node = match &thought.content {
            Some(content) => Node::File { content: content.clone(), executable: thought.executable },
            None => Node::Directory,
        };
        nodes.insert(path, node);
    }
    (nodes, builder.into_inner().unwrap())
}

fn append(builder: &mut Builder<Vec<u8>>, thought: &Thought, path: &str) {
    let mut header = match thought.format {
        Format::Ustar if is_cut_behind_two_dots(path) => Header::new_gnu(),
        Format::Ustar | Format::Pax => Header::new_ustar(),
        Format::Gnu => Header::new_gnu(),
    };
    let content = thought.content.as_deref().unwrap_or_default();
    header.set_entry_type(if thought.content.is_some() { EntryType::Regular } else { EntryType::Directory });
    header.set_mode(if thought.executable { 0o755 } else { 0o644 });
    header.set_mtime(1_795_383_587);
    header.set_size(content.len() as u64);
    match thought.format {
        Format::Ustar | Format::Gnu => builder.append_data(&mut header, path, content).unwrap(),
        Format::Pax => {
            let size = content.len().to_string();
            let records =
                [("path", path.as_bytes()), ("mtime", b"1.25"), ("size", size.as_bytes()), ("SCHILY.x", b"\0=")];
            builder.append_pax_extensions(records).unwrap();
            header.set_path("elsewhere").unwrap();
            header.set_cksum();
            builder.append(&header, content).unwrap();
        }
    }
}

/// Whether the part of a long name that the `tar` crate puts into the header ends in `/..`. In a header of ustar the
/// crate refuses that as a path outside, for any rest of the name.
fn is_cut_behind_two_dots(path: &str) -> bool {
    let end = (0..=100.min(path.len())).rev().find(|end| path.is_char_boundary(*end)).unwrap_or_default();
    end < path.len() && path[..end].ends_with("/..")
}

/// Long names are written also if the header's part ends after the dots of `..a`, which the `tar` crate refuses for
/// ustar.
#[test]
fn a_long_name_is_written_wherever_it_is_cut() {
    for format in [Format::Ustar, Format::Gnu, Format::Pax] {
        for length in 94..=99 {
            let path = vec!["l".repeat(length), "..a".to_owned(), "..a".to_owned(), "n".repeat(120)];
            let thought = Thought { path, content: Some(b"x".to_vec()), executable: false, format };
            let (nodes, tar) = write(&[thought]);
            let (_, sink) = super::unpack(&gzip(&tar)).unwrap_or_else(|refusal| panic!("{refusal}"));
            assert_eq!(sink.nodes, nodes, "{format:?} {length}");
        }
    }
}

/// The tar in gzip members that begin at these places.
pub fn members(tar: &[u8], cuts: &[prop::sample::Index]) -> Vec<u8> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(tar.len() + 1)).chain([0, tar.len()]).collect();
    places.sort_unstable();
    places.windows(2).flat_map(|pair| gzip(&tar[pair[0]..pair[1]])).collect()
}

/// The bytes in pieces that end at these places.
pub fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}
