//! The machine's side of a Molecule AI remote agent: a private store, its lock, a clock, a seed, and a directory for
//! plugins.
//!
//! Both facades perform their host acts with [`Host`], offer their users [`Storage`], and build their agents with
//! [`AgentBuilder`]. Everything here is synchronous: a read or write takes as long as the disk takes, and a caller that
//! must not block calls it on a separate thread.
//!
//! The store of [`Storage::Dir`] has one directory per workspace below a home (`~/.molecule`, or `MOLECULE_HOME`):
//!
//! | file | content |
//! |---|---|
//! | `.auth_token` | the workspace's bearer token, as raw text |
//! | `.platform_inbound_secret` | the secret with which the platform authenticates to the agent, as raw text |
//! | `.inbox` | the journal of the inbox: records of the messages that were handled, and of replies; it is appended to |
//! | `.reply_key` | 32 random bytes, from which the ids of replies are made |
//! | `.lock` | nothing; the loop holds an advisory lock on it |
//! | `….tmp` | an unfinished write; one that a crash left is removed after ten minutes |
//! | `….damaged-<seconds>` | the damaged content of a slot: no credential, or no journal |
//! | `uploads/<16 digits>-<name>` | a file that the platform handed over to the agent's server |
//! | `uploads/.molecule-<16 digits>.part` | one of a form that has not come to its end |
//! | `plugins/<name>` | a complete plugin; a new version replaces the old one as a whole |
//! | `plugins/.lock-<name>` | nothing; an install or removal of the plugin holds an advisory lock on it |
//! | `plugins/.receipts/<name>.json` | the plugin's receipt: what was installed, and from which source |
//! | `plugins/.staging-…`, `.old-…`, `.keep-…` | work in progress; the next install restores or removes what a crash left |
//!
//! A file of a message is saved where the application wants it. Until it is complete its name is
//! `.molecule-<16 digits>.part`; one that a crash left is removed by a later download to the same directory.
//!
//! Directories are created with mode 0700 and files with 0600, whatever the umask is. Links, files and directories of
//! another user, and those that others may write to are refused; the error names the path and the remedy. Systems
//! without such modes refuse only links. A plugin's own directory has mode 0700 as well; its content is created with
//! 0755 or 0644, less the umask.

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
mod order;
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
#[cfg(any(feature = "rustls", feature = "platform-verifier"))]
#[doc(hidden)]
pub mod tls_server;
#[cfg_attr(not(feature = "tracing"), path = "no_trace.rs")]
pub mod trace;
mod undelivered;
mod uploading;
mod uploads;

pub use builder::{AgentBuilder, Client};
pub use ca_file::with_ca_file;
pub use cancel::Cancel;
pub use clock::Clock;
pub use environment::{install_limits_from_env, proxy_rule, seed, var};
pub use host::Host;
pub use listener::{Listener, OnEvent};
pub use names::Names;
pub use order::HostAct;
pub use plugins::{ChosenBy, Plugins, Unpacking};
pub use receiving::Receiving;
pub use session::{MAX_INPUTS, Perform, SharedSession};
pub use socket::{is_cut, keep_alive};
pub use stopper::Stopper;
pub use storage::Storage;
pub use store::{Store, StoreError};
pub use undelivered::Undelivered;
pub use uploading::Uploading;
pub use uploads::{Batch, Uploads};

pub use molecule_core::effect::{Durability, Slot, Stored};

/// The programs of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
