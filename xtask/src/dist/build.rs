//! The build of the program: which target, with which flags, and what went into it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{metadata, read};
use crate::{Failure, cargo};

/// The profile of the workspace's manifest.
const PROFILE: &str = "dist";

/// The most bytes of the program, without the feature `mcp` and with it.
const MOST_BYTES: [u64; 2] = [8_000_000, 12_000_000];

/// A program that was built, and what it was built from.
#[derive(Debug)]
pub(super) struct Built {
    /// The program's version.
    pub(super) version: String,
    /// The target triple.
    pub(super) target: String,
    /// Why it is that target.
    why: String,
    /// The version of rustc, as it names itself.
    pub(super) rustc: String,
    /// The file of the program.
    pub(super) path: PathBuf,
    /// Its content.
    pub(super) binary: Vec<u8>,
    /// The features of the program.
    pub(super) features: Vec<String>,
    /// The crates that were compiled.
    pub(super) crates: Vec<Compiled>,
}

/// A crate that was compiled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Compiled {
    /// Cargo's id of its package.
    pub(super) package: String,
    /// Whether it is in the program. A procedural macro or a build script is not.
    pub(super) is_linked: bool,
}

impl Built {
    pub(super) fn has_mcp(&self) -> bool {
        self.features.iter().any(|feature| feature == "mcp")
    }

    /// The processor of the target.
    pub(super) fn processor(&self) -> &str {
        self.target.split('-').next().unwrap_or_default()
    }

    /// Refuses a program that is too large.
    pub(super) fn check_size(&self) -> Result<(), Failure> {
        check_size(self.binary.len() as u64, self.has_mcp())
    }

    /// One line for people.
    pub(super) fn summary(&self) -> String {
        let (limit, with) = if self.has_mcp() { (MOST_BYTES[1], "with") } else { (MOST_BYTES[0], "without") };
        format!(
            "molecule {} for {} ({}): static, {} bytes {with} `mcp` (limit {limit})",
            self.version,
            self.target,
            self.why,
            self.binary.len()
        )
    }
}

fn check_size(bytes: u64, has_mcp: bool) -> Result<(), Failure> {
    let limit = MOST_BYTES[usize::from(has_mcp)];
    let with = if has_mcp { "with" } else { "without" };
    match bytes <= limit {
        true => Ok(()),
        false => Err(format!(
            "dist: the program has {bytes} bytes {with} `mcp`, which is more than {limit}; `cargo bloat --profile dist` shows what grew"
        )),
    }
}

/// Builds the program for a target, or for the one that makes the best static program on this machine.
pub(super) fn build(root: &Path, target: Option<&str>, is_lean: bool) -> Result<Built, Failure> {
    let rustc = says("rustc", &["-vV"])?;
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("`rustc -vV` names no host")?;
    let (target, why) = match target {
        Some(target) => (target.to_owned(), "as --target says".to_owned()),
        None => choose(host, has_std, has_compiler)?,
    };
    if !target.contains("-linux-") {
        return Err(format!(
            "dist: {target} is no Linux; `cargo build --profile {PROFILE} -p molecule-cli` builds the program there"
        ));
    }
    let mut arguments = vec!["build", "--locked", "--profile", PROFILE, "-p", "molecule-cli", "--bin", "molecule"];
    arguments.extend(["--target", &target, "--message-format", "json-render-diagnostics"]);
    if is_lean {
        arguments.push("--no-default-features");
    }
    let mut command = cargo();
    command.args(&arguments).current_dir(root).env("CARGO_ENCODED_RUSTFLAGS", flags(root)?.join("\x1f"));
    // Flags of the machine would get into a program that is for others.
    command.env_remove("RUSTFLAGS").stderr(Stdio::inherit());
    let output = command.output().map_err(|error| format!("`cargo {}`: {error}", arguments.join(" ")))?;
    if !output.status.success() {
        return Err(format!("`cargo {}` ended with {}", arguments.join(" "), output.status));
    }
    let (path, features, crates) = artifacts(&String::from_utf8_lossy(&output.stdout), &target)?;
    let binary = read(&path)?;
    check_paths(&binary, &[root, &cargo_home()?])?;
    Ok(Built {
        version: version(root)?,
        why,
        rustc: rustc.lines().next().unwrap_or_default().to_owned(),
        binary,
        path,
        features,
        crates,
        target,
    })
}

