//! A deterministic simulation of agents and their platform, in which the machines of `molecule-core` run in virtual
//! time.
//!
//! Clocks jump, the network has faults ("weather"), disks fill up, processes crash at any effect, and
//! `molecule-platform` is the server. The agents are each other's peers: each has an A2A server (a [`Door`]) that other
//! agents call directly or through the platform, over the same faulty network.
//!
//! A [`Scenario`] is plain data and stands for exactly one run. [`run`] executes it: it drives the machines as the
//! facades' drivers do, and shows every event to every [invariant](invariants). [`campaign`] generates random scenarios
//! and shrinks those that fail. Scenarios that once failed are files in `scenarios/`, which the tests replay.
//!
//! ```
//! use molecule_sim::{Scenario, run};
//!
//! let text = include_str!("../scenarios/a-token-is-rotated-under-a-running-loop.json");
//! let scenario: Scenario = serde_json::from_str(text)?;
//! let outcome = run(&scenario);
//! assert!(outcome.broken.is_none(), "{:?}", outcome.broken);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod acts;
mod agent;
mod calls;
pub mod campaign;
mod clients;
mod clock;
mod creation;
mod disk;
mod door;
mod drive;
mod finale;
pub mod fleet;
mod forms;
mod handler;
mod handling;
mod hosted;
mod idle;
pub mod invariants;
mod job;
pub mod library;
mod net;
mod peers;
mod process;
mod queue;
mod read;
mod relay;
mod sabotage;
mod scenario;
mod served;
mod strategies;
mod streams;
mod trace;
mod traffic;
mod weather;
mod world;

pub use agent::{Agent, Program};
pub use calls::{CallKind, PeerAsk, PeerWay};
pub use clients::{ClientAsk, ClientCall};
pub use disk::{Disk, WriteProgress};
pub use door::{Door, Manner};
pub use handler::{Handler, HandlerManner};
pub use job::{Ending, JobKind};
pub use molecule_proto::Dialect;
pub use net::FAULTS;
pub use peers::{AgentServers, By, Reached};
pub use sabotage::{Saboteur, Saboteurs, Verdict};
pub use scenario::{
    AfterError, AgentSetup, Crash, Moment, Mood, Scenario, ScenarioAction, ServerSetup, Setup, Timed, TokenAt, Writer,
};
pub use served::{Delivery, Reaction};
pub use strategies::{auto, both_ways, direct, life, pushed, scenario};
pub use trace::{About, Facts, HandlerSaid, OutcomeRecord, RequestRecord, Says, Sight, Taken, TraceEvent, Who};
pub use weather::{Gust, RetryAfter, Route, SlowPart, Weather};
pub use world::{RunResult, run, run_sabotaged, run_traced};
