//! The view of one workspace: what its agent reports, the owner's acts, secrets, requests, and how to connect.

use maud::{Markup, html};
use molecule_proto::{Dialect, Token, WorkspaceId, WorkspaceStatus, WorkspaceView};
use serde_json::Value;

use super::html::{self, count};
use super::scene::Scene;
use super::{chat, json, said, snippets, workspaces};

pub(crate) fn page(scene: Scene<'_>, id: &WorkspaceId) -> Markup {
    let Some(view) = scene.platform.workspace(id) else {
        return html! { h1 { "Workspace" } (chat::unknown(id)) };
    };
    let is_there = view.status != WorkspaceStatus::Removed;
    html! {
        h1 { (html::name(&view.name)) }
        div class="columns" {
            section class="panel" aria-label="State" {
                (state(scene, &view))
                @if is_there { (acts(scene, &view)) }
                div id="issued" aria-live="polite" {}
            }
            @if is_there {
                section class="panel" {
                    h2 { "Connect an agent" }
                    (snippets::all(scene.url, id, scene.platform.newest_token(id).as_ref()))
                }
            }
            section class="panel" { h2 { "Secrets" } (secrets(scene, id)) @if is_there { (secret_form(scene, id)) } }
            @if scene.platform.dialect() == Dialect::Current {
                section class="panel" { h2 { "Requests" } (requests(scene, id)) @if is_there { (request_form(scene, id)) } }
            }
        }
    }
}

/// The state, live.
pub(crate) fn state(scene: Scene<'_>, view: &WorkspaceView) -> Markup {
    let id = &view.id;
    let platform = scene.platform;
    let (task, spend) = platform.reported_work(id).unwrap_or_default();
    let rows = platform.activity(id);
    let queued = platform.queued(id).iter().filter(|queued| queued.item.status.as_str() == "queued").count();
    html::live(
        "state",
        &format!("/dev/workspace/{id}/state"),
        html! {
            dl class="facts" {
                dt { "Status" } dd { (workspaces::pulse(scene, view)) " " (html::status(&view.status)) " " (workspaces::beat(scene, view)) }
                dt { "Id" } dd class="mono" { (id) }
                dt { "Delivery" } dd {
                    @let mode = workspaces::mode(scene, view);
                    @if mode.is_empty() { span class="muted" { "its agent says so when it registers" } } @else { (mode) }
                    @if !view.url.is_empty() { " at " span class="mono" { (html::short(&view.url, 200)) } }
                }
                @if let Some(parent) = &view.parent_id { dt { "Below" } dd { (scene.name_of(parent)) } }
                dt { "Live tokens" } dd { (platform.live_tokens(id)) }
                @if let (Some(talks), Some(broadcasts)) = (view.talk_to_user_enabled, view.broadcast_enabled) {
                    dt { "May" } dd class="acts" {
                        (ability(scene, id, "talk_to_user", talks, "talk to its user"))
                        (ability(scene, id, "broadcast", broadcasts, "broadcast"))
                    }
                }
                dt { "Feed" } dd {
                    (count(rows.len(), "row"))
                    @let waiting = said::waiting(scene, id);
                    @if waiting > 0 { ", " span class="chip wait" { (count(waiting, "message")) " waiting" } }
                    @if let Some(acked) = platform.last_acked(id) { span class="muted" { ", acknowledged up to " (acked) } }
                }
                @if queued > 0 { dt { "Queue" } dd { (count(queued, "message")) " for the busy agent" } }
                @if platform.calls_in_flight(id) > 0 { dt { "Calls" } dd { (platform.calls_in_flight(id)) " in flight" } }
                dt { "Reports" } dd {
                    (count(usize::try_from(view.active_tasks).unwrap_or(0), "active task"))
                    @if !task.is_empty() { ": " (html::short(&task, 200)) }
                    @if view.last_error_rate > 0.0 { span class="bad" { ", " (format!("{:.0} %", view.last_error_rate * 100.0)) " errors" } }
                    @if view.uptime_seconds > 0 { span class="muted" { ", up " (view.uptime_seconds) " s" } }
                    @if spend > 0 { span class="muted" { ", " (format!("{}.{:02}", spend / 100, spend % 100)) " USD this month" } }
                }
                @if let Some(error) = view.last_sample_error.as_deref().filter(|error| !error.is_empty()) {
                    dt { "Last error" } dd class="bad" { (html::short(error, 400)) }
                }
            }
            @if let Some(card) = &view.agent_card {
                details { summary { "Agent card" } (json::value(card)) }
            }
        },
    )
}

