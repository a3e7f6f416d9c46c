//! The man pages and completions, which packages bring: one page for each command, and nothing that the README does not say.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;

use common::{bare, told};

const README: &str = include_str!("../README.md");

fn run(args: &[&str]) -> String {
    let (code, out, err) = told(bare(args).output().unwrap());
    assert_eq!(code, 0, "{args:?}: {err}");
    out
}

/// A new directory with the pages.
fn pages(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("man-{name}-{}", std::process::id()));
    run(&["man", directory.to_str().unwrap()]);
    directory
}

/// The commands that `molecule … help` lists, each with the commands below it.
fn commands(above: &[&str]) -> Vec<Vec<String>> {
    let help = run(&[above, &["--help"]].concat());
    let Some((_, listed)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let listed = listed.lines().take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    let mut all = Vec::new();
    for name in names {
        let path = [above, &[name]].concat();
        all.push(path.iter().map(|part| (*part).to_owned()).collect());
        all.extend(commands(&path));
    }
    all
}

#[test]
fn each_command_has_a_man_page() {
    let directory = pages("each");
    let written = std::fs::read_dir(&directory).unwrap();
    let written: BTreeSet<String> = written.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let listed = commands(&[]);
    assert!(listed.len() > 15, "{listed:?}");
    let named = listed.iter().map(|path| format!("molecule-{}.1", path.join("-")));
    assert_eq!(written, named.chain(["molecule.1".to_owned()]).collect());
    for page in &written {
        let text = std::fs::read_to_string(directory.join(page)).unwrap();
        let name = page.trim_end_matches(".1").replace('-', "\\-");
        assert!(text.contains(&format!(".SH NAME\n{name} \\- ")), "{page}: {text}");
        assert!(text.contains(concat!("\"molecule ", env!("CARGO_PKG_VERSION"), "\"")), "{page}: {text}");
    }
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn the_page_of_the_program_has_the_readmes_variables_and_exit_codes() {
    let directory = pages("readme");
    let page = std::fs::read_to_string(directory.join("molecule.1")).unwrap();
    let _ = std::fs::remove_dir_all(directory);
    let (_, rest) = page.split_once(".SH \"EXIT STATUS\"").unwrap();
    let (status, rest) = rest.split_once(".SH ENVIRONMENT").unwrap();
    let (environment, _) = rest.split_once(".SH FILES").unwrap();
    let codes = README.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()?.parse::<u8>().ok());
    let shown = status.lines().filter_map(|line| line.strip_prefix("\\fB")?.strip_suffix("\\fR")?.parse().ok());
    assert_eq!(shown.collect::<Vec<u8>>(), codes.collect::<Vec<u8>>());
    let is_variable = |code: &&str| {
        let is_name = code.chars().all(|each| each.is_ascii_uppercase() || each == '_');
        // Those of a message are for the program that handles it, and two are a service manager's.
        let is_others = ["MOLECULE_MESSAGE_", "NOTIFY_", "WATCHDOG_"].iter().any(|begin| code.starts_with(begin));
        is_name && code.contains('_') && !is_others
    };
    let prose = README.split("\n```").step_by(2).collect::<String>();
    let variables: Vec<&str> = prose.split('`').skip(1).step_by(2).filter(is_variable).collect();
    assert!(variables.len() > 12, "{variables:?}");
    for variable in variables {
        assert!(environment.contains(variable), "{variable} is missing: {environment}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let (code, _, err) = told(bare(&["man", "/dev/null/pages"]).output().unwrap());
    assert_eq!(code, 1);
    assert!(err.contains("/dev/null/pages"), "{err}");
}

#[test]
fn each_shells_completions_know_each_command() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = run(&["completions", shell]);
        for path in commands(&[]) {
            let name = path.last().unwrap();
            assert!(script.contains(name.as_str()), "{shell} does not know {path:?}");
        }
    }
}
