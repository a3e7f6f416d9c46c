//! Which workspaces there are, and how each is reached: arguments, variables, `molecule.toml`.
//!
//! The names of the variables are those of the platform's own snippets and of the Python SDK; of several names for one
//! thing the first that is set counts. A token comes from a variable, a file or standard input, never from an argument.

mod file;
mod several;
mod token;
mod vars;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use molecule_async::core::proto::AgentCard;
use molecule_async::{Agent, AgentBuilder, OriginHeader, Proxy, Storage, Store, WorkspaceId};

use crate::args::Place;
use crate::exit::Failure;
use sha2::{Digest as _, Sha256};
use token::GivenToken;
use vars::Vars;
use zeroize::Zeroizing;

const WORKSPACE: [&str; 2] = ["WORKSPACE_ID", "MOLECULE_WORKSPACE_ID"];
const PLATFORM: [&str; 2] = ["PLATFORM_URL", "MOLECULE_PLATFORM_URL"];
const DESCRIPTION: [&str; 2] = ["MOLECULE_AGENT_DESCRIPTION", "MOLECULE_AGENT_DESC"];
const ORG: [&str; 3] = ["MOLECULE_ORG_ID", "MOLECULE_ORGANIZATION_ID", "MOLECULE_ORG"];

/// Reads a credential from a file, or from standard input for `-`.
pub(crate) fn read_credential(file: &Path) -> Result<Zeroizing<String>, Failure> {
    GivenToken::from_file(file).map(GivenToken::take)
}

/// A workspace that the program works for.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// How the program calls it: its name in the configuration, or the first part of its id.
    pub(crate) label: String,
    id: WorkspaceId,
    platform: String,
    token: Option<GivenToken>,
}

/// Everything that the arguments and the variables say.
#[derive(Debug)]
pub(crate) struct Settings {
    place: Place,
    vars: Vars,
    workspaces: Vec<Workspace>,
}

impl Settings {
    /// Reads the arguments, the variables and the files that they name.
    pub(crate) fn read(place: Place) -> Result<Self, Failure> {
        let vars = Vars::read(place.env_file.as_deref())?;
        let workspaces = workspaces(&place, &vars)?;
        Ok(Self { place, vars, workspaces })
    }

    /// What names a workspace, where it is not one of these settings: `--workspace`, or its variable.
    #[cfg(feature = "dev")]
    pub(crate) fn named(place: &Place) -> Result<Option<String>, Failure> {
        let vars = Vars::read(place.env_file.as_deref())?;
        Ok(place.workspace.clone().or_else(|| vars.get(&WORKSPACE)))
    }

    /// The workspaces, of which there is at least one.
    pub(crate) fn workspaces(&self) -> &[Workspace] {
        &self.workspaces
    }

    /// The only workspace.
    pub(crate) fn one(&self) -> Result<&Workspace, Failure> {
        match &*self.workspaces {
            [one] => Ok(one),
            all => {
                let names = all.iter().map(|one| &*one.label).collect::<Vec<_>>().join(", ");
                Err(Failure::usage(format!("there are several workspaces ({names}); choose one with --workspace")))
            }
        }
    }

    /// Begins an agent for a workspace. `name` is the agent's name on its card.
    pub(crate) fn agent(&self, workspace: &Workspace, name: Option<&str>) -> Result<AgentBuilder, Failure> {
        let mut builder = Agent::builder(&*workspace.platform, workspace.id.as_str());
        if let Some(token) = &workspace.token {
            builder = builder.token(token.expose());
        }
        if let Some(card) = self.card(name)? {
            builder = builder.card(card);
        }
        if let Some(org) = self.place.org.clone().or_else(|| self.vars.get(&ORG)) {
            builder = builder.org_id(org);
        }
        builder = match self.vars.get(&["MOLECULE_ORIGIN"]).as_deref() {
            None => builder,
            Some("off") => builder.origin(OriginHeader::Off),
            Some(origin) => builder.origin(OriginHeader::Explicit(origin.to_owned())),
        };
        if let Some(file) = self.vars.get(&["MOLECULE_CA_FILE"]) {
            let pem = std::fs::read(&file).map_err(|error| {
                Failure::usage(format!("MOLECULE_CA_FILE names {file}, which cannot be read: {error}"))
            })?;
            builder = builder.extra_ca(pem);
        }
        if self.place.allow_insecure_http {
            builder = builder.allow_insecure_http();
        }
        Ok(builder.storage(self.storage()))
    }

