//! An agent of ours on a platform that a test watches.

use std::thread::JoinHandle;

use molecule_blocking::{Agent, Ended, InboundMessage, Reply, Stopper, Storage};

/// A running agent, which answers each message with its text.
pub(crate) struct Running {
    stopper: Stopper,
    thread: Option<JoinHandle<Ended>>,
}

impl Running {
    pub(crate) fn start(url: &str, id: &str, token: &str) -> Self {
        let agent = Agent::builder(url, id).token(token).storage(Storage::Memory).build().unwrap();
        let stopper = agent.stopper();
        let thread = std::thread::spawn(move || agent.run_agent_loop(echo).unwrap());
        Self { stopper, thread: Some(thread) }
    }

    /// Waits for its end, which comes from the platform.
    pub(crate) fn ended(mut self) -> Ended {
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn echo(message: InboundMessage) -> Result<Option<Reply>, String> {
    Ok(Some(Reply::text(format!("you wrote: {}", message.text()))))
}
