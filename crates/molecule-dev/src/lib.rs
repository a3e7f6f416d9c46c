//! The Molecule AI platform on your machine: a page to watch it, and a log that is its state.
//!
//! [`Dev`] serves the model of `molecule-platform` on a loopback port, together with the page. Everything that happens
//! is an input of the model, and the log is the sequence of all inputs: starting is replaying it. From the same log
//! come the state as of any line, a fork from there, and a test that repeats what happened.
//!
//! ```
//! use molecule_dev::{Dev, Options};
//! use molecule_platform::{Act, Acted};
//!
//! let dev = Dev::start(Options::in_memory())?;
//! let act = Act::CreateWorkspace { name: "mine".to_owned(), url: None, parent: None };
//! let Acted::Created { id, token } = dev.world().act(act) else { panic!("it is never refused") };
//! assert!(token.is_some());
//! // The state after each line of the log can be read.
//! let before = dev.world().line() - 1;
//! assert!(dev.world().read(Some(before), |platform, _| platform.workspace(&id).is_none())?);
//! assert!(dev.world().read(None, |platform, _| platform.workspace(&id).is_some())?);
//! # Ok::<(), std::io::Error>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod api;
mod archive;
mod blank;
mod chaos;
mod clock;
mod contract;
mod curl;
mod dev;
mod exchange;
mod export;
mod front;
mod graph;
mod guard;
mod log;
mod options;
mod page;
mod port;
mod running;
mod setup;
mod world;

pub use archive::Archive;
pub use chaos::{Chaos, ChaosRule, Fault};
pub use dev::Dev;
pub use exchange::{Exchange, ExchangeKind, Filter};
pub use graph::Edge;
pub use log::{Mismatch, Opened};
pub use options::Options;
pub use running::Running;
pub use world::World;

pub use molecule_platform::{Act, Acted, Dialect, RequestKind};

/// The program of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
