//! An agent: its workspace, its computer, and what its program is doing.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use http::Uri;
use molecule_core::{Config, Ended, ErrorKind, OnPause, Options};
use molecule_proto::{AgentCard, Time, Token, WorkspaceId};

use crate::clock::{BEGINNING, HostClock};
use crate::disk::Disk;
use crate::scenario::{AgentSetup, Crash};
use crate::weather::{Gust, Route};

/// The platform's origin in every world.
pub(crate) const ORIGIN: &str = "https://platform.example.com";

/// The organisation that agents with a shared rate limit belong to.
pub(crate) const ORGANISATION: &str = "11111111-2222-4333-8444-555555555555";

/// One agent.
pub struct Agent {
    /// How it is set up.
    pub setup: AgentSetup,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its disk.
    pub disk: Disk,
    /// What its program does.
    pub program: Program,
    /// The process that its program is, if it runs.
    pub process: Option<usize>,
    /// The token that is given to it by an option.
    pub given: Option<Token>,
    pub(crate) clock: HostClock,
    pub(crate) looping_since: Time,
    /// Until when nothing happens on its computer.
    pub(crate) asleep_until: Time,
    pub(crate) still_until: Time,
    pub(crate) reported_url: Option<String>,
    /// Every URL that it ever reported, or that its workspace was created with.
    pub(crate) published: BTreeSet<String>,
    pub(crate) doom: Option<Crash>,
    /// What the next requests meet.
    pub(crate) strikes: VecDeque<(Route, Gust)>,
}

/// What an agent's program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// It was not started yet.
    NotStarted,
    /// It registers, and will run the loop afterwards.
    Registering,
    /// It runs the loop.
    Looping,
    /// It failed, and will try again.
    Waiting(ErrorKind),
    /// It failed and ended.
    Failed(ErrorKind),
    /// Its loop ended.
    Finished(Ended),
    /// Its process crashed.
    Crashed,
}

impl Agent {
    pub(crate) fn new(
        number: usize,
        setup: AgentSetup,
        workspace: WorkspaceId,
        given: Option<Token>,
        up_for: Duration,
    ) -> Self {
        let reported_url = setup.push.then(|| url(number, 0));
        Self {
            setup,
            workspace,
            disk: Disk::default(),
            program: Program::NotStarted,
            process: None,
            given,
            clock: HostClock::new(up_for),
            looping_since: BEGINNING,
            asleep_until: BEGINNING,
            still_until: BEGINNING,
            published: reported_url.iter().cloned().chain([url(number, 0)]).collect(),
            reported_url,
            doom: None,
            strikes: VecDeque::new(),
        }
    }

    /// Between its heartbeats.
    pub fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.setup.heartbeat_s.into())
    }

    /// Between its looks at the state.
    pub fn state(&self) -> Duration {
        Duration::from_secs(self.setup.state_s.into())
    }

    /// Whether its computer sleeps or its clock stands still.
    pub fn is_odd(&self, at: Time) -> bool {
        at < self.asleep_until.max(self.still_until)
    }

    /// Its loop begins.
    pub(crate) fn loops(&mut self, at: Time) {
        self.program = Program::Looping;
        self.looping_since = at;
    }

    /// Its configuration, as its program would build it now.
    pub(crate) fn config(&self, in_organisation: bool) -> Config {
        let mut options = Options::new(ORIGIN, self.workspace.as_str())
            .card(AgentCard::new("simulated"))
            .heartbeat_interval(self.heartbeat())
            .state_interval(self.state());
        if self.setup.waits_on_pause {
            options = options.on_pause(OnPause::Wait);
        }
        if let Some(url) = &self.reported_url {
            options = options.reported_url(url.as_str());
        }
        if let Some(token) = &self.given {
            options = options.token(token.expose());
        }
        if in_organisation {
            options = options.org_id(ORGANISATION);
        }
        options.build().expect("a scenario's intervals and URLs make sense")
    }
}

/// The URL with this number of an agent, which nobody else has; both servers approve of it. The last one means something
/// on the agent's own machine alone, and a server that is no developer's calls nobody there.
pub(crate) fn url(agent: usize, number: u8) -> String {
    match number {
        u8::MAX => "https://localhost:8443/a2a".to_owned(),
        _ => format!("https://agent-{agent}-{number}.example.com/a2a"),
    }
}

/// Whether an agent could have reported this URL, so that its name has an address.
pub(crate) fn is_made_up(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    host == "localhost" || (host.starts_with("agent-") && host.ends_with(".example.com"))
}
