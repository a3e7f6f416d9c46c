//! Several workspaces by variables: an array of JSON, or lists with commas.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::token::GivenToken;
use super::vars::Vars;
use super::{PLATFORM, Workspace, no_platform};
use crate::exit::Failure;

const ARRAYS: [&str; 2] = ["MOLECULE_WORKSPACES", "MOLECULE_WORKSPACES_JSON"];
const IDS: &str = "MOLECULE_WORKSPACE_IDS";
const TOKENS: &str = "MOLECULE_WORKSPACE_TOKENS";
const PLATFORMS: &str = "MOLECULE_PLATFORM_URLS";

/// One workspace of the array, in the spellings of the platform's programs.
#[derive(Deserialize)]
struct Entry {
    #[serde(alias = "workspace_id")]
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default, alias = "workspace_token")]
    token: Option<Zeroizing<String>>,
    #[serde(default, alias = "platformUrl")]
    platform_url: Option<String>,
}

/// Reads the workspaces that the variables list; none if they list none.
pub(super) fn read(vars: &Vars) -> Result<Vec<Workspace>, Failure> {
    for name in ARRAYS {
        if let Some(array) = vars.get(&[name]).map(Zeroizing::new) {
            return from_array(vars, name, &array);
        }
    }
    match vars.get(&[IDS]) {
        Some(ids) => from_lists(vars, &ids),
        None => Ok(Vec::new()),
    }
}

fn from_array(vars: &Vars, name: &str, array: &str) -> Result<Vec<Workspace>, Failure> {
    // The parser's own message may quote a token.
    let entries: Vec<Entry> = serde_json::from_str(array).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Failure::usage(format!(
            "{name} is no array of {{\"id\", \"token\", \"platform_url\"}}: line {line}, column {column}"
        ))
    })?;
    if entries.is_empty() {
        return Err(Failure::usage(format!("{name} lists no workspace")));
    }
    let workspace = |entry: Entry| {
        let platform = entry.platform_url.or_else(|| vars.get(&PLATFORM)).ok_or_else(|| no_platform(&entry.id))?;
        let place = format!("the token of workspace {} in {name}", entry.id);
        let token = entry.token.map(|token| GivenToken::new(&token, &place)).transpose()?;
        Workspace::new(entry.name.as_deref(), &entry.id, platform, token)
    };
    entries.into_iter().map(workspace).collect()
}

fn from_lists(vars: &Vars, ids: &str) -> Result<Vec<Workspace>, Failure> {
    let list = |text: &str| text.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>();
    let ids = list(ids);
    let of_all = |name: &str| -> Result<Option<Vec<String>>, Failure> {
        let Some(found) = vars.get(&[name]).map(|text| list(&text)) else { return Ok(None) };
        let fault = || Failure::usage(format!("{name} must list as many values as {IDS}: {}", ids.len()));
        (found.len() == ids.len()).then_some(Some(found)).ok_or_else(fault)
    };
    let (tokens, platforms) = (of_all(TOKENS)?, of_all(PLATFORMS)?);
    let workspace = |(at, id): (usize, &String)| {
        let platform = platforms.as_ref().map(|all| all[at].clone()).or_else(|| vars.get(&PLATFORM));
        let token = tokens.as_ref().map(|all| GivenToken::new(&all[at], TOKENS)).transpose()?;
        Workspace::new(None, id, platform.ok_or_else(|| no_platform(id))?, token)
    };
    ids.iter().enumerate().map(workspace).collect()
}
