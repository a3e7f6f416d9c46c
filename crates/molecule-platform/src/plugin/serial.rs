//! The JSON form of a plugin's folder: its name, and its entries by path.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::tree::{Entry, PluginTree};
use crate::wire::Body;

#[derive(Serialize, Deserialize)]
struct Folder {
    name: String,
    entries: Vec<Item>,
}

#[derive(Serialize, Deserialize)]
struct Item {
    path: String,
    #[serde(flatten)]
    entry: Wire,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
enum Wire {
    Directory {
        mode: u32,
    },
    File {
        mode: u32,
        #[serde(flatten)]
        content: Body,
    },
    Link {
        target: String,
    },
}

impl Serialize for PluginTree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self.entries().map(|(path, entry)| {
            let entry = match entry {
                Entry::Directory { mode } => Wire::Directory { mode: *mode },
                Entry::File { mode, bytes } => Wire::File { mode: *mode, content: Body::write(bytes) },
                Entry::Link { target } => Wire::Link { target: target.clone() },
            };
            Item { path, entry }
        });
        Folder { name: self.name().to_owned(), entries: entries.collect() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PluginTree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let folder = Folder::deserialize(deserializer)?;
        let mut tree = PluginTree::named(folder.name).map_err(D::Error::custom)?;
        for item in folder.entries {
            let entry = match item.entry {
                Wire::Directory { mode } => Entry::Directory { mode: mode & 0o777 },
                Wire::File { mode, content } => Entry::File { mode: mode & 0o777, bytes: content.read::<D::Error>()? },
                Wire::Link { target } => Entry::Link { target },
            };
            tree.insert(&item.path, entry).map_err(D::Error::custom)?;
        }
        Ok(tree)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_comes_back_and_an_impossible_one_is_refused() {
        let tree = PluginTree::new("x").file("a/b", "text").executable("c", [0xff]).directory("d").link("e", "c");
        let text = serde_json::to_string(&tree.clone().mode("d", 0o700)).unwrap();
        assert_eq!(serde_json::from_str::<PluginTree>(&text).unwrap(), tree.mode("d", 0o700));
        for text in [
            r#"{"name": "..", "entries": []}"#,
            r#"{"name": "x", "entries": [{"path": "../a", "type": "file", "mode": 420, "body": ""}]}"#,
            r#"{"name": "x", "entries": [{"path": "a", "type": "pipe"}]}"#,
        ] {
            assert!(serde_json::from_str::<PluginTree>(text).is_err(), "{text}");
        }
    }
}
