//! Checks that code does not use what its crate may not: files and processes in most crates, and nothing of the
//! environment in proto, plugin and core.

use super::source::{After, Path, Source};
use super::tree::Tree;
use super::{Finding, finding};

const CRATES: [&str; 7] = [
    "molecule-proto",
    "molecule-plugin",
    "molecule-core",
    "molecule-blocking",
    "molecule-async",
    "molecule-serve",
    "molecule-platform",
];
const PURE: [&str; 3] = ["molecule-proto", "molecule-plugin", "molecule-core"];

/// A forbidden path or call, and the place where such code belongs.
type Rule = (&'static str, &'static str);

const HOST: &str = "belongs to molecule-host; make it one of the host's acts";
const CLOCK: &str = "is the driver's to call; take the time from `Now`";

const PATHS: [Rule; 4] = [("std::fs", HOST), ("std::process", HOST), ("tokio::fs", HOST), ("tokio::process", HOST)];
const CALLS: [Rule; 1] = [("Command::new", HOST)];
const ORDERED: &str = "has another order in each run; take the ordered one, so that a run repeats";
const PURE_PATHS: [Rule; 6] = [
    ("std::env", "belongs to a facade; pass the value in the config"),
    ("std::thread", "belongs to a driver; return an effect"),
    ("std::net", "belongs to a driver; addresses that are plain values are in `core::net`"),
    ("std::collections::HashMap", ORDERED),
    ("std::collections::HashSet", ORDERED),
    ("std::hash::RandomState", ORDERED),
];
const PURE_CALLS: [Rule; 3] = [("Instant::now", CLOCK), ("SystemTime::now", CLOCK), (".elapsed(", CLOCK)];

/// Checks every file of the crates' `src/` but the platform's `serve`.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.sources().filter_map(|(path, source)| Some((path, source, owner(path)?))).flat_map(check_file).collect()
}

/// The crate whose rules apply to the file, if any do.
fn owner(path: &str) -> Option<&'static str> {
    let (name, file) = path.strip_prefix("crates/")?.split_once("/src/")?;
    let serves = name == "molecule-platform" && (file == "serve.rs" || file.starts_with("serve/"));
    let tests = file.split('/').any(|part| part == "tests" || part == "tests.rs");
    if serves || tests || !file.ends_with(".rs") {
        return None;
    }
    CRATES.into_iter().find(|known| *known == name)
}

fn check_file((path, source, owner): (&str, &Source, &str)) -> Vec<Finding> {
    let pure = PURE.contains(&owner);
    let named = source.paths();
    let forbidden = PATHS.iter().chain(PURE_PATHS.iter().filter(|_| pure));
    let by_path = forbidden.flat_map(|(forbidden, why)| {
        let parts: Vec<&str> = forbidden.split("::").collect();
        let hits = named.iter().filter(move |named| named.names.iter().take(parts.len()).eq(parts.iter()));
        hits.map(move |named| finding(path, named.line, format!("`{forbidden}` {why}")))
    });
    let calls = CALLS.iter().chain(PURE_CALLS.iter().filter(|_| pure));
    let by_call = calls.flat_map(|(call, why)| {
        let hits = named.iter().filter(move |named| is_call(named, call));
        hits.map(move |named| finding(path, named.line, format!("`{call}` {why}")))
    });
    let mut findings: Vec<Finding> = by_path.chain(by_call).collect();
    findings.sort_by_key(|finding| finding.line);
    findings
}

/// Returns whether a path is a call of this form: `Type::function`, or `.method(`.
fn is_call(path: &Path, call: &str) -> bool {
    match call.strip_prefix('.').and_then(|call| call.strip_suffix('(')) {
        Some(method) => path.after == After::Dot { is_call: true } && path.names == [method],
        None => path.has(&call.split("::").collect::<Vec<_>>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings in a function with these statements.
    fn found(path: &str, text: &str) -> Vec<String> {
        let text = format!("fn f() {{ {text}\n}}");
        check(&Tree::of(&[(path, &text)])).iter().map(|f| format!("{} {}", f.line, f.sentence)).collect()
    }

    fn count(path: &str, text: &str) -> usize {
        found(path, text).len()
    }

    #[test]
    fn files_and_processes_are_the_hosts() {
        for crate_name in CRATES {
            let path = format!("crates/{crate_name}/src/a/b.rs");
            assert_eq!(count(&path, "use std::fs::File;"), 1, "{path}");
            assert_eq!(count(&path, "use std::{io, process};"), 1, "{path}");
            assert_eq!(count(&path, "tokio::fs::read(x);"), 1, "{path}");
            assert_eq!(count(&path, "Command::new(x)"), 1, "{path}");
            assert_eq!(count(&path, "use std::fsync; // std::fs\nuse std::io;"), 0, "{path}");
        }
        assert_eq!(count("crates/molecule-host/src/lib.rs", "use std::fs;"), 0);
        assert_eq!(count("crates/molecule-core/tests/a.rs", "use std::fs;"), 0);
    }

    #[test]
    fn surroundings_are_kept_from_proto_plugin_and_core_alone() {
        for text in [
            "Instant::now()",
            "SystemTime::now()",
            "x.elapsed()",
            "assert!(x.elapsed() > y)",
            "tokio::time::Instant::now()",
            "use std::collections::{BTreeMap, HashMap as Map};",
            "std::collections::HashSet::new()",
            "std::env::var(x)",
            "std::thread::spawn(x)",
            "std::net::IpAddr",
        ] {
            assert_eq!(count("crates/molecule-proto/src/lib.rs", text), 1, "{text}");
            assert_eq!(count("crates/molecule-plugin/src/unpack.rs", text), 1, "{text}");
            assert_eq!(count("crates/molecule-core/src/lib.rs", text), 1, "{text}");
            assert_eq!(count("crates/molecule-async/src/lib.rs", text), 0, "{text}");
        }
        assert_eq!(count("crates/molecule-core/src/lib.rs", "core::net::IpAddr; env!(x); x.elapsed; elapsed(x)"), 0);
    }

    #[test]
    fn serve_is_excepted_in_the_platform_alone() {
        assert_eq!(count("crates/molecule-platform/src/serve.rs", "use std::fs;"), 0);
        assert_eq!(count("crates/molecule-platform/src/serve/tls.rs", "use std::fs;"), 0);
        assert_eq!(count("crates/molecule-platform/src/server.rs", "use std::fs;"), 1);
        assert_eq!(count("crates/molecule-blocking/src/serve.rs", "use std::fs;"), 1);
    }

    #[test]
    fn a_finding_names_line_and_remedy() {
        assert_eq!(
            found("crates/molecule-core/src/run.rs", "\nlet t = Instant::now();\nuse std::net::IpAddr;"),
            [
                "2 `Instant::now` is the driver's to call; take the time from `Now`",
                "3 `std::net` belongs to a driver; addresses that are plain values are in `core::net`"
            ]
        );
    }
}
