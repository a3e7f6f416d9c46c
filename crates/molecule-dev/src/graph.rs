//! Who calls whom, counted from the log.

use std::collections::BTreeMap;

use http::header::AUTHORIZATION;
use molecule_platform::{Act, Acted, Answer, Input, Platform, RouteName, Step, Ticket, Turn};
use molecule_proto::WorkspaceId;
use serde::Serialize;

/// The messages of one party to one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Edge {
    /// The sender's workspace; `None` is a person, a channel or a webhook.
    pub from: Option<WorkspaceId>,
    /// The agent's workspace, as the sender named it.
    pub to: WorkspaceId,
    /// How many messages and delegations were sent.
    pub calls: u64,
    /// How many of them were refused, or answered with a status of 400 or more.
    pub failures: u64,
}

/// The edges so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    edges: BTreeMap<(Option<WorkspaceId>, WorkspaceId), (u64, u64)>,
    /// The calls whose answer comes later.
    waiting: BTreeMap<Ticket, (Option<WorkspaceId>, WorkspaceId)>,
}

impl Graph {
    pub(crate) fn edges(&self) -> Vec<Edge> {
        let edges = self.edges.iter();
        let edge = |((from, to), (calls, failures)): (&(Option<WorkspaceId>, WorkspaceId), &(u64, u64))| Edge {
            from: from.clone(),
            to: to.clone(),
            calls: *calls,
            failures: *failures,
        };
        edges.map(edge).collect()
    }

    /// Counts what an input sent.
    pub(crate) fn count(&mut self, input: &Input, step: &Step, platform: &Platform) {
        for turn in &step.turns {
            if let Turn::Answer(ticket, response) = turn
                && let Some(pair) = self.waiting.remove(ticket)
                && response.status().as_u16() >= 400
            {
                self.edges.entry(pair).or_default().1 += 1;
            }
        }
        let Some((from, to)) = sent(input, platform) else { return };
        let pair = (from, to);
        let failed = match (&step.answer, &step.acted) {
            (Some(Answer::Ready(response)), _) => response.status().as_u16() >= 400,
            (Some(Answer::Later(ticket)), _) => {
                self.waiting.insert(*ticket, pair.clone());
                false
            }
            (_, Some(acted)) => matches!(acted, Acted::Refused { .. }),
            _ => false,
        };
        let counts = self.edges.entry(pair).or_default();
        counts.0 += 1;
        counts.1 += u64::from(failed);
    }
}

/// The sender and the recipient of a message.
fn sent(input: &Input, platform: &Platform) -> Option<(Option<WorkspaceId>, WorkspaceId)> {
    match input {
        Input::Request { request, .. } => {
            let route = RouteName::find(platform.dialect(), request.method(), request.uri().path())?;
            let caller = request.headers().get("x-workspace-id").and_then(|id| id.to_str().ok()?.parse().ok());
            let bearer = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
            let from = caller.or_else(|| platform.bearer_of(bearer?).cloned());
            match route.name.as_str() {
                "SendMessage" | "SendThroughDoor" => Some((from, route.workspace?)),
                "Delegate" => {
                    let body: serde_json::Value = serde_json::from_slice(request.body()).ok()?;
                    Some((route.workspace, body["target_id"].as_str()?.parse().ok()?))
                }
                _ => None,
            }
        }
        Input::Act(act) => match act {
            Act::SendUserMessage { to, .. } | Act::SendChannelMessage { to, .. } | Act::SendWebhook { to, .. } => {
                Some((None, to.clone()))
            }
            Act::SendAgentMessage { from, to, .. } => Some((Some(from.clone()), to.clone())),
            _ => None,
        },
        _ => None,
    }
}
