//! The tree of a plugin's files, and its digest, which a caller can pin.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// The regular files of a plugin, `plugin.yaml` among them: for each path, relative with `/` between components, the digest of
/// the content and whether the owner may execute the file.
///
/// As text it is one line for each file, sorted by the bytes of the path: `<64 hex> <x or -> <path>`. The SHA-256 of that text is
/// the tree's [`digest`](Self::digest).
///
/// ```
/// use molecule_plugin::Tree;
///
/// let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 - plugin.yaml\n";
/// let tree: Tree = text.parse()?;
/// assert_eq!(tree.to_string(), text);
/// assert_eq!(tree.digest().to_string(), "be93f947acbc20fcd77fe7fed8d393178a246c094b8d45ba5b9da2c9231161a0");
/// # Ok::<(), molecule_plugin::TreeError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    files: BTreeMap<String, Line>,
}

/// One file of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The SHA-256 of its content.
    pub sha256: [u8; 32],
    /// Whether its owner may execute it.
    pub executable: bool,
}

/// The SHA-256 of a [`Tree`], as text 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeDigest(pub [u8; 32]);

/// How two trees differ. Each list is sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TreeDiff {
    /// Files of both whose content or executability differs.
    pub changed: Vec<String>,
    /// Files that only the first has.
    pub missing: Vec<String>,
    /// Files that only the second has.
    pub added: Vec<String>,
}

/// The error for a text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 lower-case hexadecimal digits")]
pub struct DigestError(());

/// The error for a text that is not a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of a tree: {what}")]
pub struct TreeError {
    line: usize,
    what: &'static str,
}

impl Tree {
    /// A tree without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file, or replaces it; returns the one that was there.
    pub fn insert(&mut self, path: impl Into<String>, line: Line) -> Option<Line> {
        self.files.insert(path.into(), line)
    }

    /// The file at this path.
    pub fn get(&self, path: &str) -> Option<Line> {
        self.files.get(path).copied()
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The files, sorted by the bytes of their paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, Line)> {
        self.files.iter().map(|(path, line)| (path.as_str(), *line))
    }

    /// The SHA-256 of the tree's text.
    pub fn digest(&self) -> TreeDigest {
        let mut hash = Sha256::new();
        for (path, line) in self.files() {
            hash.update(hex(&line.sha256));
            hash.update(if line.executable { " x " } else { " - " });
            hash.update(path);
            hash.update("\n");
        }
        TreeDigest(hash.finalize().into())
    }

    /// Marks no file as executable, as on a system without such a mark.
    pub fn forget_executables(&mut self) {
        self.files.values_mut().for_each(|line| line.executable = false);
    }

    /// The differences from this tree to `now`.
    pub fn diff(&self, now: &Self) -> TreeDiff {
        let mut diff = TreeDiff::default();
        for (path, line) in &self.files {
            match now.files.get(path) {
                Some(other) if other == line => {}
                Some(_) => diff.changed.push(path.clone()),
                None => diff.missing.push(path.clone()),
            }
        }
        diff.added = now.files.keys().filter(|path| !self.files.contains_key(*path)).cloned().collect();
        diff
    }
}

impl TreeDiff {
    /// Whether the trees are equal.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.missing.is_empty() && self.added.is_empty()
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, line) in self.files() {
            writeln!(f, "{} {} {path}", Hex(&line.sha256), if line.executable { 'x' } else { '-' })?;
        }
        Ok(())
    }
}

impl FromStr for Tree {
    type Err = TreeError;

    fn from_str(text: &str) -> Result<Self, TreeError> {
        let mut tree = Self::new();
        let mut rest = text;
        let mut number = 0;
        while !rest.is_empty() {
            number += 1;
            let error = |what| TreeError { line: number, what };
            let (line, behind) = rest.split_once('\n').ok_or_else(|| error("the line has no end"))?;
            rest = behind;
            let (digest, line) = line.split_once(' ').ok_or_else(|| error("there is no space behind the digest"))?;
            let sha256 = from_hex(digest).ok_or_else(|| error("the digest is not 64 lower-case hexadecimal digits"))?;
            let (executable, path) = match line.split_once(' ') {
                Some(("x", path)) => (true, path),
                Some(("-", path)) => (false, path),
                _ => return Err(error("neither `x` nor `-` follows the digest")),
            };
            if path.is_empty() || path.chars().any(char::is_control) {
                return Err(error("the path is empty or holds a control character"));
            }
            if tree.files.last_key_value().is_some_and(|(last, _)| last.as_str() >= path) {
                return Err(error("the path is not behind the one before it"));
            }
            tree.insert(path, Line { sha256, executable });
        }
        Ok(tree)
    }
}

