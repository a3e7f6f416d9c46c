//! `cargo xtask dist`: the program as it is handed out, for Linux. It builds a static binary, looks whether it is one, and packs
//! it with its man pages, completions, licences and bill of materials. `docs/releasing.md` says what comes after it.
//!
//! The same commit, toolchain and `SOURCE_DATE_EPOCH` give the same bytes.

mod build;
mod container;
mod deb;
mod elf;
mod entries;
mod inventory;
mod licences;
mod look_over;
mod pages;
mod sbom;
mod sums;

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Failure, cargo_says};
use build::Built;
use entries::{Entries, Epoch};
use inventory::Inventory;

/// The packages of one build, by their file names.
type Packages = BTreeMap<String, Vec<u8>>;

/// What the command line asks for.
#[derive(Debug, Default, PartialEq)]
struct Options {
    /// The target triple; without one it is chosen.
    target: Option<String>,
    /// Builds the program without its default features, and only looks at it.
    is_lean: bool,
    /// Packs twice, and compares.
    is_checked: bool,
}

impl Options {
    fn parse(arguments: &[&str]) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match *argument {
                "--lean" => options.is_lean = true,
                "--check" => options.is_checked = true,
                "--target" => {
                    let triple = arguments.next().ok_or("dist: --target needs a target triple")?;
                    options.target = Some((*triple).to_owned());
                }
                other => return Err(format!("dist: {other} is no option\n{}", crate::USAGE)),
            }
        }
        Ok(options)
    }
}

/// Builds and packs the program.
///
/// # Errors
///
/// The step that failed, and its remedy.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let options = Options::parse(arguments)?;
    let epoch = Epoch::read(root)?;
    let built = build::build(root, options.target.as_deref(), options.is_lean)?;
    elf::check_static(&built.binary)?;
    built.check_size()?;
    println!("== {}\n== {}", built.summary(), built.path.display());
    if options.is_lean {
        return Ok(());
    }
    let packages = pack(root, &built, epoch)?;
    if options.is_checked {
        compare(&packages, &pack(root, &built, epoch)?)?;
        println!("== packed twice: the same bytes");
    }
    let directory = root.join("target").join("packages");
    write(&directory, &packages)?;
    for (name, content) in &packages {
        println!("{:>10} bytes  target/packages/{name}", content.len());
    }
    look_over::run(&directory, &built)
}

/// Makes all packages from what was built.
fn pack(root: &Path, built: &Built, epoch: Epoch) -> Result<Packages, Failure> {
    let inventory = Inventory::read(root, built)?;
    let sbom = sbom::write(&inventory, built, epoch)?;
    let licences = licences::collect(&inventory)?;
    let pages = pages::write(root, built)?;
    let archive = archive(root, built, &pages, &licences)?;
    let name = archive_name(&built.version, &built.target);
    let mut packages = Packages::new();
    packages.insert(format!("{name}.tar.gz"), archive.below(&name).tar_gz(epoch)?);
    packages.insert(format!("{name}.cdx.json"), sbom.into_bytes());
    packages.insert(deb::file_name(built)?, deb::write(root, built, &pages, &licences, epoch)?);
    packages.insert(format!("{name}-container.tar.gz"), container::context(root, built)?.tar_gz(epoch)?);
    let sums = sums::write(&packages);
    packages.insert("SHA256SUMS".to_owned(), sums.into_bytes());
    Ok(packages)
}

/// The archive for those who unpack it themselves, and for `cargo binstall`.
fn archive(root: &Path, built: &Built, pages: &Entries, licences: &str) -> Result<Entries, Failure> {
    let mut entries = Entries::default();
    entries.file("molecule", 0o755, built.binary.clone());
    if built.has_mcp() {
        entries.link("molecule-mcp", "molecule");
    }
    for (name, from) in [
        ("README.md", "crates/molecule-cli/README.md"),
        ("CHANGELOG.md", "CHANGELOG.md"),
        ("LICENSE-APACHE", "LICENSE-APACHE"),
        ("LICENSE-MIT", "LICENSE-MIT"),
        ("molecule@.service", "crates/molecule-cli/packaging/molecule@.service"),
        ("agent.env", "crates/molecule-cli/packaging/agent.env"),
    ] {
        entries.file(name, 0o644, read(&root.join(from))?);
    }
    entries.file("THIRD-PARTY.txt", 0o644, licences.as_bytes().to_vec());
    entries.add(pages);
    Ok(entries)
}

