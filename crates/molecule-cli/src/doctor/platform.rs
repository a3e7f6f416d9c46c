//! What can be wrong on the platform.

use molecule_async::core::endpoint::{Existence, View};
use molecule_async::core::proto::WorkspaceView;
use molecule_async::{Agent, ErrorKind, RateLimit, Reachability, WorkspaceStatus};

use super::{Level, Report};
use crate::exit::{self, Failure};

/// The rate limit is scarce if less than one part of so many is left.
const SCARCE: u32 = 10;

pub(super) async fn check(agent: &Agent, report: &mut Report) {
    let has_url = match agent.send(&View).await {
        Ok(Existence::Present(view)) => {
            existing(&view, report);
            // April's server has no poll mode: an agent without a URL registers one that ends so.
            view.url.starts_with("http") && !view.url.ends_with("/no-inbound")
        }
        Ok(Existence::Removed) => {
            let failure = Failure::new(exit::DELETED, "the workspace was removed; its owner has to create another one");
            return report.fail("status", failure);
        }
        Ok(_) => {
            let failure = Failure::new(
                exit::ERROR,
                "the platform has no such workspace; check the id and the platform's URL, or ask the owner to create it",
            );
            return report.fail("status", failure);
        }
        Err(error) => return report.fail("status", error),
    };
    if bearer(agent, report).await && has_url {
        reach(agent, report).await;
    }
    let health = agent.health();
    if let Some(dialect) = health.dialect {
        report.add("dialect", Level::Note, format!("the server speaks as the {dialect} one does"));
    }
    if let Some(RateLimit::Window { limit, remaining: Some(remaining) }) = health.rate {
        let message = format!("{} of {limit} requests are left in this window", remaining.requests);
        match remaining.requests.saturating_mul(SCARCE) < limit {
            true => {
                let remedy = "all agents of an organisation share it: call less often";
                report.advise("rate", Level::Warning, message, remedy);
            }
            false => report.add("rate", Level::Ok, message),
        }
    }
}

fn existing(view: &WorkspaceView, report: &mut Report) {
    let message = format!("{} is {}", view.name, view.status);
    match &view.status {
        WorkspaceStatus::Paused => {
            report.advise("status", Level::Fault, message, "its owner can resume it");
            report.code = exit::PAUSED;
        }
        WorkspaceStatus::Online => report.add("status", Level::Ok, message),
        _ => report.add("status", Level::Note, message),
    }
    match view.last_heartbeat_at {
        Some(Some(at)) => report.add("heartbeat", Level::Note, format!("the last one came at {at}")),
        Some(None) => report.add("heartbeat", Level::Note, "none has come yet"),
        None => {}
    }
    let url = if view.url.is_empty() { "none: the agent polls" } else { &view.url };
    report.add("url", Level::Note, format!("the platform has {url}"));
    if view.talk_to_user_enabled == Some(false) {
        let remedy = "its owner can allow it; until then answers to people are refused";
        report.advise("user", Level::Warning, "the workspace may not talk to its user", remedy);
    }
    if view.wedged == Some(true) {
        report.add("runtime", Level::Warning, "the agent reported itself as stuck");
    }
}

/// Returns whether the token is alive, and this workspace's.
async fn bearer(agent: &Agent, report: &mut Report) -> bool {
    match agent.poll_state().await {
        Ok(state) if state.deleted => {
            report.fail("bearer", Failure::new(exit::DELETED, "the platform says that the workspace is deleted"));
        }
        Ok(_) => {
            report.add("bearer", Level::Ok, "the platform accepts the token");
            return true;
        }
        Err(error) if error.kind() == ErrorKind::TokenNotHeld => {
            let remedy = "a register may bring one: molecule register";
            report.advise("bearer", Level::Warning, "there is no token to try", remedy);
        }
        Err(error) => report.fail("bearer", error),
    }
    false
}

/// Whether the platform reaches the URL that it has.
async fn reach(agent: &Agent, report: &mut Report) {
    match agent.check_reachable().await {
        Ok(Reachability::Reachable { took }) => {
            report.add("reach", Level::Ok, format!("the platform reached the agent within {} ms", took.as_millis()));
        }
        Ok(Reachability::Unreachable { why }) => report.add("reach", Level::Warning, why.to_string()),
        Ok(_) => {}
        Err(error) => report.add("reach", Level::Note, error.to_string()),
    }
}