/// What the workspace may do or not, with the act that changes it.
fn ability(scene: Scene<'_>, id: &WorkspaceId, name: &str, can: bool, words: &str) -> Markup {
    let act = if can { "Forbid" } else { "Allow" };
    html! {
        form class="acts" hx-post="/dev/act/ability" hx-target="#notice" {
            input type="hidden" name="workspace" value=(id);
            input type="hidden" name="ability" value=(name);
            input type="hidden" name="can" value=(!can);
            span { @if !can { "not " } (words) }
            button type="submit" class="plain" disabled[!scene.is_live()] aria-label={ (act) " it to " (words) } { (act) }
        }
    }
}

fn acts(scene: Scene<'_>, view: &WorkspaceView) -> Markup {
    let id = &view.id;
    let has_children = scene
        .workspaces()
        .iter()
        .any(|other| other.parent_id.as_ref() == Some(id) && other.status != WorkspaceStatus::Removed);
    let (act, label) = match view.status {
        WorkspaceStatus::Paused => ("resume", "Resume"),
        _ => ("pause", "Pause"),
    };
    html! {
        h2 { "Acts of its owner" }
        fieldset class="acts" disabled[!scene.is_live()] {
            form hx-post={ "/dev/act/" (act) } hx-target="#notice" class="acts" {
                input type="hidden" name="workspace" value=(id);
                button type="submit" { (label) }
                @if has_children { label class="check" { input type="checkbox" name="cascade" value="true" checked; "and those below it" } }
            }
            form hx-post="/dev/act/rotate" hx-target="#issued" hx-status:4xx="target:#notice" {
                input type="hidden" name="workspace" value=(id);
                button type="submit" { "Rotate the token" }
            }
            a class="button" href={ "#/chat/" (id) } { "Chat" }
            a class="button" href={ "#/inspector?workspace=" (id) } { "Its exchanges" }
            details {
                summary { "Delete…" }
                form hx-post="/dev/act/delete" hx-target="#notice" class="acts" {
                    input type="hidden" name="workspace" value=(id);
                    label class="check" { input type="checkbox" name="purge" value="true"; "remove its rows, too" }
                    button class="danger" type="submit" { "Delete " (html::name(&view.name)) }
                }
            }
        }
    }
}

/// The token that was just made, and how to use it.
pub(crate) fn issued(url: &str, id: &WorkspaceId, token: &Token, what: &str) -> Markup {
    html! {
        h3 { (what) }
        p class="small" { "Its token:" }
        code class="token" id={ "token-" (id) } tabindex="0" { (token.expose()) }
        (snippets::all(url, id, Some(token)))
        p { a href={ "#/workspace/" (id) } { "Open the workspace" } " · " a href={ "#/chat/" (id) } { "Chat with it" } }
    }
}

