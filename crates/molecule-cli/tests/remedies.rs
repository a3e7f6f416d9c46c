//! Errors name what to do in the program's words: no call of the Rust API is in a sentence that the program shows.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "../src/remedy/words.rs"]
mod words;

use std::path::Path;

use common::{World, rust_word, told};
use molecule_platform::Dialect;

/// The text literals of Rust code outside its tests and its comments.
fn literals(code: &str) -> Vec<String> {
    let code = code.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    let (mut all, mut rest) = (Vec::new(), &*code);
    while let Some(at) = rest.find(['"', '\'']) {
        if rest[at..].starts_with('\'') {
            // A character, which may be a quotation mark; or a lifetime.
            let skipped = if rest[at..].starts_with("'\"'") { 3 } else { 1 };
            rest = &rest[at + skipped..];
            continue;
        }
        let (mut text, mut chars) = (String::new(), rest[at + 1..].char_indices());
        let end = loop {
            let Some((place, char)) = chars.next() else { return all };
            match char {
                '"' => break place,
                '\\' => match chars.next() {
                    // The line goes on behind the blanks of the next one.
                    Some((_, '\n')) => {
                        while chars.clone().next().is_some_and(|(_, char)| char == ' ') {
                            chars.next();
                        }
                    }
                    _ => text.push(' '),
                },
                char => text.push(char),
            }
        };
        all.push(text);
        rest = &rest[at + 1 + end + 1..];
    }
    all
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_sentence_of_the_sdk_has_words_of_the_program() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut seen = 0;
    let mut left = Vec::new();
    for name in ["core", "host", "serve", "async"] {
        for file in files(&crates.join(format!("molecule-{name}/src"))) {
            let is_code = file.extension().is_some_and(|kind| kind == "rs") && !file.ends_with("tests.rs");
            if !is_code || file.components().any(|part| part.as_os_str() == "tests") {
                continue;
            }
            // A sentence has blanks; what has none is a name. What a clause is made of is filled in.
            let all = literals(&std::fs::read_to_string(&file).unwrap()).into_iter().filter(|text| text.contains(' '));
            let all =
                all.map(|text| text.replace("{method}", "token(…)").replace("{variable}", "MOLECULE_WORKSPACE_TOKEN"));
            // The program has a runtime.
            let all = all.filter(|text| !text.contains("#[tokio::main]"));
            let named: Vec<_> = all.filter(|text| rust_word(text).is_some()).collect();
            seen += named.len();
            let spoken = named.iter().filter(|text| rust_word(&words::spoken(text)).is_some());
            left.extend(spoken.map(|text| format!("{}: {text}", file.display())));
        }
    }
    assert!(seen > 30, "{seen}: the sentences are not found");
    assert!(left.is_empty(), "{left:#?}");
}

const GONE: &str = "00000000-0000-4000-8000-000000000000";

#[test]
fn what_the_program_shows_when_something_is_wrong_is_its_own_words() {
    let world = World::new(Dialect::Current, "remedies");
    let without_token = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = world.molecule(args);
        command.env_remove("MOLECULE_WORKSPACE_TOKEN").envs(variables.iter().copied());
        told(command.output().unwrap())
    };
    /// Arguments, variables, the exit code, and a part of what is said.
    type Case = (&'static [&'static str], &'static [(&'static str, &'static str)], i32, &'static str);
    let cases: [Case; 8] = [
        (&["secrets", "list"], &[], 3, "run `molecule register` with the token"),
        (&["register"], &[], 3, "--token-file FILE"),
        (&["secrets", "list"], &[("MOLECULE_WORKSPACE_TOKEN", "dead")], 3, "molecule recover --admin-token-file FILE"),
        (&["register"], &[("WORKSPACE_ID", GONE)], 1, "--workspace, or WORKSPACE_ID"),
        (&["peers"], &[("PLATFORM_URL", "http://example.invalid")], 2, "--allow-insecure-http"),
        (&["inbox", "retry", GONE], &[], 1, "molecule inbox dead"),
        (&["peers"], &[("MOLECULE_HOME", "/proc/none")], 3, "run `molecule register`"),
        (&["register"], &[("MOLECULE_HOME", "/proc/none"), ("MOLECULE_WORKSPACE_TOKEN", "x")], 3, "--home"),
    ];
    for (args, variables, code, part) in cases {
        let (exit, out, err) = without_token(args, variables);
        assert_eq!(exit, code, "{args:?} {variables:?}: {out}{err}");
        assert!(err.contains(part), "{args:?} {variables:?}: {err}");
        assert_eq!(rust_word(&err), None, "{err}");
    }
}
