//! An agent for tests: its session, its clocks, its store, and a trace of its machines' steps.

use std::time::Duration;

use molecule_core::machine::{Cx, Now, Session};
use molecule_core::proto::{AgentCard, Time, UnixTime};
use molecule_core::{Config, InboundMessage, Options};

use super::answer::Reply;
use super::received::replied;
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

/// The times at which tests begin. The monotonic clock does not begin at zero.
pub const START: Time = Time::from_nanos(86_400_000_000_000);
pub fn start_unix() -> UnixTime {
    UnixTime::from_secs(1_795_383_587)
}

/// A message that was offered to the handler.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    pub at: Time,
    pub row: String,
    pub text: String,
    pub attempt: u32,
    pub message: Shown,
}

/// The message itself, which is equal to any other.
#[derive(Debug, Clone)]
pub struct Shown(pub InboundMessage);

impl PartialEq for Shown {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// An agent whose calls run on virtual time.
pub struct Agent {
    pub session: Session,
    pub now: Now,
    pub store: Store,
    pub trace: Vec<String>,
    /// What the handler does with a message.
    pub handler: Box<dyn FnMut(&InboundMessage) -> Reply>,
    /// The messages that were offered to it.
    pub offers: Vec<Offer>,
}

impl Agent {
    /// An agent with these options. Its clock does not begin at zero.
    pub fn with(options: Options, seed: u64) -> Self {
        Self::from_config(options.build().unwrap(), seed)
    }

    fn from_config(config: Config, seed: u64) -> Self {
        Self {
            session: Session::new(config, seed),
            now: Now { mono: START, unix: start_unix() },
            store: Store::default(),
            trace: Vec::new(),
            handler: Box::new(|message| Reply::Now(replied(&format!("you said: {}", message.text())))),
            offers: Vec::new(),
        }
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

    /// Offers a message to the handler.
    pub fn handle(&mut self, message: &InboundMessage) -> Reply {
        let (row, text) = (message.id().to_string(), message.text().into_owned());
        let (at, attempt) = (self.now.mono, message.attempt());
        self.offers.push(Offer { at, row, text, attempt, message: Shown(message.clone()) });
        (self.handler)(message)
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
