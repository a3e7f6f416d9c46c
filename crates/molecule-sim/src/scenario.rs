//! What happens in a world, as plain data.

use molecule_proto::Dialect;
use serde::{Deserialize, Serialize};

use crate::calls::CallKind;
use crate::door::Door;
use crate::weather::{Gust, Route, Weather};

/// A world's setting, what happens in it and when. The same scenario is the same run, to the last nanosecond.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in a sentence.
    pub about: String,
    /// Where all chance comes from: tokens, jitter, latencies, which request meets a gust.
    pub seed: u64,
    /// How long acts may happen, in seconds. After that everything is well again, agents that are down are started, and what
    /// must hold then is looked at.
    pub lasts_s: u32,
    /// The platform and its agents.
    pub setup: Setup,
    /// What happens; nothing does after `lasts_s`.
    pub acts: Vec<Timed>,
}

/// The platform and its agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// Which server is played.
    pub dialect: Dialect,
    /// Whether it can start containers, so that a resume works.
    pub provisioner: bool,
    /// Requests a minute that the agents share as one organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<u32>,
    /// Whether it is no developer's own server: it calls nobody on its own machine.
    #[serde(default, skip_serializing_if = "is_false")]
    pub public: bool,
    /// The agents, each of a workspace of its own.
    pub agents: Vec<AgentSetup>,
}

/// Agents of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSetup {
    /// How many.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u16,
    /// Over how many seconds their starts are spread; they start at once if it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub starts_within_s: u32,
    /// Where their token is.
    pub token: TokenAt,
    /// Whether they report a URL (push) or poll.
    pub push: bool,
    /// Seconds between heartbeats.
    pub heartbeat_s: u32,
    /// Seconds between looks at the state.
    pub state_s: u32,
    /// Whether the loop waits while the workspace is paused, or ends.
    pub waits_on_pause: bool,
    /// Whether the program registers before it runs the loop.
    pub registers_first: bool,
    /// What the program does when the loop or the register before it fails.
    pub after_error: AfterError,
}

/// Where an agent's token is at the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenAt {
    /// In the agent's store.
    Stored,
    /// Given by an option.
    Given,
    /// A dead one is given by an option, and the live one is in the store.
    GivenDeadStoredLive,
    /// The live one is given by an option, and a dead one was left in the store.
    GivenLiveStoredDead,
    /// Nobody kept it.
    Lost,
    /// None was minted yet: the first register gets it.
    NotMinted,
}

/// What a program does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AfterError {
    /// It ends.
    End,
    /// It tries again in the same process, after ten seconds.
    Again,
    /// It ends and is started anew, after ten seconds.
    Restart,
}

/// An act and its moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timed {
    /// Milliseconds after the beginning.
    pub at_ms: u64,
    /// Which agent it is about, where it is about one.
    #[serde(default, skip_serializing_if = "is_first")]
    pub agent: usize,
    /// What happens.
    pub act: ScenarioAction,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ScenarioAction {
    /// The owner pauses the workspace.
    Pause,
    /// The owner resumes it; refused without a provisioner.
    Resume,
    /// The owner rotates the token and tells the agent nothing.
    Rotate,
    /// The owner rotates the token and puts the new one into the agent's store.
    HandOver,
    /// The owner revokes every token.
    RevokeAll,
    /// The owner deletes the workspace.
    Delete {
        /// Its row too.
        purge: bool,
    },
    /// The owner stores a secret.
    SetSecret(u8),
    /// The owner puts the workspace to sleep until its first message.
    Hibernate,
    /// The owner lets the workspace spend nothing more, or as much as it likes.
    Broke(bool),
    /// The owner lets the agent talk to others, or forbids it.
    Muted(bool),
    /// From now on the agent's own server does so.
    Door(Door),
    /// The platform's database goes down or comes back.
    Database {
        /// Whether it can be reached from now on.
        up: bool,
    },
    /// The weather changes.
    Weather(Weather),
    /// The other ends of the agent's idle connections go without a word, as behind a NAT that forgets them.
    ConnectionsDie,
    /// The agent's next request on a route meets this gust, whatever the weather.
    Strike {
        /// Which request.
        route: Route,
        /// What it meets.
        gust: Gust,
    },
    /// The agent calls something beside its loop.
    Call {
        /// What.
        call: CallKind,
        /// After so many milliseconds its caller is gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gives_up_ms: Option<u32>,
        /// Whether the call itself is gone then, half-way: its runtime ended, or a callback of the application panicked.
        #[serde(default, skip_serializing_if = "is_false")]
        dies: bool,
    },
    /// The agent reports so many tasks.
    Report(u8),
    /// The agent's URL changes, or it polls from now on.
    SetUrl(Option<u8>),
    /// The agent forgets where another one is called.
    Forget(u8),
    /// The loop is stopped.
    Stop,
    /// The loop is stopped at once.
    StopNow,
    /// A second process of the same workspace begins a loop.
    SecondLoop,
    /// The program is started, if it does not run.
    Start,
    /// The process dies.
    Crash(Crash),
    /// What the agent's disk is like from now on.
    Disk(Mood),
    /// Somebody sets the agent's calendar, by seconds.
    SetCalendar(i32),
    /// The agent's monotonic clock leaps ahead, by seconds.
    ClockJumps(u32),
    /// The agent's monotonic clock stands still for so many seconds.
    ClockStands(u32),
    /// The agent's computer sleeps.
    Sleep {
        /// For how many seconds.
        secs: u32,
        /// Whether its monotonic clock counts them.
        counted: bool,
    },
}

/// How a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    /// So many effects are still started; the process dies at the next one. 0 with `Before` is at once.
    pub after_effects: u16,
    /// At which moment of that effect.
    pub moment: Moment,
    /// Whether the power fails too, and the disk loses what was not synced.
    pub power: bool,
    /// After how many seconds the program is started again, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_s: Option<u32>,
}

/// A moment of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    /// Nothing of it happened.
    Before,
    /// It is half done.
    During,
    /// It is done, and its outcome was not handed over.
    After,
}

/// What a disk is like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mood {
    /// It works.
    #[default]
    Fine,
    /// No room is left.
    Full,
    /// It cannot be written.
    ReadOnly,
    /// Every act fails.
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
