//! What extends the SDK: endpoints that it does not know, and stores of an author's own. All of it is inside semantic
//! versioning, unlike the rooms of [`core`](crate::core) in which it is defined.
//!
//! # An endpoint of your own
//!
//! [`Agent::send`](crate::Agent::send) takes any [`Endpoint`], with the retries and the handling of a 401 that every call
//! has. An ordinary one is a [`JsonEndpoint`]: a path, perhaps a body, whether the request may be sent again, and an answer that is
//! JSON.
//!
//! ```
//! use std::borrow::Cow;
//!
//! use molecule_async::extend::http::Method;
//! use molecule_async::extend::{Draft, JsonEndpoint, Repeat};
//! use molecule_async::core::proto::{NotifyRequest, PostedAnswer, path};
//! use molecule_async::{Agent, Result, Storage, WorkspaceId};
//!
//! /// `POST /workspaces/:id/notify`: words for the person behind the workspace.
//! #[derive(Clone)]
//! struct Notify(&'static str);
//!
//! impl JsonEndpoint for Notify {
//!     type Answer = PostedAnswer;
//!     const OPERATION: &'static str = "notify";
//!     const METHOD: Method = Method::POST;
//!     const REPEAT: Repeat = Repeat::OnlyUnsent; // whoever gets it twice is told twice
//!     const SHAPE: &'static str = "an object with a status";
//!
//!     fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str> {
//!         path::notify(workspace).into()
//!     }
//!
//!     fn body(&self, draft: Draft, _: &WorkspaceId) -> Result<Draft> {
//!         draft.json(&NotifyRequest::new(self.0))
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let server = molecule_platform::serve(molecule_platform::Config::default(), "127.0.0.1:0")?;
//! let (id, token) = server.with(|platform, now| platform.create_workspace(now, "mine"));
//! let agent = Agent::builder(server.url(), &id).token(token.expose()).storage(Storage::Memory).build()?;
//! assert_eq!(agent.send(&Notify("the report is ready")).await?.status, "sent");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A store of your own
//!
//! [`Storage::Custom`](crate::Storage::Custom) takes any [`Store`]: a keyring, a secret manager, a database. It is called from
//! threads that may wait. What it says when it fails is one sentence with the place and the remedy, and never what it keeps. The journal of the inbox
//! grows by appends: a store that can append has a [`Store::append`] of its own, since the default replaces the whole content.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::io::ErrorKind;
//! use std::sync::atomic::{AtomicBool, Ordering};
//! use std::sync::{Arc, Mutex, MutexGuard};
//!
//! use molecule_async::extend::{Slot, Store, StoreError, Stored};
//! use molecule_async::{Agent, Storage};
//!
//! /// A keyring; this one forgets everything with its process.
//! #[derive(Default)]
//! struct Ring {
//!     slots: Mutex<BTreeMap<Slot, Vec<u8>>>,
//!     taken: Arc<AtomicBool>,
//! }
//!
//! impl Ring {
//!     fn slots(&self) -> Result<MutexGuard<'_, BTreeMap<Slot, Vec<u8>>>, StoreError> {
//!         let poisoned = |_| StoreError::new(ErrorKind::Other, "the ring is broken; start the program again");
//!         self.slots.lock().map_err(poisoned)
//!     }
//! }
//!
//! impl Store for Ring {
//!     fn prepare(&self) -> Result<(), StoreError> {
//!         self.slots().map(drop) // a real one tries to write: a token is minted only after this
//!     }
//!
//!     fn load(&self, slot: Slot) -> Result<Option<Stored>, StoreError> {
//!         Ok(self.slots()?.get(&slot).map(|content| Stored::new(content.clone(), "the ring")))
//!     }
//!
//!     fn replace(&self, slot: Slot, content: &[u8]) -> Result<(), StoreError> {
//!         self.slots()?.insert(slot, content.to_vec());
//!         Ok(())
//!     }
//!
//!     fn set_aside(&self, slot: Slot) -> Result<String, StoreError> {
//!         self.slots()?.remove(&slot);
//!         Ok("nowhere: the ring keeps one content".to_owned())
//!     }
//!
//!     fn lock(&self) -> Result<Box<dyn Send>, StoreError> {
//!         if self.taken.swap(true, Ordering::AcqRel) {
//!             return Err(StoreError::locked("another agent of this workspace holds the ring; stop it first"));
//!         }
//!         Ok(Box::new(Held(self.taken.clone())))
//!     }
//! }
//!
//! /// Dropping it gives the lock back.
//! struct Held(Arc<AtomicBool>);
//!
//! impl Drop for Held {
//!     fn drop(&mut self) {
//!         self.0.store(false, Ordering::Release);
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let server = molecule_platform::serve(molecule_platform::Config::default(), "127.0.0.1:0")?;
//! let id = server.with(|platform, now| platform.create_workspace_at(now, "mine", "http://localhost:9/agent")).unwrap();
//! let ring = Arc::new(Ring::default());
//! let agent = || Agent::builder(server.url(), &id).storage(Storage::Custom(ring.clone())).build();
//! agent()?.register().await?; // mints a token, and stores it
//! assert!(agent()?.pull_secrets().await?.is_empty()); // another start finds it
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[doc(no_inline)]
pub use ::http;
#[doc(no_inline)]
pub use bytes::Bytes;
#[doc(inline)]
pub use molecule_core::effect::{Durability, Slot, Stored};
#[doc(inline)]
pub use molecule_core::endpoint::{Auth, Draft, Endpoint, JsonEndpoint, Limits, Mints, Mismatch, Reach, Repeat, json};
#[doc(inline)]
pub use molecule_host::{Store, StoreError};
