//! The scenarios that are kept, in `scenarios/fleet`.

use std::io;
use std::path::{Path, PathBuf};

use super::scenario::FleetScenario;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join("fleet")
}

/// All that are kept, by name.
///
/// # Errors
/// A file that cannot be read.
pub fn fleet_scenarios() -> io::Result<Vec<(String, FleetScenario)>> {
    let mut kept = Vec::new();
    for file in std::fs::read_dir(directory())? {
        let path = file?.path();
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let scenario = serde_json::from_str(&std::fs::read_to_string(&path)?)
            .map_err(|error| io::Error::other(format!("{name}: {error}")))?;
        kept.push((name, scenario));
    }
    kept.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(kept)
}

/// The text of a scenario's file.
pub fn written_fleet(scenario: &FleetScenario) -> String {
    serde_json::to_string_pretty(scenario).expect("a scenario has text keys") + "\n"
}

/// Writes a scenario to a file of a directory, which is created.
///
/// # Errors
/// A directory that cannot be written.
pub fn save_fleet_scenario(directory: &Path, name: &str, scenario: &FleetScenario) -> io::Result<PathBuf> {
    std::fs::create_dir_all(directory)?;
    let path = directory.join(format!("{name}.json"));
    std::fs::write(&path, written_fleet(scenario))?;
    Ok(path)
}
