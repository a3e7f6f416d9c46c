//! The agents of one process: their starts, their ends, and what signals ask of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use molecule_async::core::proto::AgentCard;
use molecule_async::{Agent, Ended, Stopper};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::health::Agents;
use super::signals::{Hangups, Signals};
use super::{member, systemd};
use crate::args;
use crate::exit::{self, Failure};
use crate::output::Output;
use crate::settings::{Settings, Workspace};

/// The agents of one process.
pub(super) struct Supervisor<'a> {
    args: &'a args::Run,
    output: &'a Output,
    settings: Settings,
    agents: Agents,
    members: BTreeMap<String, Member>,
    tasks: JoinSet<(String, Result<Ended, Failure>)>,
    is_stopping: bool,
    code: u8,
}

/// A workspace whose agent runs.
struct Member {
    agent: Agent,
    stopper: Stopper,
    /// How its workspace is reached.
    way: String,
    card: Option<AgentCard>,
    /// Wakes what looks for new secrets.
    look: Arc<Notify>,
    /// Whether it is started again after its end, with the configuration as it is then.
    is_renewed: bool,
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(settings: Settings, args: &'a args::Run, output: &'a Output, agents: Agents) -> Self {
        let (members, tasks) = (BTreeMap::new(), JoinSet::new());
        Self { args, output, settings, agents, members, tasks, is_stopping: false, code: exit::OK }
    }

    /// Makes the agent of each workspace, before any of them runs.
    pub(super) fn prepare(&self) -> Result<Vec<(String, Agent)>, Failure> {
        let workspaces = self.settings.workspaces().iter();
        workspaces.map(|workspace| Ok((workspace.label.clone(), self.agent(workspace)?))).collect()
    }

    /// Runs these agents until each has ended. Returns the highest exit code of them.
    pub(super) async fn run(
        mut self,
        agents: Vec<(String, Agent)>,
        (mut stops, mut hangups): (Signals, Hangups),
    ) -> Result<u8, Failure> {
        for (label, agent) in agents {
            self.start(&label, agent);
        }
        while !self.tasks.is_empty() {
            tokio::select! {
                Some(joined) = self.tasks.join_next() => {
                    let (label, ended) = joined
                        .map_err(|error| Failure::new(exit::ERROR, format!("the program failed in itself: {error}")))?;
                    self.ended(&label, ended)?;
                }
                () = stops.next() => self.stop(),
                () = hangups.next() => self.reload().await,
            }
        }
        systemd::say("STOPPING=1");
        Ok(self.code)
    }

    fn agent(&self, workspace: &Workspace) -> Result<Agent, Failure> {
        member::agent(&self.settings, workspace, self.args, self.output)
    }

    fn start(&mut self, label: &str, agent: Agent) {
        let Some(workspace) = self.settings.workspaces().iter().find(|workspace| workspace.label == label) else {
            return;
        };
        let card = self.settings.card(self.args.name.as_deref()).unwrap_or_default();
        let member = Member {
            stopper: agent.stopper(),
            agent: agent.clone(),
            way: self.settings.way_to(workspace),
            card,
            look: Arc::default(),
            is_renewed: false,
        };
        self.agents.add(label, agent.clone());
        let directory = self.settings.directory_of(&agent.workspace_id());
        let (args, output, look, name) =
            (self.args.clone(), self.output.clone(), member.look.clone(), label.to_owned());
        self.members.insert(name.clone(), member);
        self.tasks.spawn(async move {
            let ended = member::run(&name, agent, &args, &directory, &look, &output).await;
            (name, ended)
        });
    }

    /// Takes the end of an agent. The result is one line: its workspace, and how it ended.
    fn ended(&mut self, label: &str, ended: Result<Ended, Failure>) -> Result<(), Failure> {
        self.agents.remove(label);
        let member = self.members.remove(label);
        if member.is_some_and(|member| member.is_renewed) && !self.is_stopping && ended.is_ok() {
            let Err(failure) = self.begin(label) else { return Ok(()) };
            self.output.failed(&failure);
            self.code = self.code.max(failure.code());
            return Ok(());
        }
        let own = match ended {
            Ok(ended) => {
                self.output.result(&json!({ "workspace": label, "ended": ended }), || format!("{label}: {ended}"))?;
                exit::of_end(ended)
            }
            Err(failure) => {
                self.output.failed(&failure);
                failure.code()
            }
        };
        self.code = self.code.max(own);
        Ok(())
    }

    /// Starts the agent of a workspace that the configuration has, if it has it.
    fn begin(&mut self, label: &str) -> Result<(), Failure> {
        let Some(workspace) = self.settings.workspaces().iter().find(|workspace| workspace.label == label) else {
            return Ok(());
        };
        let agent = self.agent(workspace)?;
        self.start(label, agent);
        Ok(())
    }

    fn stop(&mut self) {
        let is_first = !std::mem::replace(&mut self.is_stopping, true);
        if is_first {
            self.output.note("stopping: messages that are being handled are finished; another signal ends at once");
            systemd::say("STOPPING=1");
            self.members.values().for_each(|member| member.stopper.stop());
        } else {
            self.members.values().for_each(|member| member.stopper.stop_now());
        }
    }

    /// Reads the configuration again. One that makes no sense changes nothing.
    async fn reload(&mut self) {
        if self.is_stopping {
            return;
        }
        systemd::reloading();
        match self.settings.read_again() {
            Ok(settings) => {
                self.settings = settings;
                self.follow().await;
                self.output.note("the configuration was read again");
            }
            Err(failure) => self.output.warning(&format!("the configuration stays as it was: {failure}")),
        }
        systemd::say("READY=1");
    }

    /// Has the agents be as the configuration says.
    async fn follow(&mut self) {
        let listed: BTreeMap<String, String> = self
            .settings
            .workspaces()
            .iter()
            .map(|workspace| (workspace.label.clone(), self.settings.way_to(workspace)))
            .collect();
        for (label, member) in &mut self.members {
            let way = listed.get(label);
            member.is_renewed = way.is_some_and(|way| *way != member.way);
            if way.is_none() || member.is_renewed {
                member.stopper.stop();
            }
            member.look.notify_one();
        }
        for label in listed.keys() {
            if !self.members.contains_key(label)
                && let Err(failure) = self.begin(label)
            {
                self.output.warning(&format!("[{label}] {failure}"));
            }
        }
        self.update_cards().await;
    }

    /// Sends the card of each agent whose card has changed.
    async fn update_cards(&mut self) {
        let card = match self.settings.card(self.args.name.as_deref()) {
            Ok(card) => card,
            Err(failure) => return self.output.warning(&format!("the card stays as it was: {failure}")),
        };
        for (label, member) in &mut self.members {
            let Some(card) = card.clone().filter(|card| member.card.as_ref() != Some(card)) else { continue };
            match member.agent.update_card(card.clone()).await {
                Ok(()) => self.output.note(&format!("[{label}] the card was updated")),
                // Later registers carry it all the same.
                Err(error) => self.output.warning(&format!("[{label}] {}", Failure::from(error))),
            }
            member.card = Some(card);
        }
    }
}