/// Cargo's own directory, which has the sources of the crates.
fn cargo_home() -> Result<PathBuf, Failure> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .ok_or_else(|| "there is no CARGO_HOME".to_owned())
}

/// Refuses a program in which one of these directories stands.
fn check_paths(program: &[u8], directories: &[&Path]) -> Result<(), Failure> {
    for directory in directories {
        let text = directory.to_string_lossy();
        if program.windows(text.len()).any(|bytes| bytes == text.as_bytes()) {
            return Err(format!(
                "dist: the program names {text}, which is of this machine alone; which crate writes it?"
            ));
        }
    }
    Ok(())
}

/// The flags of rustc. Paths of this machine have no place in the program, in whose panics they would stand.
fn flags(root: &Path) -> Result<Vec<String>, Failure> {
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    let sources = cargo_home()?.join("registry").join("src");
    // Each registry has a directory of its own, whose name depends on how cargo reaches it.
    let registries = std::fs::read_dir(&sources).into_iter().flatten().flatten().map(|entry| (entry.path(), "crates"));
    let mut prefixes: Vec<(PathBuf, &str)> = registries.collect();
    prefixes.sort();
    for (prefix, shown) in prefixes.into_iter().chain([(root.to_owned(), "molecule")]) {
        let prefix = prefix.to_str().ok_or_else(|| format!("{} is no Unicode", prefix.display()))?;
        flags.push(format!("--remap-path-prefix={prefix}={shown}"));
    }
    Ok(flags)
}

/// The target for a static program on this host, and why it is that one: musl, whose programs run in every distribution, where its
/// standard library and a C compiler for it are installed, else the host's own.
fn choose(
    host: &str,
    has_std: impl Fn(&str) -> bool,
    has_compiler: impl Fn(&str) -> bool,
) -> Result<(String, String), Failure> {
    let (processor, _) = host
        .split_once("-unknown-linux-")
        .ok_or_else(|| format!("dist: this is {host}; static programs are made on Linux, or with --target for one"))?;
    let musl = format!("{processor}-unknown-linux-musl");
    let lacks = if !has_std(&musl) {
        format!("musl's std is not installed: `rustup target add {musl}`")
    } else if !has_compiler(processor) {
        "musl's C compiler is not installed: package musl-tools".to_owned()
    } else {
        return Ok((musl, "its std and its C compiler are installed".to_owned()));
    };
    Ok((host.to_owned(), format!("glibc, linked statically, since {lacks}")))
}

fn has_std(target: &str) -> bool {
    let directory = says("rustc", &["--print", "target-libdir", "--target", target]);
    let directory = directory.ok().and_then(|directory| std::fs::read_dir(directory.trim()).ok());
    directory.into_iter().flatten().flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

fn has_compiler(processor: &str) -> bool {
    ["musl-gcc".to_owned(), format!("{processor}-linux-musl-gcc")].iter().any(|name| is_on_path(name))
}

/// Returns whether a program of this name is on `PATH`.
pub(super) fn is_on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

/// The program's file and features, and the crates that were compiled, from cargo's messages. With a target, what is for the
/// build itself is in another directory.
fn artifacts(messages: &str, target: &str) -> Result<(PathBuf, Vec<String>, Vec<Compiled>), Failure> {
    let (mut program, mut crates) = (None, Vec::new());
    for message in messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if message["reason"] != "compiler-artifact" {
            continue;
        }
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        if let Some(path) = message["executable"].as_str()
            && message["target"]["name"] == "molecule"
        {
            program = Some((PathBuf::from(path), texts(&message["features"])));
        }
        let below = format!("/{target}/{PROFILE}/");
        let is_linked = texts(&message["filenames"]).iter().any(|file| file.contains(&below));
        let package = message["package_id"].as_str().ok_or("cargo's message names no package")?.to_owned();
        crates.push(Compiled { package, is_linked });
    }
    crates.sort();
    crates.dedup();
    let (path, features) = program.ok_or("cargo built no program `molecule`")?;
    Ok((path, features, crates))
}

