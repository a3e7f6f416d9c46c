//! The settings of a demo: its platform, its workspace and its intervals.

use std::path::PathBuf;
use std::time::Duration;

use molecule_core::{OriginHeader, ServerOptions};
use molecule_host::Storage;

use crate::embedded::{Embedded, PEER_TOKEN};

/// A demo's settings: from the environment for a real platform, or for an embedded platform.
#[derive(Debug)]
pub struct Settings {
    /// The platform's base URL: `MOLECULE_PLATFORM_URL`, or `PLATFORM_URL`.
    pub platform: String,
    /// The workspace's id: `MOLECULE_WORKSPACE_ID`, or `WORKSPACE_ID`.
    pub workspace_id: String,
    /// The token: `MOLECULE_WORKSPACE_TOKEN`, or the one that the embedded platform showed to the owner.
    pub token: Option<String>,
    /// The URL to register: `MOLECULE_REPORTED_URL`.
    pub reported_url: Option<String>,
    /// The organisation's id: `MOLECULE_ORG_ID`.
    pub org_id: Option<String>,
    /// The `Origin` header: `MOLECULE_ORIGIN`; `off` sends none.
    pub origin: OriginHeader,
    /// The agent's name on its card: `MOLECULE_AGENT_NAME`.
    pub name: String,
    /// The heartbeat interval: `HEARTBEAT_SECS`, which may be a fraction. The default is 30 s, or 0.2 s for the
    /// embedded platform.
    pub heartbeat: Duration,
    /// The state interval: `STATE_SECS`, which may be a fraction, with the same defaults.
    pub state: Duration,
    /// A plugin to install: `MOLECULE_PLUGIN`, or the one that the embedded platform's owner offers.
    pub plugin: Option<String>,
    /// The place of the agent's files: `MOLECULE_HOME`, or the embedded platform's temporary directory.
    pub storage: Storage,
    /// The embedded platform, which lives as long as the settings do.
    pub embedded: Option<Embedded>,
}

impl Settings {
    /// Reads the environment, and starts the embedded platform if the environment names no platform.
    ///
    /// # Errors
    /// A sentence for people, if a variable is invalid or the platform cannot start.
    pub fn from_env() -> Result<Self, String> {
        let platform = first(&["MOLECULE_PLATFORM_URL", "PLATFORM_URL"]);
        let workspace_id = first(&["MOLECULE_WORKSPACE_ID", "WORKSPACE_ID"]);
        match (platform, workspace_id) {
            (Some(platform), Some(id)) => Self::real(platform, id),
            (None, None) => Self::embedded(),
            (Some(_), None) => {
                Err("PLATFORM_URL is set and WORKSPACE_ID is not; set both, or neither for a demo".to_owned())
            }
            (None, Some(_)) => {
                Err("WORKSPACE_ID is set and PLATFORM_URL is not; set both, or neither for a demo".to_owned())
            }
        }
    }

    /// The options of the agent's server: it listens where `MOLECULE_A2A_BIND` says and registers `MOLECULE_REPORTED_URL`.
    /// The embedded platform's colleague may call it directly.
    pub fn server(&self) -> ServerOptions {
        let mut options = ServerOptions::new();
        if let Some(address) = first(&["MOLECULE_A2A_BIND"]) {
            options = options.bind(address);
        }
        if let Some(url) = &self.reported_url {
            options = options.url(url);
        }
        if let Some(embedded) = &self.embedded {
            options = options.peer_token(embedded.colleague().0, PEER_TOKEN);
        }
        options
    }

    fn real(platform: String, workspace_id: String) -> Result<Self, String> {
        let usual = Duration::from_secs(30);
        Ok(Self {
            platform,
            workspace_id,
            token: first(&["MOLECULE_WORKSPACE_TOKEN"]),
            reported_url: first(&["MOLECULE_REPORTED_URL"]),
            org_id: first(&["MOLECULE_ORG_ID"]),
            origin: origin(),
            name: name(),
            heartbeat: seconds("HEARTBEAT_SECS", usual)?,
            state: seconds("STATE_SECS", usual)?,
            plugin: first(&["MOLECULE_PLUGIN"]),
            storage: Storage::from_env(),
            embedded: None,
        })
    }

    fn embedded() -> Result<Self, String> {
        let short = Duration::from_millis(200);
        let (heartbeat, state) = (seconds("HEARTBEAT_SECS", short)?, seconds("STATE_SECS", short)?);
        let home = first(&["MOLECULE_HOME"]).filter(|home| home != ":memory:").map(PathBuf::from);
        let embedded =
            Embedded::start(home).map_err(|error| format!("the embedded platform could not start: {error}"))?;
        Ok(Self {
            platform: embedded.url(),
            workspace_id: embedded.workspace_id().to_string(),
            token: first(&["MOLECULE_WORKSPACE_TOKEN"]).or_else(|| Some(embedded.token().to_owned())),
            reported_url: first(&["MOLECULE_REPORTED_URL"]),
            org_id: None,
            origin: origin(),
            name: name(),
            heartbeat,
            state,
            plugin: Some(first(&["MOLECULE_PLUGIN"]).unwrap_or_else(|| crate::embedded::PLUGIN.to_owned())),
            storage: Storage::Dir(embedded.home().to_owned()),
            embedded: Some(embedded),
        })
    }
}

/// The first of some variables that is set and not empty.
fn first(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| molecule_host::var(name)).filter(|value| !value.trim().is_empty())
}

fn origin() -> OriginHeader {
    match first(&["MOLECULE_ORIGIN"]) {
        Some(word) if word == "off" => OriginHeader::Off,
        Some(origin) => OriginHeader::Explicit(origin),
        None => OriginHeader::Derived,
    }
}

fn name() -> String {
    first(&["MOLECULE_AGENT_NAME"]).unwrap_or_else(|| "remote-agent".to_owned())
}

fn seconds(name: &str, default: Duration) -> Result<Duration, String> {
    let Some(text) = first(&[name]) else {
        return Ok(default);
    };
    let secs = text.trim().parse::<f64>().ok().and_then(|secs| Duration::try_from_secs_f64(secs).ok());
    secs.filter(|secs| !secs.is_zero())
        .ok_or_else(|| format!("{name} is {text:?}; set it to a number of seconds above 0"))
}
