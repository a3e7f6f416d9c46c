//! Blocking SDK for Molecule AI remote agents: programs that run outside the platform's network and take part in an
//! organisation as workspaces of their own.
//!
//! ```no_run
//! use molecule_blocking::{Agent, AgentCard, Result};
//!
//! fn main() -> Result<()> {
//!     let agent = Agent::builder("https://your-platform.example.com", "7fda77bf-a467-441c-9fab-7d8aba8e6040")
//!         .card(AgentCard::new("my-remote-agent"))
//!         .or_env() // MOLECULE_WORKSPACE_TOKEN: the token shown when the workspace was created
//!         .build()?;
//!     agent.register()?;
//!     let secrets = agent.pull_secrets()?; // never printed by Debug
//!     let ended = agent.run_heartbeat_loop()?; // until the platform pauses or deletes the workspace
//!     println!("{} secrets, loop ended: {ended}", secrets.len());
//!     Ok(())
//! }
//! ```
//!
//! `molecule-async` has the same words with `.await`; take it where there is a tokio runtime.
//!
//! # Threads
//! A call works on its caller's thread. The loop waits on its caller's thread too, and performs each request and each act
//! on the store on a short-lived thread of its own, so that a heartbeat never waits for another request, and a stop for
//! none. Each message is handled on a thread of its own, and the event stream of an agent with a handler is read by one
//! more. An agent is `Clone`, `Send` and `Sync`: other threads may call it while the loop runs.
//!
//! # Messages
//! [`Agent::run_agent_loop`] does what `run_heartbeat_loop` does, offers each message to a [`Handler`], and sends the [`Reply`] that it
//! returns; each handler has a thread of its own, with a stack of the default size. A message comes at least once, those of one sender in their
//! order. The README says exactly what is guaranteed, and [`InboxOptions`] has the defaults.
//!
//! # Many agents in one process
//! Give each agent the same [`Client`], so that all share one pool and one set of certificates, and have their loops begin
//! at different moments ([`AgentBuilder::stagger`]): later beats drift apart by themselves. Each agent keeps its own session,
//! store and lock, so one that is deleted, or whose token dies, ends its own loop and no other. What an organisation shares
//! is its rate limit: the loops leave three quarters of it to heartbeats, and look at the state less often where it is short.
//! A loop takes a thread with a small stack; the examples run a hundred. With a handler it takes a second one, and keeps a
//! connection open. Take `molecule-async` for thousands.
//!
//! # Features
//! `rustls` (default) brings `https` with Mozilla's root certificates, `platform-verifier` with those of the operating
//! system. `tracing` makes every [`Event`] an event of the target `molecule` as well, with the workspace's id and a field for each of
//! the event's own; a call and the loop are spans (`call`: workspace id, operation) below their caller's, and so is each request
//! (`request`: operation, attempt, method) and each message for the handler (`message`: its id, attempt).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod agent;
mod builder;
mod connector;
mod dial;
mod driver;
mod exchange;
pub mod extend;
mod fetch;
mod handler;
mod http;
mod pool;
mod reply_slot;
mod resolver;
mod tcp;
mod threads;
#[cfg_attr(not(any(feature = "rustls", feature = "platform-verifier")), path = "no_tls.rs")]
mod tls;
mod tunnel;
mod upload;
mod watch;

pub use agent::Agent;
pub use builder::AgentBuilder;
pub use handler::Handler;
pub use http::Client;

#[doc(no_inline)]
pub use molecule_core as core;
pub use molecule_core::digest::ContentDigest;
pub use molecule_core::plugin::{
    ContentSha256, DigestError, Durability, EarlierVersion, EntryRef, InstallFailure, InstallLimits, Installed,
    InstalledPlugin, LimitError, LinkPolicy, Plugin, ReceiptState, Rule, Setup, SetupEnd, SetupOutcome, SetupRun,
    TreeDiff, TreeDigest, Verification,
};
pub use molecule_core::proto::{
    ActivityId, ActivityRow, ActivityType, AgentCard, Artifact, AvailablePlugin, Capabilities, DatabaseTime,
    DelegationId, DelegationStatus, DeliveryMode, Direction, FileContent, FileId, HeartbeatAnswer, IdError,
    InboundSecret, Message, Part, PartContent, Peer, PluginName, QueueId, QueueItem, QueueStatus, RateLimit, Remaining,
    Role, RpcRequest, RuntimeMetadata, RuntimeState, Secrets, SecretsIter, SendParams, StateAnswer, Task, TaskState,
    TaskStatus, Token, TokenError, TraceParent, TraceParentError, UnixTime, WorkspaceId, WorkspaceStatus,
};
pub use molecule_core::unpack::{Progress, SkippedLinks};
pub use molecule_core::{
    Attachment, AttachmentKind, Backlog, CallOutcome, Counters, DeadLetter, Delegation, DelegationEnd, DelegationView,
    Dialect, DownloadTo, Downloaded, Ended, Error, ErrorKind, Event, Health, InboundMessage, InboxEntry, InboxListing,
    InboxOptions, InboxState, Intervals, Lane, Notice, OnPause, OriginHeader, OutgoingFile, PeerCall, PeerUrl, Plan,
    PlatformKind, Proxy, PushState, QueueOutcome, ReachFailure, Reachability, Recovered, Recovery, Registration, Reply,
    ReplyEnd, ReplyHandle, Report, Result, Route, Sender, Timeouts, TokenUse, Transport, TryAgain, WaitFor,
    python_idempotency_key,
};
pub use molecule_host::{Stopper, Storage, Store, StoreError, install_limits_from_env};

/// The programs of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
