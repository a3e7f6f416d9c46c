//! A program for each message: the text on its stdin, the reply on its stdout.

use molecule_async::{Agent, InboundMessage, Reply, Sender};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::attachments::Incoming;
use super::exits::judge;
use super::program::{Program, Started};
use super::unhandled::Unhandled;
use super::wire;

/// The most bytes of a reply.
const MAX_REPLY: u64 = 1024 * 1024;

/// Starts a program for each message.
pub(super) struct PerMessage {
    agent: Agent,
    program: Program,
    incoming: Incoming,
}

impl PerMessage {
    pub(super) fn new(agent: Agent, program: Program, incoming: Incoming) -> Self {
        Self { agent, program, incoming }
    }

    pub(super) async fn handle(&self, message: InboundMessage) -> Result<Option<Reply>, Unhandled> {
        let files = self.incoming.fetch(&self.agent, &message).await?;
        let (id, files) = (message.id().to_string(), files.join("\n"));
        let sender = match message.sender() {
            Sender::Peer { id, .. } => id.to_string(),
            Sender::Channel(kind) => kind.clone(),
            Sender::Platform(kind) => kind.to_string(),
            _ => String::new(),
        };
        let vars = [
            ("MOLECULE_MESSAGE_ID", &*id),
            ("MOLECULE_MESSAGE_SENDER", &*sender),
            ("MOLECULE_MESSAGE_SENDER_KIND", wire::kind(message.sender())),
            ("MOLECULE_MESSAGE_CONTEXT_ID", message.context_id().unwrap_or_default()),
            ("MOLECULE_MESSAGE_ATTACHMENTS", &*files),
        ];
        // A variable cannot hold U+0000, and a stranger may have written one.
        let vars = vars.map(|(name, value)| (name, value.split('\0').next().unwrap_or_default()));
        let name = self.program.name();
        // That is the fault of no message.
        let not_started = |error| Unhandled::again(format!("{name} cannot be started: {error}"));
        let started = self.program.start(&vars).map_err(not_started)?;
        let mut running = Running(Some(started));
        let reply = running.handle(&message.text()).await?;
        self.incoming.remove(&message);
        Ok(Some(wire::reply(&reply)))
    }
}

/// A program that is killed with its group if nobody waits for it any more.
struct Running(Option<Started>);

impl Running {
    async fn handle(&mut self, text: &str) -> Result<String, Unhandled> {
        let started = self.0.as_mut().ok_or_else(|| "the program has ended".to_owned())?;
        let (stdin, stdout) = (started.child.stdin.take(), started.child.stdout.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                // A program need not read its message.
                let _ = stdin.write_all(text.as_bytes()).await;
            }
        };
        let read = async {
            let mut reply = Vec::new();
            if let Some(stdout) = stdout {
                let _ = stdout.take(MAX_REPLY + 1).read_to_end(&mut reply).await;
            }
            reply
        };
        // The end of the program also ends what it has left running, and with it the last writer of its stdout.
        let ((), reply, ended) = tokio::join!(write, read, started.ended());
        self.0 = None;
        let status = ended.map_err(|error| format!("the program's end is unknown: {error}"))?;
        match status.code() {
            Some(0) if reply.len() as u64 > MAX_REPLY => {
                Err(format!("the program's reply is longer than {MAX_REPLY} bytes").into())
            }
            Some(0) => {
                let reply = String::from_utf8(reply).map_err(|_| "the program's reply is not UTF-8".to_owned())?;
                Ok(reply.trim_end_matches(['\n', '\r']).to_owned())
            }
            _ => Err(judge(status)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(started) = &mut self.0 {
            started.signal_kill();
        }
    }
}
