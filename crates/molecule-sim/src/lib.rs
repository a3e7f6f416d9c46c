//! A simulated world in which the machines of `molecule-core` live whole lives: clocks that jump, a network with weather, a
//! disk that fills up, processes that crash at any act, and `molecule-platform` as the other side. The agents are each
//! other's peers: each has a [door](Door) at which the others knock, or the platform for them, under the same sky.
//!
//! A [`Scenario`] is plain data and one run, always the same. [`run`] turns it, drives the machines as the facades' drivers
//! do, and shows everything that happens to every [invariant](invariants). [`campaign`] makes scenarios up and makes those
//! that fail small; what it found once stands in `scenarios/` and is replayed for ever.
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
mod clock;
mod creation;
mod disk;
mod door;
mod drive;
mod finale;
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
mod strategies;
mod trace;
mod traffic;
mod weather;
mod world;

pub use agent::{Agent, Program};
pub use calls::{CallKind, PeerAsk, PeerWay};
pub use disk::{Disk, Progress};
pub use door::{Door, Manner};
pub use job::{Ending, JobKind};
pub use molecule_proto::Dialect;
pub use net::FAULTS;
pub use peers::{By, Peers, Reached};
pub use sabotage::{Saboteur, Saboteurs, Verdict};
pub use scenario::{AfterError, AgentSetup, Crash, Moment, Mood, Scenario, ScenarioAction, Setup, Timed, TokenAt};
pub use strategies::{life, scenario};
pub use trace::{About, Facts, Landing, RequestRecord, Says, Sight, Taken, TraceEvent, Who};
pub use weather::{Asked, Gust, Part, Route, Weather};
pub use world::{Run, run, run_sabotaged, run_traced};