fn version(root: &Path) -> Result<String, Failure> {
    let metadata = metadata(root, &["--no-deps"])?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let program = packages.find(|package| package["name"] == "molecule-cli");
    Ok(program.and_then(|program| program["version"].as_str()).ok_or("there is no crate molecule-cli")?.to_owned())
}

/// What a program prints.
pub(super) fn says(program: &str, arguments: &[&str]) -> Result<String, Failure> {
    let shown = format!("`{program} {}`", arguments.join(" "));
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{shown}: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            Err(format!("{shown} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn musl_is_taken_where_it_is_whole() {
        let host = "x86_64-unknown-linux-gnu";
        let musl = "x86_64-unknown-linux-musl";
        let (target, _) = choose(host, |target| target == musl, |processor| processor == "x86_64").unwrap();
        assert_eq!(target, musl);
        let (target, why) = choose(host, |_| false, |_| true).unwrap();
        assert_eq!(target, host);
        assert!(why.contains("rustup target add x86_64-unknown-linux-musl"), "{why}");
        let (target, why) = choose(host, |_| true, |_| false).unwrap();
        assert_eq!(target, host);
        assert!(why.contains("musl-tools"), "{why}");
        assert!(choose("aarch64-apple-darwin", |_| true, |_| true).unwrap_err().contains("aarch64-apple-darwin"));
    }

    #[test]
    fn a_program_that_grew_too_large_is_refused() {
        assert_eq!(check_size(8_000_000, false), Ok(()));
        assert!(check_size(8_000_001, false).unwrap_err().contains("8000001 bytes without `mcp`"));
        assert_eq!(check_size(12_000_000, true), Ok(()));
        assert!(check_size(12_000_001, true).is_err());
    }

    #[test]
    fn a_program_that_names_a_directory_of_this_machine_is_refused() {
        let directories = [Path::new("/home/me/tree"), Path::new("/home/me/.cargo")];
        assert_eq!(check_paths(b"\0crates/a/src/lib.rs\0/home/you/.cargo\0", &directories), Ok(()));
        let failure = check_paths(b"\0/home/me/.cargo/registry\0", &directories).unwrap_err();
        assert!(failure.contains("names /home/me/.cargo,"), "{failure}");
    }

    #[test]
    fn what_is_linked_is_told_from_what_only_builds() {
        let messages = r#"
{"reason":"compiler-artifact","package_id":"libc 1","target":{"name":"libc"},"filenames":["/t/dist/deps/liblibc.rlib"],"executable":null}
{"reason":"compiler-artifact","package_id":"libc 1","target":{"name":"libc"},"filenames":["/t/a-linux/dist/deps/liblibc.rlib"],"executable":null}
{"reason":"compiler-artifact","package_id":"derive 1","target":{"name":"derive"},"filenames":["/t/dist/deps/libderive.so"],"executable":null}
{"reason":"build-script-executed","package_id":"libc 1"}
{"reason":"compiler-artifact","package_id":"cli","target":{"name":"molecule"},"features":["mcp"],"filenames":["/t/a-linux/dist/molecule"],"executable":"/t/a-linux/dist/molecule"}
{"reason":"build-finished","success":true}"#;
        let (path, features, crates) = artifacts(messages, "a-linux").unwrap();
        assert_eq!((path.to_str().unwrap(), features), ("/t/a-linux/dist/molecule", vec!["mcp".to_owned()]));
        let crates: Vec<(&str, bool)> = crates.iter().map(|one| (&*one.package, one.is_linked)).collect();
        assert_eq!(crates, [("cli", true), ("derive 1", false), ("libc 1", false), ("libc 1", true)]);
        assert!(artifacts("", "a-linux").is_err());
    }
}
