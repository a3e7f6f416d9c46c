//! The workspace as the platform shows it.

use molecule_async::Agent;
use molecule_async::core::endpoint::{Existence, View};
use molecule_async::core::proto::{StateAnswer, WorkspaceView, printable};
use serde::Serialize;

use crate::exit::{self, Failure};
use crate::output::Output;

/// The result: the open view of the workspace, and with a token its state.
#[derive(Serialize)]
struct Status<'a> {
    /// Null if the workspace is removed or was never created.
    view: Option<&'a WorkspaceView>,
    /// Null where no token is held.
    state: Option<&'a StateAnswer>,
    /// Why there is no state, in a sentence.
    why_no_state: Option<String>,
}

pub(super) async fn show(agent: &Agent, output: &Output) -> Result<u8, Failure> {
    let existence = agent.send(&View).await?;
    let view = match &existence {
        Existence::Present(view) => Some(&**view),
        _ => None,
    };
    let state = match view {
        Some(_) => Some(agent.poll_state().await),
        None => None,
    };
    let (state, fault) = match state {
        Some(Ok(state)) => (Some(state), None),
        Some(Err(error)) => (None, Some(Failure::from(error))),
        None => (None, None),
    };
    let why_no_state = fault.as_ref().map(ToString::to_string);
    let status = Status { view, state: state.as_ref(), why_no_state };
    output.result(&status, || text(&existence, &status))?;
    Ok(match (&existence, &state) {
        (Existence::Removed, _) => exit::DELETED,
        (Existence::NotFound, _) => exit::ERROR,
        (_, Some(state)) if state.deleted => exit::DELETED,
        (_, Some(state)) if state.paused == Some(true) => exit::PAUSED,
        _ => fault.map_or(exit::OK, |fault| fault.code()),
    })
}

fn text(existence: &Existence, status: &Status<'_>) -> String {
    let view = match existence {
        Existence::Present(view) => view,
        Existence::Removed => return "the workspace was removed".to_owned(),
        _ => return "the platform has no such workspace; ask its owner to create it".to_owned(),
    };
    let mut lines = vec![format!("workspace  {} ({})", view.name, view.id), format!("status     {}", view.status)];
    if let Some(role) = &view.role {
        lines.push(format!("role       {role}"));
    }
    if let Some(name) = view.agent_card.as_ref().and_then(|card| card.get("name")?.as_str()) {
        lines.push(format!("card       {name}"));
    }
    lines.push(format!("url        {}", if view.url.is_empty() { "none: it polls" } else { &view.url }));
    if let Some(Some(at)) = view.last_heartbeat_at {
        lines.push(format!("last beat  {at}"));
    }
    lines.push(format!("tasks      {} of {}", view.active_tasks, view.max_concurrent_tasks));
    match &status.why_no_state {
        Some(why) => lines.push(format!("token      {why}")),
        None => lines.push("token      accepted".to_owned()),
    }
    lines.iter().map(|line| printable::line(line)).collect::<Vec<_>>().join("\n")
}
