//! The machines of a Molecule AI remote agent: they decide and never perform.
//!
//! This crate has no clock, no files, no sockets, no threads and no environment. Each call of an agent is a
//! [`Machine`](machine::Machine) that is polled, asks for [`Effect`](effect::Effect)s, and is fed their outcomes; a
//! driver performs them. `molecule-blocking` and `molecule-async` are two such drivers with the same facade on top, and
//! what both say to their users is here: [`Error`], [`Options`], [`Event`], [`Health`] and the outcomes of calls.
//!
//! What stands at the root, and in [`plugin`] and [`endpoint`], follows semantic versioning: options, values, errors, events and
//! outcomes. [`machine`], [`machines`] and [`effect`] are for drivers and may change in any release, but for what the facades'
//! module `extend` re-exports.
//!
//! # Writing a driver
//!
//! A driver is a clock, a `match` on the effect, a way to wait, and a table from its client's errors to
//! [`Fault`](effect::Fault)s. This one drives any call over any client, one effect after the other; here the client is
//! `molecule-platform`'s in-memory server, and the store a map.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use bytes::Bytes;
//! use molecule_core::effect::{Effect, Fault, HostOp, HostResult, LockId, Outcome, Slot, Stored};
//! use molecule_core::machine::{Cx, Machine, Now, Session, Step};
//! use molecule_core::machines::Register;
//! use molecule_core::{Options, TokenUse};
//! use molecule_core::proto::Time;
//!
//! /// Sends a request, and says what became of it: a table from the client's errors belongs here.
//! type Send<'a> = dyn FnMut(http::Request<Bytes>) -> Result<http::Response<Bytes>, Fault> + 'a;
//!
//! fn drive<M>(mut machine: M, session: &mut Session, now: &dyn Fn() -> Now, send: &mut Send<'_>) -> M::Output
//! where
//!     M: Machine,
//! {
//!     let mut store: BTreeMap<Slot, _> = BTreeMap::new();
//!     loop {
//!         let (id, effect) = match machine.poll(&mut Cx { now: now(), session }) {
//!             Step::Start(id, effect) => (id, effect),
//!             Step::Event(event) => {
//!                 println!("{event:?}");
//!                 continue;
//!             }
//!             Step::Idle(Some(wake)) => {
//!                 std::thread::sleep(wake.at.since(now().mono));
//!                 continue;
//!             }
//!             // Nothing is ever under way when this driver polls.
//!             Step::Cancel(_) | Step::Idle(None) => continue,
//!             Step::Done(output) => return output,
//!         };
//!         let outcome = match effect {
//!             // A real client also keeps the limits, and refuses to follow redirects.
//!             Effect::Http(request, _limits) => send(request).map_or_else(Outcome::Failed, Outcome::Response),
//!             Effect::Fetch(..) | Effect::Upload(..) => unreachable!("only plugins and files ask for it"),
//!             Effect::Watch(..) | Effect::Handle(_) => unreachable!("only the loop with an inbox asks for them"),
//!             Effect::Host(op) => Outcome::Host(match op {
//!                 HostOp::Prepare => HostResult::Prepared,
//!                 HostOp::Load(slot) => HostResult::Loaded(store.get(&slot).map(|bytes: &zeroize::Zeroizing<Vec<u8>>| {
//!                     Stored::new(bytes.clone(), "memory")
//!                 })),
//!                 HostOp::Replace(slot, bytes) => {
//!                     store.insert(slot, bytes);
//!                     HostResult::Replaced
//!                 }
//!                 HostOp::Append(slot, bytes, _durability) => {
//!                     store.entry(slot).or_default().extend_from_slice(&bytes);
//!                     HostResult::Appended
//!                 }
//!                 HostOp::SetAside(slot) => {
//!                     store.remove(&slot);
//!                     HostResult::SetAside("nowhere".to_owned())
//!                 }
//!                 HostOp::ReadFile(..) => unreachable!("only files for peers ask for it"),
//!                 HostOp::Lock => HostResult::Locked(LockId(1)),
//!                 HostOp::Unlock(_) => HostResult::Unlocked,
//!                 HostOp::Plugin(_) => unreachable!("only installs ask for it"),
//!             }),
//!             // Nobody else waits for this thread.
//!             Effect::Decode(decode) => decode.perform(),
//!         };
//!         // What comes back is not the machine's: nothing to do for a driver without late outcomes.
//!         let _ = machine.feed(&mut Cx { now: now(), session }, id, outcome);
//!     }
//! }
//!
//! // A platform with a workspace whose first register mints its token.
//! let mut platform = molecule_platform::Platform::new(molecule_platform::Config::default());
//! let start = Now::default();
//! let id = platform.create_workspace_at(start, "mine", "http://localhost:9/agent").unwrap();
//!
//! let config = Options::new("http://127.0.0.1:8080", &id).build()?;
//! let mut session = Session::new(config, 7); // a real driver takes the seed from the operating system
//! let clock = std::time::Instant::now();
//! let now = || Now {
//!     mono: Time::ZERO + clock.elapsed(),
//!     unix: molecule_core::proto::UnixTime::from_secs(1_795_383_587),
//! };
//! let mut send = |mut request: http::Request<Bytes>| {
//!     // What every HTTP client does.
//!     request.headers_mut().insert("host", http::HeaderValue::from_static("127.0.0.1:8080"));
//!     Ok(platform.handle(start, None, request).ready().expect("answered at once"))
//! };
//!
//! let registration = drive(Register::new(), &mut session, &now, &mut send)?;
//! assert_eq!(registration.token, TokenUse::Minted);
//! # Ok::<(), molecule_core::Error>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod call;
mod config;
mod delegation;
pub mod effect;
pub mod endpoint;
mod error;
mod event;
#[doc(hidden)]
pub mod figures;
pub mod fleet;
mod flow;
mod inbound;
mod inbox;
mod life;
pub mod machine;
pub mod machines;
mod peer;
pub mod plugin;
mod run;
mod session;
mod text;

pub use call::wait::WaitFor;
pub use config::base_url::BaseUrl;
pub use config::inbox::{Backlog, InboxOptions};
pub use config::options::{OnPause, Options, OriginHeader, Proxy, Transport};
pub use config::proxy::{HttpProxy, ProxyRule};
pub use config::route::Route;
pub use config::server::{ServerLimits, ServerOptions};
pub use config::{Config, Intervals, Timeouts};
pub use delegation::{Delegation, DelegationEnd, DelegationView, python_idempotency_key};
pub use error::{Error, ErrorKind, Result};
pub use event::{Event, Lane, ReplyEnd};
pub use inbox::{
    Attachment, AttachmentKind, DeadLetter, DownloadTo, Downloaded, InboundMessage, InboxEntry, InboxListing,
    InboxState, Notice, OutgoingFile, PlatformKind, Reply, ReplyHandle, Sender, TryAgain,
};
pub use life::recover::{Recovered, Recovery};
pub use life::register::{Registration, TokenUse};
pub use molecule_proto::Dialect;
pub use peer::{CallOutcome, PeerCall, QueueOutcome, ReachFailure, Reachability};
pub use run::Ended;
pub use session::delivery::{Plan, PushState};
pub use session::health::{Counters, Health};
pub use session::peer_url::PeerUrl;
pub use session::rate::RateBudget;
pub use session::report::Report;
pub use session::serve::InboundSecrets;

#[doc(inline)]
pub use molecule_plugin::{digest, unpack};
pub use molecule_proto as proto;
pub(crate) use molecule_proto::printable;

/// The programs of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
