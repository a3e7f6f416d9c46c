//! The machines of a Molecule AI remote agent: they decide and never perform.
//!
//! This crate has no clock, no files, no sockets, no threads and no environment. Each call of an agent is a
//! [`Machine`](machine::Machine) that is polled, asks for [`Effect`](effect::Effect)s, and is fed their outcomes; a
//! driver performs them. `molecule-blocking` and `molecule-async` are two such drivers with the same facade on top, and
//! what both say to their users is here: [`Error`], [`Options`], [`Event`], [`Health`] and the outcomes of calls.
//!
//! [`Error`], options and outcomes follow semantic versioning. [`machine`], [`effect`], [`session`] and [`endpoint`] are
//! for drivers and may change in any release.

mod beat;
mod call;
mod config;
mod credential;
pub mod effect;
pub mod endpoint;
mod error;
mod event;
mod health;
pub mod machine;
mod options;
mod rate;
mod recover;
mod refusal;
mod register;
mod report;
mod retry;
mod run;
pub mod session;
mod target;

pub use beat::Beat;
pub use call::Call;
pub use config::{Config, Intervals, Timeouts};
pub use error::{Error, ErrorKind, Result};
pub use event::{Event, Lane};
pub use health::Health;
pub use options::{OnPause, Options, OriginHeader, Proxy, Transport};
pub use rate::RateBudget;
pub use recover::{Recover, Recovered, Recovery};
pub use register::{Register, Registration, TokenUse};
pub use report::Report;
pub use run::{Ended, Run, RunCommand};
pub use session::{Dialect, StopLevel};
pub use target::{ProxyRule, Target};

pub use molecule_proto as proto;
