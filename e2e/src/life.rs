//! A life of an agent that is a process of its own, so that it can be killed.

use std::env;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use molecule_core::proto::{Token, WorkspaceId};
use molecule_core::{InboundMessage, InboxOptions, Reply};
use molecule_host::{Stopper, Storage};

use crate::facade::{Facade, MessageHandler};
use crate::log::PATIENCE;
use crate::world::World;

const FACADE: &str = "MOLECULE_E2E_FACADE";
const URL: &str = "MOLECULE_E2E_URL";
const ID: &str = "MOLECULE_E2E_ID";
const TOKEN: &str = "MOLECULE_E2E_TOKEN";
const HOME: &str = "MOLECULE_E2E_HOME";

/// The process; dropping it kills it.
#[derive(Debug)]
pub struct Life(Child);

impl Life {
    /// Starts an agent as a process of its own: the test of this name in the running program, which is ignored otherwise
    /// and calls [`live`].
    ///
    /// # Panics
    /// If the process does not start.
    pub fn start(facade: Facade, world: &World, id: &WorkspaceId, token: &Token, test: &str) -> Self {
        let facade = match facade {
            Facade::Blocking => "blocking",
            Facade::Async => "async",
        };
        let mut child = Command::new(env::current_exe().expect("the program has a path"));
        child.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
        child.env(FACADE, facade).env(URL, world.url()).env(ID, id.as_str()).env(TOKEN, token.expose());
        child.env(HOME, world.home().path());
        child.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(child.spawn().expect("the program starts again"))
    }

    /// Kills the process.
    pub fn kill(self) {}

    /// Stops the agent, and waits for the end of its process.
    ///
    /// # Panics
    /// If its loop fails, or does not end within [`PATIENCE`].
    pub fn stop(mut self) {
        drop(self.0.stdin.take());
        assert!(self.ended().success(), "the loop of a process failed");
    }

    /// Waits until the process ends by itself.
    ///
    /// # Panics
    /// If it does not within [`PATIENCE`].
    pub fn ended(mut self) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "the process did not end");
            thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the agent of a process that [`Life::start`] has started, with the default options but for those of the inbox, until
/// it is stopped.
///
/// # Panics
/// If the loop ends with an error.
pub fn live(inbox: InboxOptions, handler: impl MessageHandler) {
    let var = |name| env::var(name).expect("the process was started by a scenario");
    let (url, id, token) = (var(URL), var(ID), var(TOKEN));
    let storage = Storage::Dir(var(HOME).into());
    let ended = if var(FACADE) == "blocking" {
        let agent = molecule_blocking::Agent::builder(url, id).token(token).storage(storage).inbox(inbox).no_proxy();
        let agent = agent.build().expect("the options make sense");
        stop_with_parent(agent.stopper());
        agent.run_agent_loop(handler)
    } else {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("the system has a poller");
        let agent = molecule_async::Agent::builder(url, id).token(token).storage(storage).inbox(inbox).no_proxy();
        let agent = agent.build().expect("the options make sense");
        stop_with_parent(agent.stopper());
        let handler = std::sync::Arc::new(handler);
        runtime.block_on(agent.run_agent_loop(move |message: InboundMessage| {
            let handler = std::sync::Arc::clone(&handler);
            async move { handler(message) as Result<Option<Reply>, String> }
        }))
    };
    ended.expect("the loop ends well");
}

/// Stops the agent once the parent closes its end of standard input, also by dying.
fn stop_with_parent(stopper: Stopper) {
    thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        stopper.stop();
    });
}
