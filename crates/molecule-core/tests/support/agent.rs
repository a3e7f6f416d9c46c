//! An agent for tests: its session, its clocks, its store, and a trace of its machines' steps.

use std::time::Duration;

use molecule_core::machine::{Cx, Now, Session};
use molecule_core::proto::{AgentCard, Time, UnixTime};
use molecule_core::{Config, Options};

use super::store::Store;

/// The agent's workspace.
pub const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

/// The platform's origin.
pub const ORIGIN: &str = "https://platform.example.com";

/// A part of every secret of these tests. No printed text may contain it.
pub const MARK: &str = "s3cr3t";

/// A secret that contains [`MARK`], so that the leak check finds it.
pub fn secret(name: &str) -> String {
    format!("{name}-{MARK}-{name}")
}

/// An agent whose calls run on virtual time.
pub struct Agent {
    pub session: Session,
    pub now: Now,
    pub store: Store,
    pub trace: Vec<String>,
}

impl Agent {
    /// An agent with these options. Its clock does not begin at zero.
    pub fn with(options: Options, seed: u64) -> Self {
        Self::from_config(options.build().unwrap(), seed)
    }

    fn from_config(config: Config, seed: u64) -> Self {
        let now = Now { mono: Time::ZERO + Duration::from_secs(86_400), unix: UnixTime::from_secs(1_795_383_587) };
        Self { session: Session::new(config, seed), now, store: Store::default(), trace: Vec::new() }
    }

    /// An agent in poll mode that holds no token.
    pub fn new() -> Self {
        Self::with(Self::options(), 7)
    }

    /// An agent whose token is in its store.
    pub fn stored(token: &str) -> Self {
        let mut agent = Self::new();
        agent.store.token = Some(token.to_owned());
        agent
    }

    /// The options of [`Agent::new`], to which a test adds its own.
    pub fn options() -> Options {
        Options::new(ORIGIN, ID).card(AgentCard::new("tester"))
    }

    pub fn cx(&mut self) -> Cx<'_> {
        Cx { now: self.now, session: &mut self.session }
    }

    /// Advances both clocks.
    pub fn advance(&mut self, by: Duration) {
        self.now.mono = self.now.mono + by;
        self.now.unix = self.now.unix + by;
    }

    /// Advances both clocks until the monotonic clock reads `at`.
    pub fn advance_to(&mut self, at: Time) {
        self.advance(at.since(self.now.mono));
    }

    /// The time since `at`.
    pub fn since(&self, at: Time) -> Duration {
        self.now.mono.since(at)
    }

    /// Adds a line to the trace. Panics if the line contains a secret.
    pub fn note(&mut self, line: impl Into<String>) {
        let line = line.into();
        assert!(!line.contains(MARK), "a secret in the trace: {line}");
        self.trace.push(line);
    }

    /// The trace since the last call, one line each.
    pub fn take_trace(&mut self) -> String {
        let lines = std::mem::take(&mut self.trace);
        lines.join("\n").replace(ID, ":id")
    }

    /// The lines of the trace that begin with a word.
    pub fn lines(&self, word: &str) -> Vec<String> {
        self.trace.iter().filter(|line| line.starts_with(word)).map(|line| line.replace(ID, ":id")).collect()
    }
}