    /// The agent's card, if anything says what it holds: the file that `--card` names, and over it the name, the
    /// description and the skills that variables give.
    pub(crate) fn card(&self, name: Option<&str>) -> Result<Option<AgentCard>, Failure> {
        let file = self.place.card.as_deref().map(card_from_file).transpose()?;
        let name = name.map(str::to_owned).or_else(|| self.vars.get(&["MOLECULE_AGENT_NAME"]));
        let description = self.vars.get(&DESCRIPTION);
        let skills = self.vars.get(&["MOLECULE_AGENT_SKILLS"]);
        if file.is_none() && name.is_none() && description.is_none() && skills.is_none() {
            return Ok(None);
        }
        let mut card = file.unwrap_or_default();
        card.name = name.or(card.name);
        card.description = description.or(card.description);
        if let Some(skills) = skills {
            card.extra.remove("skills");
            let skills = skills.split(',').map(str::trim).filter(|skill| !skill.is_empty()).map(str::to_owned);
            card = skills.fold(card, AgentCard::skill);
        }
        Ok(Some(card))
    }

    /// Everything that says how a workspace is reached. Where that changes, its agent has to be another one.
    pub(crate) fn way_to(&self, workspace: &Workspace) -> String {
        let var = |names: &[&str]| self.vars.get(names).unwrap_or_default();
        let org = self.place.org.clone().unwrap_or_else(|| var(&ORG));
        // The token itself is compared, and does not stay in memory in another place.
        let token = workspace.token.as_ref().map(|token| Sha256::digest(token.expose().as_bytes()).to_vec());
        let (origin, ca) = (var(&["MOLECULE_ORIGIN"]), var(&["MOLECULE_CA_FILE"]));
        format!("{} {} {org} {origin} {ca} {token:?}", workspace.id, workspace.platform)
    }

    /// Reads everything again, but for what standard input gave.
    pub(crate) fn read_again(&self) -> Result<Self, Failure> {
        let mut place = self.place.clone();
        let was_stdin = place.token_file.as_deref().is_some_and(|file| file.as_os_str() == "-");
        if was_stdin {
            place.token_file = None;
        }
        let mut read = Self::read(place)?;
        if let (true, [now], [before]) = (was_stdin, &mut *read.workspaces, &*self.workspaces) {
            now.token.clone_from(&before.token);
        }
        read.place = self.place.clone();
        Ok(read)
    }

    /// The value of a variable, if it is set.
    #[cfg(feature = "mcp")]
    pub(crate) fn var(&self, name: &str) -> Option<String> {
        self.vars.get(&[name])
    }

    /// The directory of an agent's own files. Without one of its own, it is below the system's directory for temporary
    /// files.
    pub(crate) fn directory_of(&self, workspace: &WorkspaceId) -> PathBuf {
        match self.storage() {
            Storage::Dir(home) => home.join(workspace.as_str()),
            _ => std::env::temp_dir().join(format!("molecule-{}", std::process::id())).join(workspace.as_str()),
        }
    }

    /// The store of an agent's token; `None` if that is in memory.
    pub(crate) fn store(&self, workspace: &Workspace) -> Result<Option<Arc<dyn Store>>, Failure> {
        match self.storage() {
            Storage::Memory => Ok(None),
            storage => Ok(Some(storage.open(&workspace.id)?)),
        }
    }

    /// The proxy through which requests to the platform go, as host and port.
    pub(crate) fn proxy_of(&self, workspace: &Workspace) -> Option<String> {
        let rule = Proxy::Environment.rule(|name| std::env::var(name).ok()).ok()?;
        let proxy = rule.proxy_for(&workspace.platform.parse().ok()?).ok()??;
        Some(format!("{}:{}", proxy.host(), proxy.port()))
    }

    fn storage(&self) -> Storage {
        let home = self.place.home.clone().or_else(|| self.vars.get(&["MOLECULE_HOME"]).map(PathBuf::from));
        match home {
            Some(home) if home.as_os_str() == ":memory:" => Storage::Memory,
            Some(home) => Storage::Dir(home),
            None => Storage::from_env(),
        }
    }
}