/// The names of the secrets, live.
pub(crate) fn secrets(scene: Scene<'_>, id: &WorkspaceId) -> Markup {
    let names = scene.platform.secret_names(id);
    html::live(
        "secrets",
        &format!("/dev/workspace/{id}/secrets"),
        html! {
            @if names.is_empty() {
                p class="muted" { "None. An agent pulls its secrets with its token; their values are shown to nobody else." }
            } @else {
                table {
                    thead { tr { th scope="col" { "Name" } th scope="col" { "Set" } th scope="col" { span class="muted" { "Act" } } } }
                    tbody {
                        @for (name, updated) in names {
                            tr {
                                td class="mono" { (html::name(name)) }
                                td { (html::ago(scene.now, updated)) }
                                td {
                                    form hx-post="/dev/act/remove-secret" hx-target="#notice" {
                                        input type="hidden" name="workspace" value=(id);
                                        input type="hidden" name="key" value=(html::encoded(name));
                                        button type="submit" disabled[!scene.is_live()] aria-label={ "Remove " (html::name(name)) } { "Remove" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        },
    )
}

fn secret_form(scene: Scene<'_>, id: &WorkspaceId) -> Markup {
    html! {
        form class="line" hx-post="/dev/act/set-secret" hx-target="#notice" data-reset {
            input type="hidden" name="workspace" value=(id);
            label { "Name" input name="key" required maxlength="128" autocomplete="off" placeholder="OPENAI_API_KEY"; }
            label { "Value" input name="value" type="password" required autocomplete="off"; }
            button type="submit" disabled[!scene.is_live()] { "Set" }
        }
    }
}

/// The requests from and to the workspace, live, with what the user can decide.
pub(crate) fn requests(scene: Scene<'_>, id: &WorkspaceId) -> Markup {
    let requests = scene.platform.requests_of(id);
    html::live(
        "requests",
        &format!("/dev/workspace/{id}/requests"),
        html! {
            @if requests.is_empty() {
                p class="muted" { "None. An agent asks its user for a decision here, and you may ask it for work." }
            }
            ul { @for request in &requests { li { (one_request(scene, request)) } } }
        },
    )
}

fn one_request(scene: Scene<'_>, request: &Value) -> Markup {
    let text = |key: &str| request[key].as_str().unwrap_or_default();
    let is_open = matches!(text("status"), "pending" | "info_requested");
    let is_for_user = text("recipient_type") == "user";
    let actions: &[&str] = if text("kind") == "approval" { &["approved", "rejected"] } else { &["done", "rejected"] };
    html! {
        p {
            span class={ "chip " (if is_open { "wait" } else { "rest" }) } { (html::short(text("status"), 40).replace('_', " ")) } " "
            (text("kind")) " " strong { (html::short(text("title"), 300)) }
            span class="muted small" { @if is_for_user { " for the user" } @else { " for the agent" } }
        }
        @if !text("detail").is_empty() { p class="small" { (html::short(text("detail"), 1000)) } }
        @for message in request["messages"].as_array().into_iter().flatten() {
            p class="small muted" { (message["author_type"].as_str().unwrap_or_default()) ": " (html::short(message["body"].as_str().unwrap_or_default(), 1000)) }
        }
        @if is_open && is_for_user {
            form class="acts" hx-post="/dev/act/respond" hx-target="#notice" {
                input type="hidden" name="request" value=(text("id"));
                fieldset class="acts" disabled[!scene.is_live()] {
                    @for action in actions {
                        button type="submit" name="action" value=(action) { (action_label(action)) }
                    }
                }
            }
        }
    }
}

fn action_label(action: &str) -> &'static str {
    match action {
        "approved" => "Approve",
        "rejected" => "Reject",
        _ => "Done",
    }
}

fn request_form(scene: Scene<'_>, id: &WorkspaceId) -> Markup {
    html! {
        form class="line" hx-post="/dev/act/request" hx-target="#notice" data-reset {
            input type="hidden" name="workspace" value=(id);
            label class="narrow" { "Kind" select name="kind" { option value="task" { "task" } option value="approval" { "approval" } } }
            label { "Ask the agent" input name="title" required maxlength="300" autocomplete="off"; }
            button type="submit" disabled[!scene.is_live()] { "Ask" }
        }
        form hx-post="/dev/act/nudge" hx-target="#notice" {
            input type="hidden" name="workspace" value=(id);
            button type="submit" disabled[!scene.is_live()] title="The real platform does it after ten minutes" { "Remind the agent of its open requests" }
        }
    }
}
