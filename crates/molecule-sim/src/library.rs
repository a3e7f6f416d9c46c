//! The library of scenario files: those written by hand, and those that once failed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::scenario::Scenario;

/// The directory of the scenario files.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// All scenarios with their names, sorted by name.
///
/// # Errors
/// If a file cannot be read or is no scenario; the error names the file.
pub fn all() -> io::Result<Vec<(String, Scenario)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let scenario = serde_json::from_str(&fs::read_to_string(&path)?)
                .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
            found.push((name, scenario));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// The text of a scenario's file.
pub fn written(scenario: &Scenario) -> String {
    serde_json::to_string_pretty(scenario).expect("a scenario has text keys and finite numbers") + "\n"
}

/// Writes a scenario into a directory, which is created if it is missing. Returns the path of the file.
///
/// # Errors
/// If the directory or the file cannot be written.
pub fn save(directory: &Path, name: &str, scenario: &Scenario) -> io::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let path = directory.join(format!("{name}.json"));
    fs::write(&path, written(scenario))?;
    Ok(path)
}
