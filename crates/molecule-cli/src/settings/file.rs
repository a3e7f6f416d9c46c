//! Several workspaces by a file, `molecule.toml`:
//!
//! ```toml
//! platform = "https://your-platform.example.com"
//!
//! [[workspace]]
//! id = "7fda77bf-a467-441c-9fab-7d8aba8e6040"
//! name = "research"
//! token_file = "research.token" # relative to this file; without one the store has the token
//! ```

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::token::GivenToken;
use super::vars::Vars;
use super::{PLATFORM, Workspace, no_platform};
use crate::args::Place;
use crate::exit::Failure;

const DEFAULT: &str = "molecule.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    platform: Option<String>,
    #[serde(default, rename = "workspace")]
    workspaces: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    name: Option<String>,
    platform: Option<String>,
    token_file: Option<PathBuf>,
}

/// Reads the file that `--config` names, or else `molecule.toml` in the working directory, if that exists.
pub(super) fn read(place: &Place, vars: &Vars) -> Result<Option<Vec<Workspace>>, Failure> {
    let file = place.config.as_deref().unwrap_or(Path::new(DEFAULT));
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && place.config.is_none() => return Ok(None),
        Err(error) => return Err(Failure::usage(format!("{} cannot be read: {error}", file.display()))),
    };
    let config: Config =
        toml::from_str(&text).map_err(|error| Failure::usage(format!("{}: {}", file.display(), error.message())))?;
    if config.workspaces.is_empty() {
        return Err(Failure::usage(format!("{} lists no [[workspace]]", file.display())));
    }
    let beside = file.parent().unwrap_or(Path::new(""));
    let workspace = |entry: &Entry| {
        let platform = entry.platform.clone().or_else(|| config.platform.clone()).or_else(|| vars.get(&PLATFORM));
        let token = entry.token_file.as_ref().map(|file| GivenToken::from_file(&beside.join(file))).transpose()?;
        Workspace::new(entry.name.as_deref(), &entry.id, platform.ok_or_else(|| no_platform(&entry.id))?, token)
    };
    config.workspaces.iter().map(workspace).collect::<Result<_, _>>().map(Some)
}
