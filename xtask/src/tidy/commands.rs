//! Checks that the cargo commands on Markdown pages name packages, tests, benches, programs and examples that exist.

use super::tree::Tree;
use super::{Finding, finding};

/// The options that name a target, and the directory in which cargo looks for it.
const TARGETS: [(&str, &str); 4] =
    [("--test", "tests"), ("--bench", "benches"), ("--bin", "src/bin"), ("--example", "examples")];

/// Checks lines of Markdown that begin with `$ cargo`, and such commands between backquotes.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let pages = tree.files().filter(|(path, _)| path.ends_with(".md"));
    let mut findings = Vec::new();
    for (page, text) in pages {
        for (number, line) in text.lines().enumerate() {
            for command in commands(line) {
                let missing = missing(tree, command);
                let told =
                    missing.map(|what| format!("`{command}` names {what}, which is not there; tell what to type now"));
                findings.extend(told.map(|sentence| finding(page, number + 1, sentence)));
            }
        }
    }
    findings
}

fn commands(line: &str) -> Vec<&str> {
    if let Some(command) = line.strip_prefix("$ ") {
        let command = command.split(" #").next().unwrap_or_default().trim_end();
        return if command.starts_with("cargo ") { vec![command] } else { Vec::new() };
    }
    line.split('`').skip(1).step_by(2).filter(|span| span.starts_with("cargo ")).collect()
}

/// The first target or package in a command that does not exist.
fn missing(tree: &Tree, command: &str) -> Option<String> {
    // The arguments after `--` belong to the program.
    let words: Vec<&str> = command.split(" -- ").next()?.split_whitespace().collect();
    let mut homes = Vec::new();
    for package in after(&words, "-p") {
        match home(tree, package) {
            Some(home) => homes.push(home),
            None => return Some(format!("the package {package}")),
        }
    }
    for (option, folder) in TARGETS {
        if let Some(name) = after(&words, option).find(|name| !is_target(tree, &homes, &option[2..], folder, name)) {
            return Some(format!("{option} {name}"));
        }
    }
    let task = after(&words, "xtask").find(|task| !crate::USAGE.contains(&format!("\n  {task} ")));
    task.map(|task| format!("the task {task}"))
}

/// The words that follow each occurrence of this one.
fn after<'a>(words: &'a [&'a str], word: &'a str) -> impl Iterator<Item = &'a str> {
    words.windows(2).filter(move |pair| pair[0] == word).map(|pair| pair[1])
}

/// Returns whether one of these packages has such a target, by its file or by a table of its manifest; without
/// packages, whether any has.
fn is_target(tree: &Tree, homes: &[String], kind: &str, folder: &str, name: &str) -> bool {
    let is_home = |above: &str| homes.is_empty() || homes.iter().any(|home| home == above);
    let files = [format!("/{folder}/{name}.rs"), format!("/{folder}/{name}/main.rs")];
    let table = format!("[[{kind}]]\nname = \"{name}\"\n");
    let has_file = |path: &str| files.iter().filter_map(|file| path.strip_suffix(file.as_str())).any(is_home);
    let has_table =
        |(path, text): (&str, &str)| path.strip_suffix("/Cargo.toml").is_some_and(is_home) && text.contains(&table);
    tree.paths().any(has_file) || tree.files().any(has_table)
}

/// The directory of a package.
fn home(tree: &Tree, package: &str) -> Option<String> {
    let name = format!("\nname = \"{package}\"\n");
    let manifests = tree.files().filter(|(path, _)| path.ends_with("/Cargo.toml"));
    let mut its = manifests.filter(|(_, text)| text.contains("[package]") && text.contains(&name));
    Some(its.next()?.0.trim_end_matches("/Cargo.toml").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(page: &str) -> Vec<String> {
        let files = [
            ("crates/a/Cargo.toml", "[package]\nname = \"a\"\n"),
            ("bench/Cargo.toml", "[package]\nname = \"a-bench\"\n"),
            ("crates/a/tests/one.rs", ""),
            ("crates/a/tests/two/main.rs", ""),
            ("bench/benches/three.rs", ""),
            ("crates/a/src/bin/four.rs", ""),
            ("examples/Cargo.toml", "[[example]]\nname = \"five\"\npath = \"5.rs\"\n"),
            ("page.md", page),
        ];
        let findings = check(&Tree::of(&files)).into_iter();
        findings.map(|finding| finding.sentence.split('`').nth(2).unwrap().to_owned()).collect()
    }

    #[test]
    fn what_is_there_may_be_typed() {
        for command in [
            "test --workspace",
            "test -p a --test one --test two some_name",
            "bench -p a-bench --bench three  # why",
            "run -p a --bin four -- --test none",
            "run --example five",
            "xtask tidy",
            "xtask soak --minutes 10",
        ] {
            assert_eq!(found(&format!("$ cargo {command}\n")), [""; 0], "{command}");
            assert_eq!(found(&format!("See `cargo {command}`.\n")), [""; 0], "{command}");
        }
    }

    #[test]
    fn what_is_not_there_is_found() {
        for (command, what) in [
            ("test -p b", "the package b"),
            ("test -p a --test three", "--test three"),
            ("bench -p a --bench three", "--bench three"),
            ("run --bin one", "--bin one"),
            ("run --example four", "--example four"),
            ("xtask tid", "the task tid"),
        ] {
            let sentence = [format!(" names {what}, which is not there; tell what to type now")];
            assert_eq!(found(&format!("$ cargo {command}\n")), sentence, "{command}");
            assert_eq!(found(&format!("See `cargo {command}`.\n")), sentence, "{command}");
        }
    }
}