fn workspaces(place: &Place, vars: &Vars) -> Result<Vec<Workspace>, Failure> {
    let mut found = several::read(vars)?;
    if found.is_empty() {
        found = from_file_or_single(place, vars)?;
    } else if let Some(chosen) = &place.workspace {
        found = choose(found, chosen)?;
    }
    for workspace in &mut found {
        if let Some(platform) = &place.platform {
            workspace.platform.clone_from(platform);
        }
    }
    if let Some(file) = &place.token_file {
        let [one] = &mut *found else {
            return Err(Failure::usage("--token-file needs --workspace, since there are several workspaces"));
        };
        one.token = Some(GivenToken::from_file(file)?);
    }
    let twice = found.iter().enumerate().find(|(at, one)| found[..*at].iter().any(|other| other.label == one.label));
    match twice {
        Some((_, twice)) => Err(Failure::usage(format!("workspace {} is listed twice", twice.label))),
        None => Ok(found),
    }
}

/// Reads a card: an object of JSON.
fn card_from_file(file: &Path) -> Result<AgentCard, Failure> {
    let failed = |why: String| Failure::usage(format!("--card {}: {why}", file.display()));
    let content = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    serde_json::from_slice(&content).map_err(|error| {
        failed(format!("it is no card, an object of JSON: line {}, column {}", error.line(), error.column()))
    })
}

fn from_file_or_single(place: &Place, vars: &Vars) -> Result<Vec<Workspace>, Failure> {
    // A workspace that a variable names counts, whatever file lies in the working directory.
    let is_named = place.config.is_none() && vars.get(&WORKSPACE).is_some();
    if !is_named && let Some(listed) = file::read(place, vars)? {
        let Some(chosen) = &place.workspace else { return Ok(listed) };
        let is_id = chosen.parse::<WorkspaceId>().is_ok();
        if place.config.is_some() || !is_id || listed.iter().any(|one| one.is(chosen)) {
            return choose(listed, chosen);
        }
    }
    let id = place.workspace.clone().or_else(|| vars.get(&WORKSPACE));
    let id = id.ok_or_else(|| {
        Failure::usage("no workspace is named; give --workspace, set WORKSPACE_ID, or list it in molecule.toml")
    })?;
    let platform = place.platform.clone().or_else(|| vars.get(&PLATFORM)).ok_or_else(|| no_platform(&id))?;
    Ok(vec![Workspace::new(None, &id, platform, GivenToken::from_vars(vars)?)?])
}

fn no_platform(id: &str) -> Failure {
    Failure::usage(format!(
        "no platform is named for workspace {id}; give --platform, or set PLATFORM_URL to its base URL"
    ))
}

/// Takes the workspace with this id or name.
fn choose(found: Vec<Workspace>, chosen: &str) -> Result<Vec<Workspace>, Failure> {
    let names = found.iter().map(|one| one.label.clone()).collect::<Vec<_>>().join(", ");
    let taken: Vec<_> = found.into_iter().filter(|one| one.is(chosen)).collect();
    if taken.len() == 1 {
        return Ok(taken);
    }
    Err(Failure::usage(format!("--workspace {chosen} is none of the workspaces that are configured: {names}")))
}

impl Workspace {
    pub(crate) fn id(&self) -> &WorkspaceId {
        &self.id
    }

    /// The platform's base URL.
    pub(crate) fn platform(&self) -> &str {
        &self.platform
    }

    /// Where the token comes from that was given; `None` if none was.
    pub(crate) fn token_place(&self) -> Option<&str> {
        self.token.as_ref().map(GivenToken::place)
    }

    /// Returns whether this is its name or its id.
    fn is(&self, chosen: &str) -> bool {
        self.label == chosen || self.id.as_str() == chosen.to_ascii_lowercase()
    }

