//! What a Molecule AI remote agent asks of the machine that it runs on: a private store, its lock, a clock, a seed, and a
//! place for plugins.
//!
//! Both facades perform their host acts with [`Host`], hand their users [`Storage`], and build their agents with
//! [`AgentBuilder`]. Everything here is synchronous:
//! a file that is read or written takes as long as the disk takes, and whoever must not wait calls it from a thread.
//!
//! The store of [`Storage::Dir`] keeps one directory per workspace below a home (`~/.molecule`, or `MOLECULE_HOME`):
//!
//! | file | content |
//! |---|---|
//! | `.auth_token` | the workspace's bearer token, as raw text |
//! | `.platform_inbound_secret` | the secret with which the platform authenticates to the agent, as raw text |
//! | `.lock` | nothing; the loop holds an advisory lock on it |
//! | `….tmp` | half of a write that is under way; what a crash leaves of one is removed ten minutes later |
//! | `….damaged-<seconds>` | what was set aside because it was no token |
//! | `plugins/<name>` | a plugin, whole: a new version takes the place of the old one at once |
//! | `plugins/.lock-<name>` | nothing; whoever installs or removes the plugin holds an advisory lock on it |
//! | `plugins/.receipts/<name>.json` | what was installed, and where it came from |
//! | `plugins/.staging-…`, `.old-…`, `.keep-…` | what is under way; what a crash leaves of it is put back or removed by the next install |
//!
//! Directories are made with mode 0700 and files with 0600, whatever the umask says. Links, files and directories of
//! another user, and what others may write to are refused, with the path and the remedy in the error. On systems
//! without such modes only links are. A plugin's own directory has mode 0700 as well; what is in it is made with 0755 or
//! 0644, less the umask.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod ca_file;
mod cancel;
mod clock;
mod environment;
mod file;
mod host;
mod listener;
mod memory;
mod names;
#[doc(hidden)]
pub mod no_tls;
mod plugins;
mod receiving;
mod session;
mod socket;
mod stopper;
mod storage;
mod store;
#[cfg(any(feature = "rustls", feature = "platform-verifier"))]
#[doc(hidden)]
pub mod tls;
#[cfg_attr(not(feature = "tracing"), path = "no_trace.rs")]
pub mod trace;
mod undelivered;

pub use builder::{AgentBuilder, Client};
pub use ca_file::with_ca_file;
pub use cancel::Cancel;
pub use clock::Clock;
pub use environment::{install_limits_from_env, proxy_rule, seed, var};
pub use host::Host;
pub use listener::{Listener, OnEvent};
pub use names::Names;
pub use plugins::{ChosenBy, Plugins, Unpacking};
pub use receiving::Receiving;
pub use session::{Perform, SharedSession};
pub use socket::{is_cut, keep_alive};
pub use stopper::Stopper;
pub use storage::Storage;
pub use store::{Store, StoreError};
pub use undelivered::Undelivered;

pub use molecule_core::effect::{Slot, Stored};

/// The programs of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
