//! Checks that no text names a path of the machine on which it was written.

use super::tree::Tree;
use super::{Finding, finding};

// The words are split, so that this file has no finding itself.
const WORDS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("../sh", "ared")];

/// Checks every text but the lock file, which nobody writes by hand.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let texts = tree.files().filter(|(path, _)| !path.ends_with("Cargo.lock"));
    texts.flat_map(|(path, text)| check_text(path, text)).collect()
}

fn check_text(path: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().enumerate();
    let hits = lines.flat_map(|(number, line)| {
        WORDS.iter().filter(move |word| is_place(line, word)).map(move |word| (number + 1, word))
    });
    hits.map(|(line, word)| {
        finding(path, line, format!("`{word}` names a place of one machine; say it relative to the project"))
    })
    .collect()
}

/// Returns whether a line has the word as the beginning of a path, and not as a folder in the middle of one.
fn is_place(line: &str, word: &str) -> bool {
    let is_of_path = |char: char| char.is_alphanumeric() || "_-.".contains(char);
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(is_of_path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_found_where_it_stands() {
        for word in WORDS {
            let text = format!("fine\nsee {word}notes.md\n");
            let findings = check(&Tree::of(&[("a.md", &text), ("Cargo.lock", &text)]));
            assert_eq!(findings.len(), 1, "{word}");
            assert_eq!((findings[0].path.as_str(), findings[0].line), ("a.md", 2));
        }
        assert_eq!(check(&Tree::of(&[("a.md", "work/ and root/ and shared")])), []);
        assert_eq!(check(&Tree::of(&[("a.md", &format!("inbox{}turns.rs", WORDS[0]))])), [], "a folder of the project");
    }
}
