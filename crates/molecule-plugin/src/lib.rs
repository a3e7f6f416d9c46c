//! A plugin of the Molecule AI platform as data: bytes in, verdicts out.
//!
//! An [`Unpacker`](unpack::Unpacker) takes the bytes of an archive while they arrive, and calls a
//! [`Sink`](unpack::Sink) to make directories and files. A whole archive is then verified: its [`PluginManifest`], the
//! [`ContentDigest`](digest::ContentDigest) that the manifest declares, and the [`TreeDigest`] that the caller pinned.
//! A plugin that breaks a [`Rule`] ends in a [`Refusal`].
//!
//! This crate has no clock, no files, no sockets, no threads and no environment, and knows nothing of agents, requests
//! and sessions. `molecule-core` decides when a plugin is installed, and re-exports the public items of this crate as
//! `plugin`, `unpack` and `digest`; `molecule-host` writes the files.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod digest;
mod limits;
mod manifest;
mod receipt;
mod refusal;
mod rule;
mod tree;
pub mod unpack;

pub use limits::{InstallLimits, LimitError};
pub use manifest::{ContentSha256, PluginManifest, Verified};
pub use receipt::{MAX_RECEIPT_BYTES, Receipt};
pub use refusal::{EntryRef, Refusal};
pub(crate) use refusal::{escaped, escaped_up_to};
pub use rule::Rule;
pub use tree::{DigestError, Line, Tree, TreeDiff, TreeDigest, TreeError};

/// The programs of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
