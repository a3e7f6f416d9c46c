//! The options of the server: arguments, and the variables that the platform's own MCP programs read.

use std::time::Duration;

use molecule_async::{Backlog, Setup};

use crate::args::{self, SetupChoice};
use crate::exit::Failure;
use crate::settings::Settings;

const POLL_SECS: &str = "MOLECULE_MCP_POLL_TIMEOUT_SECS";

/// The options.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub(super) backlog: Backlog,
    pub(super) duties: Duties,
    /// Whether `MOLECULE_MCP_VERBOSE` asks for what `-v` says.
    pub(super) is_verbose: bool,
    /// Whether a plugin's setup.sh is run.
    pub(super) setup: Setup,
    /// For how many seconds the coding agent is told to look for messages at the beginning of each turn; `None` for not at
    /// all.
    pub(super) poll_secs: Option<u64>,
}

/// What the program does beside its tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duties {
    /// It keeps the agent online, and holds its messages.
    All,
    /// It keeps the agent online. Another program has the inbox.
    NoInbox,
    /// Nothing: another program keeps the agent online.
    None,
}

impl Options {
    pub(super) fn read(settings: &Settings, args: &args::Mcp) -> Result<Self, Failure> {
        let is_on = |name: &str| match settings.var(name).as_deref() {
            None | Some("0" | "false" | "no" | "off") => Ok(false),
            Some("1" | "true" | "yes" | "on") => Ok(true),
            Some(_) => Err(Failure::usage(format!("{name} is neither 1 nor 0"))),
        };
        let (no_beat, no_inbox) = (is_on("MOLECULE_MCP_DISABLE_HEARTBEAT")?, is_on("MOLECULE_MCP_DISABLE_INBOX")?);
        let duties = match (no_beat, no_inbox) {
            (false, false) => Duties::All,
            (false, true) => Duties::NoInbox,
            (true, _) => Duties::None,
        };
        let poll_secs = match settings.var(POLL_SECS) {
            None => 2,
            Some(text) => text
                .parse()
                .ok()
                .filter(|secs| *secs <= 60)
                .ok_or_else(|| Failure::usage(format!("{POLL_SECS} is no whole number of seconds from 0 to 60")))?,
        };
        Ok(Self {
            backlog: args::backlog(&args.backlog)?,
            duties,
            is_verbose: is_on("MOLECULE_MCP_VERBOSE")?,
            setup: if args.setup == SetupChoice::Run { Setup::Run } else { Setup::Skip },
            poll_secs: Some(poll_secs).filter(|secs| *secs > 0),
        })
    }
}

/// The longest time for which a message is waited for, in one call of a tool.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(300);
