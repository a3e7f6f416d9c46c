//! A plugin as a value: the entries of its folder, without a disk.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use molecule_proto::UnixTime;

/// A plugin: the entries of its folder, by path.
///
/// ```
/// use molecule_platform::PluginTree;
/// let plugin = PluginTree::new("molecule-dev")
///     .file("plugin.yaml", "name: molecule-dev\nversion: 1.0.0\ndescription: Says hello.\n")
///     .file("skills/hello/SKILL.md", "Say hello.\n")
///     .executable("setup.sh", "#!/bin/bash\necho ready\n");
/// let paths: Vec<String> = plugin.entries().map(|(path, _)| path).collect();
/// assert_eq!(paths, ["plugin.yaml", "setup.sh", "skills", "skills/hello", "skills/hello/SKILL.md"]);
/// ```
///
/// Paths are relative to the plugin's folder and separated by `/`. Missing parent directories are created with mode
/// 0755. An entry replaces an earlier one at the same path.
///
/// # Panics
/// Every method with a path panics if no folder could hold the path: it is empty or absolute, has `..`, `.`, U+0000 or
/// an empty component, or is below an entry that is not a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginTree {
    name: String,
    /// The entries, sorted by the components of their paths, which is the order of a walk of the folder.
    entries: BTreeMap<Vec<String>, Entry>,
}

/// An entry of a plugin's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// A directory.
    Directory {
        /// Its permission bits.
        mode: u32,
    },
    /// A file.
    File {
        /// Its permission bits.
        mode: u32,
        /// Its content.
        bytes: Bytes,
    },
    /// A symbolic link. The current server omits it. April's sends the file that it points to. If it points to anything
    /// but a file of the plugin, April's server cannot fetch the plugin.
    Link {
        /// Its target, relative to its own directory.
        target: String,
    },
}

impl PluginTree {
    /// Creates an empty folder of this name. A server lists a plugin of any name, but serves only names of lower-case
    /// letters, digits, `.`, `_` and `-`.
    ///
    /// # Panics
    /// Panics if no folder can have this name.
    #[track_caller]
    pub fn new(name: impl Into<String>) -> Self {
        match Self::named(name.into()) {
            Ok(tree) => tree,
            Err(problem) => panic!("{problem}"),
        }
    }

    /// Creates an empty folder of this name, or returns the reason why no folder can have it.
    pub(crate) fn named(name: String) -> Result<Self, String> {
        if !is_component(&name) {
            return Err(format!("no folder can be named {name:?}"));
        }
        Ok(Self { name, entries: BTreeMap::new() })
    }

