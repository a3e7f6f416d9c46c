//! Scenarios: the setup of a world and the actions in it, as plain data.

use molecule_core::Plan;
use molecule_proto::Dialect;
use serde::{Deserialize, Serialize};

use crate::calls::CallKind;
use crate::clients::ClientAsk;
use crate::door::Door;
use crate::handler::Handler;
use crate::weather::{Gust, Route, Weather};

/// The setup of a world, and the actions that happen in it at given times. The same scenario gives the same run, to the
/// nanosecond.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What the scenario shows, in one sentence.
    pub about: String,
    /// The seed of the only random generator: tokens, jitter, latencies, and which request meets a network fault.
    pub seed: u64,
    /// How long actions may happen, in seconds. After that all faults end, agents that are down are started, and the
    /// invariants check the final state.
    pub lasts_s: u32,
    /// The platform and its agents.
    pub setup: Setup,
    /// The actions; one later than `lasts_s` is ignored.
    pub acts: Vec<Timed>,
}

/// The platform and its agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// Which server the platform imitates.
    pub dialect: Dialect,
    /// Whether the platform can start containers; without that it refuses a resume.
    pub provisioner: bool,
    /// Rate limit in requests per minute, which all agents share as one organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<u32>,
    /// Whether the platform is a public server, which calls no agent on its own machine; `false` is a developer's
    /// server.
    #[serde(default, skip_serializing_if = "is_false")]
    pub public: bool,
    /// The longest time, in seconds, between a row's creation and its visibility in the feed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rows_late_s: u32,
    /// The agents, each of a workspace of its own.
    pub agents: Vec<AgentSetup>,
}

/// Agents with the same setup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSetup {
    /// How many agents.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u16,
    /// The starts of the agents are spread over this many seconds; with 0 all start at once.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub starts_within_s: u32,
    /// Where each agent's token is when the world begins.
    pub token: TokenAt,
    /// Whether they report a URL (push) or poll.
    pub push: bool,
    /// Seconds between heartbeats.
    pub heartbeat_s: u32,
    /// Seconds between polls of the state.
    pub state_s: u32,
    /// Whether the loop waits while the workspace is paused, or ends.
    pub waits_on_pause: bool,
    /// Whether the program registers before it runs the loop.
    pub registers_first: bool,
    /// What the program does after the loop, or the register before it, failed.
    pub after_error: AfterError,
    /// The handler of its messages; an agent without one receives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<Handler>,
    /// Whether a loop with a handler uses the event stream.
    #[serde(default, skip_serializing_if = "is_false")]
    pub watches: bool,
    /// The agent's own server, to which the platform pushes. The loop of an agent with a handler reads the feed as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerSetup>,
}

/// An agent's own A2A server, which is the SDK's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSetup {
    /// The most handlers that run at the same time.
    pub handlers: u8,
    /// The most messages that wait for a handler.
    pub queue: u8,
    /// Whether it looks the sender of a pushed message up in the feed.
    pub looks_up: bool,
    /// Whether it serves without a credential while it knows of none. On April's server it always does.
    #[serde(default, skip_serializing_if = "is_false")]
    pub open: bool,
    /// Whether its answers are tasks.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tasks: bool,
    /// Whether the agent polls while the platform cannot reach the server.
    #[serde(default, skip_serializing_if = "is_false")]
    pub auto: bool,
    /// Whether every other agent has a token of its own for the server.
    #[serde(default, skip_serializing_if = "is_false")]
    pub peer_tokens: bool,
}

impl ServerSetup {
    /// How messages are to reach the server.
    pub(crate) fn plan(&self) -> Plan {
        if self.auto { Plan::Auto } else { Plan::Push }
    }
}

/// Where an agent's token is when the world begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenAt {
    /// In the agent's store.
    Stored,
    /// In an option of the program.
    Given,
    /// A revoked token is in an option, and the valid one is in the store.
    GivenDeadStoredLive,
    /// The valid token is in an option, and a revoked one was left in the store.
    GivenLiveStoredDead,
    /// A token was minted, and the agent has it neither in an option nor in its store.
    Lost,
    /// No token was minted yet: the first register returns it.
    NotMinted,
}

/// What a program does after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AfterError {
    /// It ends.
    End,
    /// It tries again in the same process, after 10 s.
    Again,
    /// It ends, and a new process starts after 10 s.
    Restart,
}

/// An action and its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timed {
    /// Milliseconds after the world begins.
    pub at_ms: u64,
    /// The index of the agent; ignored by an action that concerns no agent.
    #[serde(default, skip_serializing_if = "is_first")]
    pub agent: usize,
    /// The action.
    pub act: ScenarioAction,
}