impl FromStr for TreeDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        from_hex(text).map(Self).ok_or(DigestError(()))
    }
}

impl fmt::Display for TreeDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for TreeDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeDigest({self})")
    }
}

/// Writes the digest as text.
impl Serialize for TreeDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Shows 32 bytes as lower-case hexadecimal digits.
struct Hex<'a>(&'a [u8; 32]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex(self.0);
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

/// 32 bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8; 32]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

/// 64 lower-case hexadecimal digits, and nothing else, as 32 bytes.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn line(text: &str, executable: bool) -> Line {
        Line { sha256: Sha256::digest(text).into(), executable }
    }

    #[test]
    fn a_digest_is_64_lower_case_hexadecimal_digits_and_nothing_else() {
        let digest: TreeDigest = EMPTY.parse().unwrap();
        assert_eq!(digest.to_string(), EMPTY);
        let upper = EMPTY.to_uppercase();
        let prefixed = format!("0x{}", &EMPTY[2..]);
        let signed = format!("+{}", &EMPTY[1..]);
        let arabic = "\u{661}".repeat(32);
        for text in
            ["", &EMPTY[1..], &upper, &prefixed, &signed, &arabic, &format!("{EMPTY}\n"), &format!(" {}", &EMPTY[1..])]
        {
            assert!(text.parse::<TreeDigest>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn lines_are_sorted_by_the_bytes_of_the_whole_path() {
        let mut tree = Tree::new();
        for path in ["a/b.md", "a-b.md", "a.md", "é", "Z"] {
            tree.insert(path, line(path, path == "Z"));
        }
        let paths: Vec<&str> = tree.files().map(|(path, _)| path).collect();
        assert_eq!(paths, ["Z", "a-b.md", "a.md", "a/b.md", "é"]);
        assert_eq!(tree.to_string().parse(), Ok(tree.clone()));
        assert_eq!(tree.digest().0, <[u8; 32]>::from(Sha256::digest(tree.to_string())));
    }

    #[test]
    fn a_text_that_is_no_tree_is_refused() {
        let good = format!("{EMPTY} - a\n{EMPTY} x b\n");
        assert!(good.parse::<Tree>().is_ok());
        for (text, number) in [
            (format!("{EMPTY} - a"), 1),
            (format!("{EMPTY} - b\n{EMPTY} - a\n"), 2),
            (format!("{EMPTY} - a\n{EMPTY} - a\n"), 2),
            (format!("{EMPTY} X a\n"), 1),
            (format!("{EMPTY} - \n"), 1),
            (format!("{EMPTY} - a\tb\n"), 1),
            (format!("{}  - a\n", &EMPTY[1..]), 1),
            ("\n".to_owned(), 1),
        ] {
            assert_eq!(text.parse::<Tree>().unwrap_err().line, number, "{text:?}");
        }
    }

    #[test]
    fn a_difference_tells_changed_missing_and_added_apart() {
        let (mut before, mut after) = (Tree::new(), Tree::new());
        before.insert("same", line("1", false));
        after.insert("same", line("1", false));
        before.insert("content", line("1", false));
        after.insert("content", line("2", false));
        before.insert("mode", line("1", false));
        after.insert("mode", line("1", true));
        before.insert("gone", line("1", false));
        after.insert("new", line("1", false));
        let diff = before.diff(&after);
        assert_eq!(
            (&diff.changed[..], &diff.missing[..], &diff.added[..]),
            (&["content".to_owned(), "mode".to_owned()][..], &["gone".to_owned()][..], &["new".to_owned()][..],)
        );
        assert!(!diff.is_empty() && before.diff(&before).is_empty());
    }
}
