//! The licence texts of the crates in the program, which their licences want to be handed out with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::inventory::{Component, Inventory};
use super::read;
use crate::Failure;

/// How the names of files with licences and notices begin, in upper case.
const NAMES: [&str; 5] = ["COPYING", "COPYRIGHT", "LICENCE", "LICENSE", "NOTICE"];

/// Collects the texts of all crates of others: each text once, below the crates that have it.
pub(super) fn collect(inventory: &Inventory) -> Result<String, Failure> {
    let others = inventory.components.iter().filter(|one| one.is_linked && one.sha256.is_some());
    let mut crates = Vec::new();
    for one in others {
        let mut texts = Vec::new();
        for file in files(one)? {
            let text = read(&file)?;
            texts.push(String::from_utf8_lossy(&text).replace("\r\n", "\n").trim_matches('\n').to_owned());
        }
        let license = one.license.clone().unwrap_or_else(|| "see its text".to_owned());
        crates.push((format!("{} {} ({license})", one.name, one.version), texts));
    }
    Ok(page(&crates))
}

/// The files of a crate that hold licences, sorted.
fn files(component: &Component) -> Result<Vec<PathBuf>, Failure> {
    let directory = &component.directory;
    let named = component.license_file.as_ref().map(|file| directory.join(file));
    let entries = std::fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let entries = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file() && is_license(path)).chain(named).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

fn is_license(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_uppercase();
    NAMES.iter().any(|begin| name.starts_with(begin)) && !name.ends_with(".RS")
}

fn page(crates: &[(String, Vec<String>)]) -> String {
    let mut texts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut without = Vec::new();
    for (name, of_crate) in crates {
        if of_crate.is_empty() {
            without.push(&**name);
        }
        for text in of_crate {
            texts.entry(text).or_default().push(name);
        }
    }
    // The order is that of the first crate, so that a reader finds a name.
    let mut texts: Vec<(Vec<&str>, &str)> = texts.into_iter().map(|(text, names)| (names, text)).collect();
    texts.sort();
    let line = "-".repeat(78);
    let mut page = "The program holds these crates, under these licences.\n".to_owned();
    for (names, text) in texts {
        page += &format!("\n{line}\n{}\n{line}\n\n{text}\n", names.join("\n"));
    }
    if !without.is_empty() {
        page += &format!(
            "\n{line}\nWithout a text of their own; their manifests name the licence:\n{}\n",
            without.join("\n")
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_stands_once_below_all_who_have_it() {
        let one = |name: &str, texts: &[&str]| (name.to_owned(), texts.iter().map(|text| (*text).to_owned()).collect());
        let page = page(&[one("a 1", &["MIT text", "Apache text"]), one("b 1", &["Apache text"]), one("c 1", &[])]);
        assert_eq!(page.matches("Apache text").count(), 1);
        assert!(page.contains("\na 1\nb 1\n-"), "{page}");
        assert!(page.contains("\na 1\n-"), "{page}");
        assert!(page.ends_with("name the licence:\nc 1\n"), "{page}");
    }

    #[test]
    fn texts_are_told_by_their_names() {
        for name in ["LICENSE", "LICENSE-MIT", "license.txt", "COPYING", "NOTICE.md"] {
            assert!(is_license(Path::new(name)), "{name}");
        }
        for name in ["README.md", "license.rs", "src"] {
            assert!(!is_license(Path::new(name)), "{name}");
        }
    }
}