/// Something that happens in a world from outside the machines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ScenarioAction {
    /// The owner pauses the workspace.
    Pause,
    /// The owner resumes it; refused without a provisioner.
    Resume,
    /// The owner rotates the token and does not give the new one to the agent.
    Rotate,
    /// The owner rotates the token and puts the new one into the agent's store.
    HandOver,
    /// The owner revokes every token.
    RevokeAll,
    /// The owner deletes the workspace.
    Delete {
        /// Whether the workspace's row is deleted as well.
        purge: bool,
    },
    /// The owner sets the value of a secret.
    SetSecret(u8),
    /// The owner puts the workspace to sleep until its first message.
    Hibernate,
    /// The owner sets the workspace's budget to 0 (`true`), or removes the limit (`false`).
    Broke(bool),
    /// The owner forbids the agent to call peers (`true`), or allows it (`false`).
    Muted(bool),
    /// Somebody writes to the agent.
    Writes(Writer),
    /// The platform removes the rows of the agent's feed that are older than this many seconds.
    Prune(u32),
    /// The agent's handler behaves like this from now on.
    Handler(Handler),
    /// The next runs of the agent's handler kill its process half-way, and each time the program starts again.
    Poison {
        /// How many runs.
        times: u8,
        /// Whether the power fails each time.
        power: bool,
    },
    /// The agent's own A2A server behaves like this from now on.
    Door(Door),
    /// The platform's database goes down or comes back.
    Database {
        /// Whether the database is reachable from now on.
        up: bool,
    },
    /// The network's faults change for all requests.
    Weather(Weather),
    /// The other ends of the agent's idle connections are gone without FIN or RST, as behind a NAT that dropped them.
    ConnectionsDie,
    /// The agent's next request on a route meets this fault, whatever the weather.
    Strike {
        /// The route.
        route: Route,
        /// The fault.
        gust: Gust,
    },
    /// The agent's application makes a call while its loop runs.
    Call {
        /// The call.
        call: CallKind,
        /// The caller gives up after this many milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gives_up_ms: Option<u32>,
        /// Whether the call is dropped then instead of cancelled: its runtime ended, or a callback of the application
        /// panicked.
        #[serde(default, skip_serializing_if = "is_false")]
        dies: bool,
    },
    /// A program that speaks A2A asks the agent's own server directly.
    Client(ClientAsk),
    /// The agent reports this many active tasks.
    Report(u8),
    /// The agent's URL changes to the one with this number; with `None` the agent polls from now on.
    SetUrl(Option<u8>),
    /// The agent discards the cached URL of the peer with this index.
    Forget(u8),
    /// The loop is asked to stop after what is in flight.
    Stop,
    /// The loop is asked to stop at once.
    StopNow,
    /// A second process of the same workspace starts a loop.
    SecondLoop,
    /// The program starts, unless it runs already.
    Start,
    /// The process crashes.
    Crash(Crash),
    /// The condition of the agent's disk changes.
    Disk(Mood),
    /// The wall clock of the agent's computer is moved by this many seconds.
    SetCalendar(i32),
    /// The agent's monotonic clock jumps ahead by this many seconds.
    ClockJumps(u32),
    /// The agent's monotonic clock stands still for this many seconds.
    ClockStands(u32),
    /// The agent's computer is suspended.
    Sleep {
        /// For how many seconds.
        secs: u32,
        /// Whether its monotonic clock counts the suspended time.
        counted: bool,
    },
}

/// Who writes to an agent, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Writer {
    /// A person.
    User,
    /// The agent with this index.
    Peer(u8),
    /// A chat in a channel, with this id.
    Channel(u8),
    /// GitHub's webhook.
    Webhook,
    /// The platform: requests wait for the agent.
    Nudge,
    /// The platform: the agent seems to hang.
    StallProbe,
    /// The platform: a schedule of April's server.
    Schedule,
    /// The agent with this index, to all of its organisation.
    Broadcast(u8),
    /// A person, who uploads files without a message. The platform keeps one for an agent that polls, and hands them over to one
    /// with a server.
    Upload,
}

/// How a process crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    /// This many more effects are started; the process crashes at the next one. 0 with `Before` crashes at once.
    pub after_effects: u16,
    /// The moment within that effect.
    pub moment: Moment,
    /// Whether the power fails too, so that the disk loses everything that was not synced.
    pub power: bool,
    /// The program starts again after this many seconds; `None`: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_s: Option<u32>,
}

/// A moment of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    /// Before it begins.
    Before,
    /// Half-way.
    During,
    /// After it is done, and before the machine gets its outcome.
    After,
}

/// The condition of a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mood {
    /// It works.
    #[default]
    Fine,
    /// No space is left.
    Full,
    /// It cannot be written.
    ReadOnly,
    /// Every operation fails.
    Broken,
}

fn one() -> u16 {
    1
}

fn is_one(count: &u16) -> bool {
    *count == 1
}

fn is_false(truth: &bool) -> bool {
    !truth
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

fn is_first(agent: &usize) -> bool {
    *agent == 0
}
