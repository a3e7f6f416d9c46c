//! One workspace of the program: its agent, its inbox, and the loop that keeps it online.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use molecule_async::{ActivityId, Agent, AgentBuilder, Ended, ErrorKind, Event, InboundMessage, Reply, WorkspaceId};
use tokio::sync::watch;
use tokio::time::sleep;

use super::inbox::{Finished, Inbox, Standing};
use super::options::Duties;
use crate::exit::Failure;
use crate::output::Output;
use crate::run::attachments::Incoming;

/// The wait before the lock is asked for again that another program of the workspace has.
const LOCKED: Duration = Duration::from_secs(3);

/// The wait before a loop that failed is started again. A refused token may be replaced meanwhile, in the store.
const FAILED: Duration = Duration::from_secs(60);

/// A workspace.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) label: String,
    id: WorkspaceId,
    agent: Agent,
    pub(super) inbox: Arc<Inbox>,
    pub(super) incoming: Incoming,
}

impl Member {
    pub(super) fn new(label: &str, builder: AgentBuilder, directory: &Path, output: &Output) -> Result<Self, Failure> {
        let inbox = Arc::new(Inbox::new());
        let (listening, name, told) = (inbox.clone(), label.to_owned(), output.clone());
        let tell = move |event: &Event| {
            listening.told(event);
            told.event(&name, event);
        };
        let agent = builder.on_event(tell).build()?;
        let id = agent.workspace_id();
        let incoming = Incoming::new(directory);
        incoming.remove_old();
        Ok(Self { label: label.to_owned(), id, agent, inbox, incoming })
    }

    pub(super) fn id(&self) -> &WorkspaceId {
        &self.id
    }

    /// Says that a message is done, as [`Inbox::finish`] does. Its files are kept for a while.
    pub(super) async fn finish(&self, id: &ActivityId, reply: Option<Reply>) -> Option<Finished> {
        let finished = self.inbox.finish(id, reply).await;
        if finished.as_ref().is_some_and(|finished| finished.is_saved) {
            self.incoming.done(id);
        }
        finished
    }

    pub(super) fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Runs the agent's loop until the program ends. While another program of the workspace has the lock, this one waits for
    /// it, and takes over when that one ends.
    pub(super) async fn stay_online(
        self: Arc<Self>,
        duties: Duties,
        mut closing: watch::Receiver<bool>,
        output: Output,
    ) {
        if duties == Duties::None {
            let why = "MOLECULE_MCP_DISABLE_HEARTBEAT leaves the agent and its inbox to another program";
            return self.inbox.set_standing(Standing::Off(why.to_owned()));
        }
        let mut is_told = false;
        loop {
            let ended = match duties {
                Duties::NoInbox => {
                    let why = "MOLECULE_MCP_DISABLE_INBOX leaves the inbox to another program";
                    self.inbox.set_standing(Standing::Off(why.to_owned()));
                    self.agent.run_heartbeat_loop().await
                }
                Duties::All | Duties::None => {
                    let inbox = self.inbox.clone();
                    let hold = move |message: InboundMessage| -> Holding { Box::pin(inbox.clone().hold(message)) };
                    self.agent.run_agent_loop(hold).await
                }
            };
            let wait = match ended {
                Ok(Ended::Stopped) => return,
                Ok(Ended::Deleted) => {
                    let why = "the workspace is deleted".to_owned();
                    output.warning(&format!("[{}] {why}", self.label));
                    return self.inbox.set_standing(Standing::Off(why));
                }
                Err(error) if error.kind() == ErrorKind::Locked => {
                    if !std::mem::replace(&mut is_told, true) {
                        output.note(&format!("[{}] {error}; it is read, and taken over later", self.label));
                    }
                    if duties == Duties::All {
                        self.inbox.set_standing(Standing::Elsewhere(error.to_string()));
                    }
                    LOCKED
                }
                Ok(ended) => self.failed(&output, format!("the agent's loop ended: {ended}")),
                Err(error) => self.failed(&output, Failure::from(error).to_string()),
            };
            tokio::select! {
                () = sleep(wait) => {}
                // Its sender lives as long as the program.
                _ = closing.wait_for(|is_closing| *is_closing) => return,
            }
        }
    }

    fn failed(&self, output: &Output, why: String) -> Duration {
        output.warning(&format!("[{}] {why}", self.label));
        self.inbox.set_standing(Standing::Off(why));
        FAILED
    }
}

type Holding = std::pin::Pin<Box<dyn Future<Output = Result<Option<Reply>, String>> + Send>>;
