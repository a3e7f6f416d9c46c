//! A sink that keeps everything in a map, and checks the order of its calls.

use std::collections::BTreeMap;
use std::io;

use molecule_plugin::Line;
use molecule_plugin::unpack::{EntryPath, Sink, Unpacked};
use sha2::{Digest as _, Sha256};

/// The files and directories that a sink was called to make.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MapSink {
    pub nodes: BTreeMap<String, Node>,
    open: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Node {
    Directory,
    File { content: Vec<u8>, executable: bool },
}

impl MapSink {
    /// The paths of all files and directories.
    pub fn paths(&self) -> Vec<&str> {
        self.nodes.keys().map(String::as_str).collect()
    }

    /// The content of a file.
    pub fn content(&self, path: &str) -> &[u8] {
        match &self.nodes[path] {
            Node::File { content, .. } => content,
            Node::Directory => panic!("{path} is a directory"),
        }
    }

    /// Checks that the unpacker's summary agrees with its calls of the sink.
    pub fn check(&self, unpacked: &Unpacked) {
        assert_eq!(self.open, None, "a file was left open");
        let (mut files, mut bytes) = (0, 0);
        for (path, node) in &self.nodes {
            if let Node::File { content, executable } = node {
                files += 1;
                bytes += content.len() as u64;
                let line = Line { sha256: Sha256::digest(content).into(), executable: *executable };
                assert_eq!(unpacked.tree.get(path), Some(line), "{path}");
            }
        }
        assert_eq!((unpacked.files, unpacked.bytes), (files, bytes));
        assert_eq!(unpacked.tree.len() as u64, files);
        assert_eq!(unpacked.directories, self.nodes.len() as u64 - files);
        let is_file = |path| matches!(self.nodes.get(path), Some(Node::File { .. }));
        assert_eq!(unpacked.has_setup, is_file("setup.sh"));
        assert_eq!(unpacked.manifest.as_deref(), is_file("plugin.yaml").then(|| self.content("plugin.yaml")));
    }

    fn add(&mut self, path: &EntryPath, node: Node) {
        assert_eq!(self.open, None, "{path} begins inside of a file");
        if let Some(parent) = path.parent() {
            assert_eq!(self.nodes.get(parent), Some(&Node::Directory), "{path} comes before its directory");
        }
        assert_eq!(path.components().collect::<Vec<_>>().join("/"), path.as_str());
        for component in path.components() {
            assert!(!["", ".", ".."].contains(&component) && component.len() <= 255, "{path} is no plain path");
        }
        assert_eq!(path.components().next_back(), Some(path.file_name()));
        assert_eq!(self.nodes.insert(path.to_string(), node), None, "{path} is made twice");
    }
}

impl Sink for MapSink {
    fn directory(&mut self, path: &EntryPath) -> io::Result<()> {
        self.add(path, Node::Directory);
        Ok(())
    }

    fn begin(&mut self, path: &EntryPath, executable: bool) -> io::Result<()> {
        self.add(path, Node::File { content: Vec::new(), executable });
        self.open = Some(path.to_string());
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        assert!((1..=128 << 10).contains(&piece.len()), "a piece of {} bytes", piece.len());
        let open = self.open.as_ref().expect("a piece belongs to a file");
        match self.nodes.get_mut(open) {
            Some(Node::File { content, .. }) => content.extend_from_slice(piece),
            other => panic!("{open} is {other:?}"),
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        assert!(self.open.take().is_some(), "no file was begun");
        Ok(())
    }
}
