//! The scenarios that are kept as files: those written by hand, and those that once failed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::scenario::Scenario;

/// Where they are kept.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// All of them with their names, in the order of these.
///
/// # Errors
/// A file that cannot be read or is no scenario, named.
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

/// A scenario as its file holds it.
pub fn written(scenario: &Scenario) -> String {
    serde_json::to_string_pretty(scenario).expect("a scenario has text keys and finite numbers") + "\n"
}

/// Writes a scenario into a directory, which is made if it is missing. Tells its file.
///
/// # Errors
/// If that fails.
pub fn save(directory: &Path, name: &str, scenario: &Scenario) -> io::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let path = directory.join(format!("{name}.json"));
    fs::write(&path, written(scenario))?;
    Ok(path)
}