    /// The folder's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a file with mode 0644.
    #[must_use]
    #[track_caller]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.with(path, Entry::File { mode: 0o644, bytes: Bytes::copy_from_slice(content.as_ref()) })
    }

    /// Adds a file with mode 0755.
    #[must_use]
    #[track_caller]
    pub fn executable(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.with(path, Entry::File { mode: 0o755, bytes: Bytes::copy_from_slice(content.as_ref()) })
    }

    /// Adds a directory with mode 0755, which may be empty.
    #[must_use]
    #[track_caller]
    pub fn directory(self, path: &str) -> Self {
        self.with(path, Entry::Directory { mode: 0o755 })
    }

    /// Adds a symbolic link.
    #[must_use]
    #[track_caller]
    pub fn link(self, path: &str, target: &str) -> Self {
        self.with(path, Entry::Link { target: target.to_owned() })
    }

    /// Sets the permission bits of a file or directory; bits above 0777 are ignored.
    ///
    /// # Panics
    /// Panics if there is no file or directory at this path.
    #[must_use]
    #[track_caller]
    pub fn mode(mut self, path: &str, bits: u32) -> Self {
        let components: Vec<String> = path.split('/').map(str::to_owned).collect();
        match self.entries.get_mut(&components) {
            Some(Entry::Directory { mode } | Entry::File { mode, .. }) => *mode = bits & 0o777,
            Some(Entry::Link { .. }) | None => panic!("{path:?} is no file or directory of the plugin {:?}", self.name),
        }
        self
    }

    /// The entries of the folder, in the order of the server's archives: the names in each directory are sorted by
    /// their bytes, and a directory precedes its content.
    pub fn entries(&self) -> impl Iterator<Item = (String, &Entry)> {
        self.entries.iter().map(|(components, entry)| (components.join("/"), entry))
    }

    /// The entry at a path.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        let components: Vec<String> = path.split('/').map(str::to_owned).collect();
        self.entries.get(&components)
    }

    /// Makes the archive that a server sends for the plugin, without links and with this time on every entry.
    ///
    /// # Errors
    /// The errors of the archive's writer, which returns none for the paths and sizes of a plugin.
    pub fn archive(&self, time: UnixTime) -> io::Result<Bytes> {
        super::archive::pack(self, time)
    }

    #[track_caller]
    fn with(mut self, path: &str, entry: Entry) -> Self {
        if let Err(problem) = self.insert(path, entry) {
            panic!("{path:?} cannot be in the plugin {:?}: {problem}", self.name);
        }
        self
    }

    /// Adds an entry and its parent directories, or returns the reason why it cannot.
    pub(crate) fn insert(&mut self, path: &str, entry: Entry) -> Result<(), &'static str> {
        let components: Vec<String> = path.split('/').map(str::to_owned).collect();
        if !components.iter().all(|component| is_component(component)) {
            return Err("it is no path below a folder");
        }
        for length in 1..components.len() {
            let above = self.entries.entry(components[..length].to_vec());
            if !matches!(above.or_insert(Entry::Directory { mode: 0o755 }), Entry::Directory { .. }) {
                return Err("what stands above it is no directory");
            }
        }
        let is_below = |other: &Vec<String>| other.len() > components.len() && other.starts_with(&components);
        if !matches!(entry, Entry::Directory { .. }) && self.entries.keys().any(is_below) {
            return Err("a directory of this path has content");
        }
        self.entries.insert(components, entry);
        Ok(())
    }

    /// Removes the entry at a path and everything below it.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.entries.retain(|components, _| components[0] != name);
        self
    }

    /// The total size of its files in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.entries
            .values()
            .map(|entry| if let Entry::File { bytes, .. } = entry { bytes.len() as u64 } else { 0 })
            .sum()
    }

    /// The content of a file in the root of the folder.
    pub(crate) fn root_file(&self, name: &str) -> Option<&Bytes> {
        match self.entry(name)? {
            Entry::File { bytes, .. } => Some(bytes),
            Entry::Directory { .. } | Entry::Link { .. } => None,
        }
    }

    /// Removes the links.
    pub(crate) fn links_left_out(mut self) -> Self {
        self.entries.retain(|_, entry| !matches!(entry, Entry::Link { .. }));
        self
    }

    /// Replaces each link by the file that it points to; returns `None` if a link points to anything else.
    pub(crate) fn links_followed(mut self) -> Option<Self> {
        let followed: Option<Vec<_>> = self
            .entries
            .iter()
            .filter_map(|(components, entry)| match entry {
                Entry::Link { .. } => Some(self.follow(components).map(|bytes| (components.clone(), bytes))),
                Entry::Directory { .. } | Entry::File { .. } => None,
            })
            .collect();
        for (components, bytes) in followed? {
            // A link has mode 0777; the usual umask makes it 0755.
            self.entries.insert(components, Entry::File { mode: 0o755, bytes });
        }
        Some(self)
    }

    /// The content of the file at a path. It follows up to 40 links in a row, as an operating system does.
    fn follow(&self, components: &[String]) -> Option<Bytes> {
        const MOST_LINKS: usize = 40;
        let mut at = components.to_vec();
        for _ in 0..MOST_LINKS {
            match self.entries.get(&at)? {
                Entry::File { bytes, .. } => return Some(bytes.clone()),
                Entry::Directory { .. } => return None,
                Entry::Link { target } => at = beside(&at, target)?,
            }
        }
        None
    }
}

/// The path that a link at `components` points to, if it is inside the folder. Links among its parent directories are
/// not followed.
fn beside(components: &[String], target: &str) -> Option<Vec<String>> {
    if target.starts_with('/') {
        return None;
    }
    let mut path = components[..components.len() - 1].to_vec();
    for component in target.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(path.pop()?),
            name => path.push(name.to_owned()),
        }
    }
    Some(path)
}

fn is_component(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.contains(['/', '\0'])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_the_order_of_a_walk() {
        let tree = PluginTree::new("x").file("a-b", "").file("a/z", "").file("a.b", "").directory("b").file("Z", "");
        let paths: Vec<String> = tree.entries().map(|(path, _)| path).collect();
        assert_eq!(paths, ["Z", "a", "a/z", "a-b", "a.b", "b"]);
    }

    #[test]
    fn what_no_folder_can_hold_is_refused() {
        let mut tree = PluginTree::new("x").file("a", "").file("d/f", "");
        let file = || Entry::File { mode: 0o644, bytes: Bytes::new() };
        for path in ["", "/a", "a/", "a//b", "..", "b/../c", ".", "b\0", "a/b", "d"] {
            assert!(tree.insert(path, file()).is_err(), "{path:?}");
        }
        assert!(std::panic::catch_unwind(|| PluginTree::new("..")).is_err());
        assert!(std::panic::catch_unwind(|| PluginTree::new("x").mode("y", 0o600)).is_err());
    }

    #[test]
    fn links_to_files_of_the_plugin_are_followed_and_others_are_not() {
        let tree = PluginTree::new("x").file("d/f", "text").link("d/one", "f").link("two", "./d/../d/one");
        let followed = tree.links_followed().unwrap();
        assert_eq!(followed.entry("two"), Some(&Entry::File { mode: 0o755, bytes: Bytes::from("text") }));
        for target in ["d", "../f", "/etc/passwd", "nothing", "link"] {
            assert_eq!(PluginTree::new("x").file("d/f", "").link("link", target).links_followed(), None, "{target}");
        }
    }

    #[test]
    fn modes_can_be_given_and_keep_to_permission_bits() {
        let tree = PluginTree::new("x").file("k", "").mode("k", 0o4600).directory("d").mode("d", 0o700);
        assert_eq!(tree.entry("k"), Some(&Entry::File { mode: 0o600, bytes: Bytes::new() }));
        assert_eq!(tree.entry("d"), Some(&Entry::Directory { mode: 0o700 }));
    }
}
