//! An agent: its workspace, its computer, and the state of its program.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use http::Uri;
use molecule_core::{Config, Ended, ErrorKind, InboxOptions, OnPause, Options};
use molecule_proto::{ActivityId, AgentCard, Time, Token, WorkspaceId};

use crate::clock::{BEGINNING, HostClock};
use crate::disk::Disk;
use crate::handler::Handler;
use crate::scenario::{AgentSetup, Crash};
use crate::weather::{Gust, Route};

/// The platform's origin in every world.
pub(crate) const ORIGIN: &str = "https://platform.example.com";

/// The organisation that agents with a shared rate limit belong to.
pub(crate) const ORGANISATION: &str = "11111111-2222-4333-8444-555555555555";

/// One agent.
pub struct Agent {
    /// Its setup in the scenario.
    pub setup: AgentSetup,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its disk.
    pub disk: Disk,
    /// The state of its program.
    pub program: Program,
    /// The index of the program's process; `None` while it does not run.
    pub process: Option<usize>,
    /// The token in the program's options.
    pub given: Option<Token>,
    pub(crate) clock: HostClock,
    pub(crate) looping_since: Time,
    /// The end of the suspension of its computer.
    pub(crate) asleep_until: Time,
    pub(crate) still_until: Time,
    pub(crate) reported_url: Option<String>,
    /// Every URL that it ever reported, and the one that its workspace was created with.
    pub(crate) published: BTreeSet<String>,
    /// How its handler behaves now.
    pub(crate) handler: Handler,
    /// How many more runs of the handler kill the process, and whether the power fails with it.
    pub(crate) poison: (u8, bool),
    /// Whether it ever reported a URL, so that messages were pushed to it.
    pub(crate) was_pushed: bool,
    /// Whether old rows of its feed were removed.
    pub(crate) was_pruned: bool,
    /// The latest message that became a dead letter.
    pub(crate) dead_letter: Option<ActivityId>,
    pub(crate) doom: Option<Crash>,
    /// Faults for the next request on each of these routes.
    pub(crate) strikes: VecDeque<(Route, Gust)>,
}

/// The state of an agent's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Not started yet.
    NotStarted,
    /// Runs the register, and the loop after it.
    Registering,
    /// Runs the loop.
    Looping,
    /// Failed with this error, and will try again.
    Waiting(ErrorKind),
    /// Failed with this error and ended.
    Failed(ErrorKind),
    /// Its loop ended without an error.
    Finished(Ended),
    /// The process crashed.
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
        let is_pushed = setup.push || setup.server.is_some();
        let reported_url = is_pushed.then(|| url(number, 0));
        let (handler, was_pushed) = (setup.handler.unwrap_or_default(), is_pushed);
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
            handler,
            poison: (0, false),
            was_pushed,
            was_pruned: false,
            dead_letter: None,
            published: reported_url.iter().cloned().chain([url(number, 0)]).collect(),
            reported_url,
            doom: None,
            strikes: VecDeque::new(),
        }
    }

    /// The interval between its heartbeats.
    pub fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.setup.heartbeat_s.into())
    }

    /// The interval between its polls of the state.
    pub fn state(&self) -> Duration {
        Duration::from_secs(self.setup.state_s.into())
    }

    /// The part of a path that stands behind the path of its URL.
    pub(crate) fn below(&self, path: &str) -> String {
        let url: Option<Uri> = self.reported_url.as_ref().and_then(|url| url.parse().ok());
        let own = url.as_ref().map_or("", Uri::path);
        path.strip_prefix(own).unwrap_or(path).to_owned()
    }

    /// Returns whether it listens on this URL. Its own server also takes files below the URL.
    pub(crate) fn is_at(&self, url: &str) -> bool {
        let Some(rest) = self.reported_url.as_ref().and_then(|own| url.strip_prefix(own.as_str())) else {
            return false;
        };
        rest.is_empty() || (self.setup.server.is_some() && rest.starts_with("/internal/"))
    }

    /// Returns whether its computer is suspended or its clock stands still.
    pub fn is_odd(&self, at: Time) -> bool {
        at < self.asleep_until.max(self.still_until)
    }

    /// Records that the loop begins.
    pub(crate) fn loops(&mut self, at: Time) {
        self.program = Program::Looping;
        self.looping_since = at;
    }

    /// The configuration that its program would build now.
    /// `peers` are the tokens that it has for servers of others.
    pub(crate) fn config(&self, in_organisation: bool, peers: &[(WorkspaceId, String)]) -> Config {
        let mut options = Options::new(ORIGIN, self.workspace.as_str())
            .card(AgentCard::new("simulated"))
            .heartbeat_interval(self.heartbeat())
            .state_interval(self.state());
        if self.setup.handler.is_some() {
            options = options.inbox(InboxOptions::new().watch(self.setup.watches));
        }
        if self.setup.waits_on_pause {
            options = options.on_pause(OnPause::Wait);
        }
        // A server tells the session where it is.
        if let Some(url) = self.reported_url.as_ref().filter(|_| self.setup.server.is_none()) {
            options = options.reported_url(url.as_str());
        }
        if let Some(token) = &self.given {
            options = options.token(token.expose());
        }
        for (peer, token) in peers {
            options = options.peer_token(peer, token);
        }
        if in_organisation {
            options = options.org_id(ORGANISATION);
        }
        options.build().expect("a scenario's intervals and URLs make sense")
    }
}

/// The token that an agent has for the server of another one. It is as long as those of the platform, so that the invariants
/// find it where it is printed.
pub(crate) fn peer_token(caller: usize, agent: usize) -> String {
    format!("{PEER_TOKEN}of-agent-{caller:03}-for-agent-{agent:03}------")
}

/// What every token for a server of another agent begins with.
pub(crate) const PEER_TOKEN: &str = "peer-token-";

/// The agent's URL with this number, unique to the agent; both servers accept it. Number 255 is on loopback, where a
/// public server calls nobody.
pub(crate) fn url(agent: usize, number: u8) -> String {
    match number {
        u8::MAX => "https://localhost:8443/a2a".to_owned(),
        _ => format!("https://agent-{agent}-{number}.example.com/a2a"),
    }
}

/// Returns whether an agent could have reported this URL; if so, its host name resolves.
pub(crate) fn is_made_up(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    host == "localhost" || (host.starts_with("agent-") && host.ends_with(".example.com"))
}
