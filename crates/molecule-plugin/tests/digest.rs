//! The hash of a plugin's content is equal to the Python SDK's, byte for byte.

#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use molecule_plugin::digest::ContentDigest;
use molecule_plugin::{Line, Tree};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const VECTORS: &str = include_str!("../../../fixtures/vectors/sha256-vectors.json");

/// The files of a vector; a link to a regular file counts as a file with the content of its target.
fn files(vector: &Value) -> Vec<(Vec<u8>, [u8; 32])> {
    let decode = |text: &Value| STANDARD.decode(text.as_str().unwrap()).unwrap();
    let mut files: Vec<(Vec<u8>, [u8; 32])> = Vec::new();
    for file in vector["files"].as_array().unwrap() {
        let path = file["path"].as_str().map_or_else(|| decode(&file["path_base64"]), |path| path.as_bytes().to_vec());
        let content = match &file["generator"] {
            Value::Null => decode(&file["content_base64"]),
            generator => {
                assert_eq!(generator["kind"], "repeat");
                let length = usize::try_from(generator["length"].as_u64().unwrap()).unwrap();
                vec![u8::try_from(generator["byte"].as_u64().unwrap()).unwrap(); length]
            }
        };
        files.push((path, Sha256::digest(content).into()));
    }
    for link in vector["symlinks"].as_array().into_iter().flatten() {
        let target = link["target"].as_str().unwrap().as_bytes();
        if let Some((_, sha256)) = files.iter().find(|(path, _)| path == target) {
            files.push((link["path"].as_str().unwrap().as_bytes().to_vec(), *sha256));
        }
    }
    files
}

#[test]
fn every_vector_holds_in_any_order() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    assert_eq!(vectors.len(), 24);
    for vector in &vectors {
        let name = vector["name"].as_str().unwrap();
        let mut files = files(vector);
        assert_eq!(ContentDigest::of(files.clone()).to_string(), vector["sha256"].as_str().unwrap(), "{name}");
        files.reverse();
        assert_eq!(ContentDigest::of(files).to_string(), vector["sha256"].as_str().unwrap(), "{name}, reversed");
    }
}

#[test]
fn a_tree_has_the_hash_of_its_files() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    for vector in &vectors {
        let files = files(vector).into_iter().map(|(path, sha256)| Some((String::from_utf8(path).ok()?, sha256)));
        let Some(files) = files.collect::<Option<Vec<_>>>() else { continue };
        let mut tree = Tree::new();
        for (path, sha256) in files {
            tree.insert(path, Line { sha256, executable: true });
        }
        assert_eq!(ContentDigest::of_tree(&tree).to_string(), vector["sha256"].as_str().unwrap(), "{}", vector["name"]);
    }
}
