//! Async SDK for Molecule AI remote agents: programs that run outside the platform's network and take part in an
//! organisation as workspaces of their own.
//!
//! ```no_run
//! use molecule_async::{Agent, AgentCard, Result};
//!
//! #[tokio::main]
//! async fn main() -> Result<()> {
//!     let agent = Agent::builder("https://your-platform.example.com", "7fda77bf-a467-441c-9fab-7d8aba8e6040")
//!         .card(AgentCard::new("my-remote-agent"))
//!         .or_env() // MOLECULE_WORKSPACE_TOKEN: the token shown when the workspace was created
//!         .build()?;
//!     agent.register().await?;
//!     let secrets = agent.pull_secrets().await?; // never printed by Debug
//!     let ended = agent.run_heartbeat_loop().await?; // until the platform pauses or deletes the workspace
//!     println!("{} secrets, loop ended: {ended}", secrets.len());
//!     Ok(())
//! }
//! ```
//!
//! `molecule-blocking` has the same words without `.await`; take it where there is no tokio runtime.
//!
//! # Runtime
//! The calls need a tokio runtime, of either kind, with its time and net drivers on (`enable_all`, which `#[tokio::main]`
//! calls). Without a runtime a call returns a `Config` error; without one of the drivers it panics, as tokio does. Building
//! an agent, its stopper, and everything that is not `async` needs none.
//!
//! A call may be dropped at any time, by `select!` or a timeout. What must be finished is then finished in a task on the same
//! runtime: a token that the platform minted is stored. The loop is driven in a task of its own, so that a caller who
//! computes for long holds back no heartbeat. Each message is handled in a task of its own, too; it is dropped with the
//! loop's future, and the message is offered again at the next start.
//!
//! # Messages
//! [`Agent::run_agent_loop`] does what `run_heartbeat_loop` does, offers each message to a [`Handler`], and sends the [`Reply`] that it
//! returns; each handler has a task of its own. A message comes at least once, those of one sender in their
//! order. The README says exactly what is guaranteed, and [`InboxOptions`] has the defaults.
//!
//! # Many agents in one process
//! Give each agent the same [`Client`], so that all share one pool and one set of certificates, and have their loops begin
//! at different moments ([`AgentBuilder::stagger`]): later beats drift apart by themselves. Each agent keeps its own session,
//! store and lock, so one that is deleted, or whose token dies, ends its own loop and no other. What an organisation shares
//! is its rate limit: the loops leave three quarters of it to heartbeats, and look at the state less often where it is short.
//! The examples run a thousand in one thread. A loop with a handler keeps one more connection open, for the event stream.
//!
//! # Features
//! `rustls` (default) brings `https` with Mozilla's root certificates, `platform-verifier` with those of the operating
//! system. `tracing` makes every [`Event`] an event of the target `molecule` as well, with the workspace's id and a field for each of
//! the event's own; a call and the loop are spans (`call`: workspace id, operation) below their caller's, and so is each request
//! (`request`: operation, attempt, method) and each message for the handler (`message`: its id, attempt).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod agent;
mod body;
mod builder;
mod clock;
mod connection;
mod connector;
mod dial;
mod driver;
pub mod extend;
mod fetch;
mod handler;
mod host_work;
mod http;
mod in_flight;
mod loops;
mod on_drop;
mod origin;
mod pool;
mod proxy;
mod resolver;
mod runtimes;
#[cfg_attr(not(any(feature = "rustls", feature = "platform-verifier")), path = "no_tls.rs")]
mod tls;
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