    fn new(name: Option<&str>, id: &str, platform: String, token: Option<GivenToken>) -> Result<Self, Failure> {
        let id: WorkspaceId = id.trim().parse().map_err(|error| Failure::usage(format!("workspace {id}: {error}")))?;
        let label = name.unwrap_or_else(|| id.as_str().split('-').next().unwrap_or_default()).to_owned();
        Ok(Self { label, id, platform: platform.trim().to_owned(), token })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ONE: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";
    const TWO: &str = "9f39ce87-2726-40d6-bb91-05eb57b17ef2";

    fn read(place: &Place, vars: &[(&str, &str)]) -> Result<Vec<(String, String, Option<String>)>, String> {
        let found = workspaces(place, &Vars::of(vars)).map_err(|failure| failure.to_string())?;
        let shown = |one: Workspace| {
            let token = one.token.map(|token| token.expose().to_owned());
            (one.id.to_string(), one.platform, token)
        };
        Ok(found.into_iter().map(shown).collect())
    }

    fn one(id: &str, platform: &str, token: Option<&str>) -> Vec<(String, String, Option<String>)> {
        vec![(id.to_owned(), platform.to_owned(), token.map(str::to_owned))]
    }

    #[test]
    fn the_variables_of_the_snippets_and_of_the_sdk_name_a_workspace() {
        let none = Place::default();
        let short = [("WORKSPACE_ID", ONE), ("PLATFORM_URL", "https://a"), ("MOLECULE_WORKSPACE_TOKEN", "tok-1")];
        assert_eq!(read(&none, &short).unwrap(), one(ONE, "https://a", Some("tok-1")));
        let long = [("MOLECULE_WORKSPACE_ID", ONE), ("MOLECULE_PLATFORM_URL", "https://b")];
        assert_eq!(read(&none, &long).unwrap(), one(ONE, "https://b", None));
        let both = [short[0], ("PLATFORM_URL", " "), long[0], long[1]];
        assert_eq!(read(&none, &both).unwrap(), one(ONE, "https://b", None));
        let place = Place { workspace: Some(TWO.to_owned()), platform: Some("https://c".to_owned()), ..none };
        assert_eq!(read(&place, &short).unwrap(), one(TWO, "https://c", Some("tok-1")));
    }

    #[test]
    fn what_is_missing_is_named_with_its_remedy() {
        let none = Place::default();
        assert!(read(&none, &[]).unwrap_err().contains("set WORKSPACE_ID"));
        assert!(read(&none, &[("WORKSPACE_ID", ONE)]).unwrap_err().contains("PLATFORM_URL"));
        let wrong = [("WORKSPACE_ID", "seven"), ("PLATFORM_URL", "https://a")];
        assert!(read(&none, &wrong).unwrap_err().starts_with("workspace seven: "));
    }

    #[test]
    fn several_workspaces_are_told_apart() {
        let list = format!(
            r#"[{{"id":"{ONE}","token":"tok-1","platform_url":"https://a"}},{{"workspace_id":"{TWO}","workspace_token":"tok-2"}}]"#
        );
        for name in ["MOLECULE_WORKSPACES", "MOLECULE_WORKSPACES_JSON"] {
            let vars = [(name, &*list), ("PLATFORM_URL", "https://b"), ("WORKSPACE_ID", TWO)];
            let all = [one(ONE, "https://a", Some("tok-1")), one(TWO, "https://b", Some("tok-2"))].concat();
            assert_eq!(read(&Place::default(), &vars).unwrap(), all, "the single ones are ignored");
            let place = Place { workspace: Some(TWO.to_owned()), ..Place::default() };
            assert_eq!(read(&place, &vars).unwrap(), one(TWO, "https://b", Some("tok-2")));
            let place = Place { workspace: Some("other".to_owned()), ..Place::default() };
            assert!(read(&place, &vars).unwrap_err().contains("9f39ce87"));
        }
        let lists = [
            ("MOLECULE_WORKSPACE_IDS", &*format!("{ONE}, {TWO}")),
            ("MOLECULE_WORKSPACE_TOKENS", "tok-1,tok-2"),
            ("MOLECULE_PLATFORM_URLS", "https://a,https://b"),
        ];
        let all = [one(ONE, "https://a", Some("tok-1")), one(TWO, "https://b", Some("tok-2"))].concat();
        assert_eq!(read(&Place::default(), &lists).unwrap(), all);
        let uneven = [lists[0], ("MOLECULE_WORKSPACE_TOKENS", "tok-1"), lists[2]];
        assert!(read(&Place::default(), &uneven).unwrap_err().contains("as many"));
    }

    #[test]
    fn a_token_that_only_stands_for_one_is_refused_with_the_remedy() {
        let vars = [
            ("WORKSPACE_ID", ONE),
            ("PLATFORM_URL", "https://a"),
            ("MOLECULE_WORKSPACE_TOKEN", "<ROTATE_TO_REVEAL_TOKEN>"),
        ];
        assert!(read(&Place::default(), &vars).unwrap_err().contains("rotate"));
    }
}