/// The name of the archive without its ending, and of the directory in it. `[package.metadata.binstall]` of the program's manifest
/// says the same.
fn archive_name(version: &str, target: &str) -> String {
    format!("molecule-{version}-{target}")
}

fn compare(first: &Packages, second: &Packages) -> Result<(), Failure> {
    let differing = first.iter().filter(|(name, content)| second.get(*name) != Some(*content)).map(|(name, _)| &**name);
    let differing: Vec<&str> = differing.collect();
    match differing.is_empty() && first.len() == second.len() {
        true => Ok(()),
        false => Err(format!("dist: packed twice, these differ: {}", differing.join(", "))),
    }
}

/// Replaces the directory of the packages.
fn write(directory: &Path, packages: &Packages) -> Result<(), Failure> {
    // Files of another version are no part of this one's sums.
    let _ = std::fs::remove_dir_all(directory);
    let failed = |error| format!("{}: {error}", directory.display());
    std::fs::create_dir_all(directory).map_err(failed)?;
    packages.iter().try_for_each(|(name, content)| std::fs::write(directory.join(name), content).map_err(failed))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The answer of `cargo metadata` with these further arguments.
fn metadata(root: &Path, arguments: &[&str]) -> Result<serde_json::Value, Failure> {
    let said = cargo_says(root, &[&["metadata", "--format-version", "1", "--locked"], arguments].concat())?;
    serde_json::from_str(&said).map_err(|error| format!("`cargo metadata` printed no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_is_not_there_is_named() {
        assert_eq!(Options::parse(&[]), Ok(Options::default()));
        let all = Options::parse(&["--check", "--lean", "--target", "aarch64-unknown-linux-musl"]).unwrap();
        let target = Some("aarch64-unknown-linux-musl".to_owned());
        assert_eq!(all, Options { target, is_lean: true, is_checked: true });
        assert!(Options::parse(&["--target"]).unwrap_err().contains("needs a target triple"));
        assert!(Options::parse(&["--fast"]).unwrap_err().contains("--fast is no option"));
    }

    #[test]
    fn packages_that_differ_are_named() {
        let one = Packages::from([("a".to_owned(), vec![1]), ("b".to_owned(), vec![2])]);
        let mut other = one.clone();
        assert_eq!(compare(&one, &other), Ok(()));
        other.insert("b".to_owned(), vec![3]);
        assert!(compare(&one, &other).unwrap_err().ends_with("differ: b"));
        other.remove("b");
        assert!(compare(&one, &other).is_err());
        assert!(compare(&other, &one).is_err());
    }

    /// cargo-binstall fills in these templates, and finds nothing if they say anything else than the archive's name.
    #[test]
    fn binstall_finds_the_archive_and_the_program_in_it() {
        let manifest = include_str!("../../crates/molecule-cli/Cargo.toml");
        let manifest: toml::Table = manifest.parse().unwrap();
        let binstall = &manifest["package"]["metadata"]["binstall"];
        let filled = |key: &str| {
            let text = binstall[key].as_str().unwrap().replace("{ repo }", "https://forge");
            let text = text.replace("{ version }", "1.2.3").replace("{ target }", "x86_64-unknown-linux-musl");
            text.replace("{ bin }", "molecule").replace("{ binary-ext }", "")
        };
        let name = archive_name("1.2.3", "x86_64-unknown-linux-musl");
        assert_eq!(filled("pkg-url"), format!("https://forge/releases/download/v1.2.3/{name}.tar.gz"));
        assert_eq!(filled("bin-dir"), format!("{name}/molecule"));
        assert_eq!(filled("pkg-fmt"), "tgz");
    }
}
