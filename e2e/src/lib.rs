//! End-to-end scenarios that run on both facades.
//!
//! Each file in `tests/` is one scenario of a remote agent's life, written once with [`scenario!`] and run on
//! `molecule-blocking` and on `molecule-async`, against both dialects of `molecule-platform` on a loopback port. So
//! they show that the facades are alike and that one client serves both servers. Nothing sleeps: a scenario waits for
//! at most [`PATIENCE`] until the platform received a request or the agent emitted an event.

mod facade;
mod home;
mod life;
mod log;
mod peer;
mod post;
mod running;
mod scenario;
mod served;
mod store;
mod world;

pub use facade::{Agent, Facade, MessageHandler, Setup, Stopper};
pub use home::Home;
pub use life::{Life, live};
pub use log::{Log, PATIENCE};
pub use peer::{Heard, Manner, PeerServer};
pub use post::Post;
pub use running::RunningLoop;
pub use scenario::Stage;
pub use served::RunningServer;
pub use store::Brittle;
pub use world::{RuleGuard, World, route};

pub use molecule_core as core;
pub use molecule_host as host;
pub use molecule_platform as platform;
pub use molecule_serve as serve;
