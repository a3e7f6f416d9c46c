//! The project's own tooling: `cargo xtask ci` is the gate without the tests, `cargo xtask tidy` checks the tree,
//! `cargo xtask house` prints the figures by which two checkouts are compared, `cargo xtask fuzz` runs the fuzz
//! targets, `cargo xtask soak` runs new random scenarios of the simulator, `cargo xtask systems` compiles for systems
//! on which the tests do not run, `cargo xtask floors` compiles with the lowest versions of the dependencies,
//! `cargo xtask interop` runs the official SDK of A2A against this project, `cargo xtask dist` packs the program.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod ci;
mod demo;
mod dist;
mod floors;
mod fuzz;
mod interop;
mod soak;
mod systems;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// An error as one sentence for the terminal.
type Failure = String;

const USAGE: &str = "usage: cargo xtask ci [--without-deny] | tidy | house [PATH] | fuzz --seconds N | soak --minutes N | systems | floors | interop DIRECTORY
       cargo xtask dist [--target TRIPLE] [--check] [--lean]

  ci       all that the gate runs besides the tests; where there is no cargo-deny, without licences, sources and bans
  tidy     the checks of the tree alone
  house    sizes, arrows up and knots of this checkout or another one, to be compared before and after a change
  fuzz     every fuzz target for so many seconds (needs cargo-fuzz and a nightly toolchain)
  soak     made-up scenarios in the simulator for so many minutes
  systems  whether the crates compile for Windows, macOS and FreeBSD (needs rustup)
  floors   whether they compile with the lowest versions that their manifests allow (needs rustup and a nightly toolchain)
  interop  the official SDK of A2A against this project (needs its Python environments, which .ci/run makes)
  dist     the program as it is handed out, below target/packages: static, with man pages, completions, licences, SBOM and sums;
           --check packs twice and compares, --lean only builds it without its default features and looks at its size";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ci"] => ci::run(&root(), ci::Deny::Asked),
        ["ci", "--without-deny"] => ci::run(&root(), ci::Deny::Skipped),
        ["tidy"] => tidy::run(&root()),
        ["house"] => tidy::house(&root()),
        ["house", path] => tidy::house(Path::new(path)),
        ["fuzz", "--seconds", seconds] => fuzz::run(&root(), seconds),
        ["soak", "--minutes", minutes] => soak::run(&root(), minutes),
        ["systems"] => systems::run(&root()),
        ["floors"] => floors::run(&root()),
        ["interop", directory] => interop::run(&root(), directory),
        ["dist", ref options @ ..] => dist::run(&root(), options),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace: the parent of this crate's directory.
fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// The cargo that runs this program, so that its toolchain is used.
fn cargo() -> std::process::Command {
    std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The output of cargo with these arguments in `root`.
fn cargo_says(root: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let shown = arguments.join(" ");
    let output = cargo().args(arguments).current_dir(root).output();
    let output = output.map_err(|error| format!("`cargo {shown}` could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("`cargo {shown}` failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
