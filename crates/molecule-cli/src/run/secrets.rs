//! `--reload-on-secrets`: the program gets the workspace's secrets again once they have changed.

use std::time::Duration;

use molecule_async::{Agent, Secrets};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Handler;
use super::program::Program;
use crate::args::OnSecrets;
use crate::exit::Failure;

/// What is done once the secrets have changed. Nothing tells of that, so the agent asks for them again and again.
pub(super) struct Reload<'a> {
    pub(super) agent: &'a Agent,
    pub(super) program: &'a Program,
    pub(super) handler: &'a Handler,
    pub(super) act: OnSecrets,
}

impl Reload<'_> {
    /// Follows the secrets for ever. `known` are those that the program has.
    pub(super) async fn follow(self, mut known: Secrets, every: Duration, is_given: bool, look: &Notify) -> ! {
        loop {
            drop(timeout(every, look.notified()).await);
            // A platform that does not answer has not changed them; the loop tells that it does not.
            let Ok(secrets) = self.agent.pull_secrets().await else { continue };
            if secrets.iter().eq(known.iter()) {
                continue;
            }
            if let Err(failure) = self.changed(&secrets, is_given) {
                self.program.output.warning(&format!("[{}] {failure}", self.program.workspace));
            }
            known = secrets;
        }
    }

    fn changed(&self, secrets: &Secrets, is_given: bool) -> Result<(), Failure> {
        if is_given {
            self.program.give(secrets)?;
        }
        self.program.output.note(&format!("[{}] the workspace's secrets have changed", self.program.workspace));
        match (self.act, self.handler) {
            (OnSecrets::Restart, Handler::Lines(lines)) => lines.restart(),
            (OnSecrets::Hup, Handler::Lines(lines)) => lines.hang_up(),
            // Each message starts a program, which gets the new ones.
            (_, Handler::PerMessage(_) | Handler::Echo | Handler::Forward(_)) => {}
        }
        Ok(())
    }
}
