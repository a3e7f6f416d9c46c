//! Creates the agents of a world.

use std::time::Duration;

use molecule_platform::Platform;

use crate::agent::Agent;
use crate::clock::platform_now;
use crate::scenario::{AgentSetup, TokenAt};
use crate::world::{Happening, World};

impl World<'_> {
    /// Creates an agent and its workspace, puts its token where the setup wants it, and plans the start of its program.
    pub(crate) fn create(&mut self, setup: AgentSetup) {
        let now = platform_now(self.now);
        let number = self.agents.len();
        let name = format!("agent-{number}");
        let (workspace, token) = if setup.token == TokenAt::NotMinted {
            let made = self.platform.create_workspace_at(now, &name, &crate::agent::url(number, 0));
            (made.expect("a URL on a public host is never refused"), None)
        } else {
            let (workspace, token) = self.platform.create_workspace(now, &name);
            (workspace, Some(token))
        };
        let newer = |platform: &mut Platform| platform.rotate(now, &workspace);
        let (given, stored) = match setup.token {
            TokenAt::NotMinted | TokenAt::Lost => (None, None),
            TokenAt::Stored => (None, token.clone()),
            TokenAt::Given => (token.clone(), None),
            TokenAt::GivenDeadStoredLive => (token.clone(), newer(&mut self.platform)),
            TokenAt::GivenLiveStoredDead => (newer(&mut self.platform), token.clone()),
        };
        for token in token.iter().chain(&given).chain(&stored) {
            self.watch().knows(token.expose());
        }
        self.peers.add();
        let up_for = Duration::from_secs(self.rng.u64(1..100_000));
        let spread = u64::from(setup.starts_within_s) * 1000;
        let starts = self.now + Duration::from_millis(self.rng.u64(0..=spread));
        self.agents.push(Agent::new(number, setup, workspace, given, up_for));
        if let Some(token) = stored {
            self.agents[number].disk.put(molecule_core::effect::Slot::Token, token.expose());
        }
        self.plan(starts, Happening::Starts(number));
    }
}
