//! `docs/coming-from-python-sdk.md`: each of our names in its tables exists, in both facades or in the program.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../../docs/coming-from-python-sdk.md");
const FACADES: [&str; 2] = ["molecule-blocking", "molecule-async"];

/// Names of others in the columns of ours: of Rust's library, and of the Python SDK (`name=value`).
fn is_of_others(span: &str) -> bool {
    span == "Debug" || span.contains('=') || span.starts_with('<')
}

/// The texts between backquotes in the column of this name, of all tables that have it.
fn column(name: &str) -> Vec<&'static str> {
    let (mut found, mut at) = (Vec::new(), None);
    for line in PAGE.lines() {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        match line.starts_with('|') {
            false => at = None,
            true if cells[0] == "Python" => at = cells.iter().position(|cell| cell.trim_matches('`') == name),
            true => {
                let cell = at.and_then(|at| cells.get(at).copied()).unwrap_or_default();
                found.extend(cell.split('`').skip(1).step_by(2));
            }
        }
    }
    assert!(found.len() > 20, "{name}: {found:?}");
    found
}

fn of_crates(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(of_crates(path)).unwrap()
}

/// All sources of a crate as one text.
fn sources(directory: &Path, into: &mut String) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

fn has_word(text: &str, word: &str) -> bool {
    let is_of_word = |char: char| char.is_alphanumeric() || char == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(is_of_word) && !text[at + word.len()..].starts_with(is_of_word))
}

fn has_function(text: &str, name: &str) -> bool {
    [format!("fn {name}("), format!("fn {name}<")].iter().any(|start| text.contains(start))
}

#[test]
fn each_name_in_rust_is_one_of_both_facades() {
    let builder = text("molecule-host/src/builder.rs");
    let servers = text("molecule-serve/src/agents.rs");
    let exports = |of: &str| {
        let lib = text(&format!("{of}/src/lib.rs"));
        let uses = lib.split("\npub use ").skip(1).map(|rest| rest.split(';').next().unwrap().to_owned());
        uses.collect::<Vec<_>>().join("\n")
    };
    let (facades, of_servers) = (FACADES.map(exports), exports("molecule-serve"));
    let agents = FACADES.map(|facade| text(&format!("{facade}/src/agent.rs")));
    let mut all = String::new();
    for name in
        ["molecule-proto", "molecule-plugin", "molecule-core", "molecule-host", "molecule-async", "molecule-serve"]
    {
        sources(&of_crates(name).join("src"), &mut all);
    }
    let is_exported = |name: &str| facades.iter().all(|facade| has_word(facade, name)) || has_word(&of_servers, name);
    let is_method = |name: &str| agents.iter().all(|agent| has_function(agent, name)) || has_function(&servers, name);
    for span in column("Rust").into_iter().filter(|span| !is_of_others(span)) {
        let name = span.split('(').next().unwrap();
        let is_there = if let Some(option) = name.strip_prefix('.') {
            has_function(&builder, option)
        } else if let Some(endpoint) = name.strip_prefix("core::endpoint::") {
            facades.iter().all(|facade| facade.contains("molecule_core as core"))
                && all.contains(&format!("pub struct {endpoint}"))
        } else if let Some((of, member)) = name.split_once("::") {
            let variants = [",", "(", " {"].map(|end| format!("\n    {member}{end}"));
            is_exported(of) && (has_function(&all, member) || variants.iter().any(|variant| all.contains(variant)))
        } else if name.starts_with(|first: char| first.is_uppercase()) {
            is_exported(name)
        } else {
            is_method(name) || has_function(&all, name) && is_exported(name)
        };
        assert!(is_there, "the page names `{span}`, which is not in both facades");
    }
}

/// What the help of a command says.
fn help(words: &[&str], known: &mut BTreeMap<String, String>) -> String {
    let shown = known.entry(words.join(" ")).or_insert_with(|| {
        let (code, out, err) = common::told(common::bare(&[words, &["--help"]].concat()).output().unwrap());
        assert_eq!(code, 0, "molecule {words:?}: {err}");
        out
    });
    shown.clone()
}

#[test]
fn each_name_of_the_program_is_one() {
    let mut settings = text("molecule-cli/src/settings.rs");
    sources(&of_crates("molecule-cli/src/settings"), &mut settings);
    let lines = text("molecule-cli/src/run/wire.rs");
    let mut known = BTreeMap::new();
    for span in column("molecule") {
        let words: Vec<_> = span.split(' ').collect();
        if span.contains(|char: char| char.is_lowercase()) && !span.contains(['-', ' ']) {
            assert!(has_word(&lines, span), "the lines have no key `{span}`");
        } else if !span.contains(|char: char| char.is_lowercase()) && !span.starts_with('-') {
            assert!(settings.contains(&format!("\"{span}\"")), "nothing reads the variable {span}");
        } else {
            let words = words.iter().copied().skip_while(|word| *word == "molecule");
            let before: Vec<_> = words.take_while(|word| *word != "--").collect();
            let is_command = |word: &&str| word.chars().all(|char| char.is_ascii_lowercase());
            let command: Vec<_> = before.iter().copied().take_while(is_command).collect();
            let help = help(&command, &mut known);
            for option in before.iter().filter(|word| word.starts_with('-')) {
                assert!(has_word(&help, option), "`molecule {}` has no option {option}", command.join(" "));
            }
        }
    }
}
