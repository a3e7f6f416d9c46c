//! Copies the README's whole programs out of the README, so that a test can run the programs that people copy.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

/// The values that a reader replaces by their own, and the variables that have them in the test.
const OWN: [(&str, &str); 2] = [
    ("https://your-platform.example.com", "README_PLATFORM"),
    ("7fda77bf-a467-441c-9fab-7d8aba8e6040", "README_WORKSPACE"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let readme = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../README.md");
    println!("cargo::rerun-if-changed={}", readme.display());
    let text = fs::read_to_string(readme)?;
    let out = env::var("OUT_DIR")?;
    for (heading, file) in [
        ("## Sixty seconds, blocking", "readme.rs"),
        ("## Sixty seconds, async", "readme-async.rs"),
        ("## Receive work", "readme-receive.rs"),
        ("## Be called", "readme-called.rs"),
    ] {
        let program = program(&text, heading).ok_or(format!("the README has no program below {heading:?}"))?;
        fs::write(Path::new(&out).join(file), program)?;
    }
    Ok(())
}

/// The first block of Rust below a heading. It reads the reader's own values from the environment.
fn program(readme: &str, heading: &str) -> Option<String> {
    let below = readme.split_once(heading)?.1;
    let block = below.split_once("```rust,no_run\n")?.1.split_once("```")?.0;
    OWN.iter().try_fold(block.to_owned(), |program, (own, variable)| {
        let literal = format!("{own:?}");
        let read = format!("std::env::var({variable:?}).expect(\"the test sets it\")");
        (program.matches(&literal).count() == 1).then(|| program.replace(&literal, &read))
    })
}
