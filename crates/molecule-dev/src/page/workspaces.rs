//! The view of all workspaces: who is alive, in which mode, doing what, and what waits for them.

use maud::{Markup, html};
use molecule_proto::{ActivityRow, DeliveryMode, WorkspaceStatus, WorkspaceView};

use super::html::{self, count};
use super::said;
use super::scene::Scene;

pub(crate) fn page(scene: Scene<'_>) -> Markup {
    html! {
        div class="title" {
            h1 { "Workspaces" }
            button type="button" data-focus="#name" { "Create a workspace…" }
        }
        section class="panel" aria-label="All workspaces" { (list(scene)) }
        div class="columns two" {
            section class="panel" {
                h2 { "Create a workspace" }
                (create(scene))
                div id="created" aria-live="polite" {}
            }
            section class="panel" {
                h2 { "Connect an agent" }
                p { "Create a workspace, or open one of those above: each has the lines that connect an agent to it, for the
                     shell, for Rust and for coding agents." }
                p class="muted" { "A workspace is online while its agent's heartbeats arrive. Each beat shows as a pulse." }
            }
        }
    }
}

/// The live part.
pub(crate) fn list(scene: Scene<'_>) -> Markup {
    let workspaces = scene.workspaces();
    html::live(
        "workspaces",
        "/dev/workspaces/list",
        html! {
            @if workspaces.is_empty() {
                (html::empty("No workspace yet.", "Create the first one below. It gets an id and a token, and its agent can register at once."))
            } @else {
                ul class="rows" {
                    @for view in &workspaces { (row(scene, view)) }
                }
            }
        },
    )
}

fn row(scene: Scene<'_>, view: &WorkspaceView) -> Markup {
    let id = &view.id;
    let waiting = said::waiting(scene, id);
    let doing = scene.platform.reported_work(id).map(|(task, _)| task).unwrap_or_default();
    html! {
        li id={ "ws-" (id) } {
            (pulse(scene, view))
            div class="name" { a href={ "#/workspace/" (id) } { (html::name(&view.name)) } }
            div { (html::status(&view.status)) " " span class="muted small" { (mode(scene, view)) } }
            div class="when small muted" { (beat(scene, view)) }
            div class="doing small" {
                @if waiting > 0 { span class="chip wait" { (count(waiting, "message")) " waiting" } " " }
                @if !doing.is_empty() { (html::short(&doing, 120)) }
            }
            div class="acts" {
                @if view.status != WorkspaceStatus::Removed {
                    a class="button" href={ "#/chat/" (id) } aria-label={ "Chat with " (html::name(&view.name)) } { "Chat" }
                    (pause_or_resume(scene, view))
                }
            }
        }
    }
}

/// A dot in the status's colour, which pulses with each new beat.
pub(crate) fn pulse(scene: Scene<'_>, view: &WorkspaceView) -> Markup {
    let beat = scene.platform.last_heartbeat(&view.id).map(|beat| html::millis(beat.unix));
    html! {
        span id={ "pulse-" (view.id) } class={ "pulse " (html::colour(&view.status)) } data-beat=(beat.unwrap_or(0))
            aria-hidden="true" {}
    }
}

pub(crate) fn beat(scene: Scene<'_>, view: &WorkspaceView) -> Markup {
    match scene.platform.last_heartbeat(&view.id) {
        Some(beat) => html! { "beat " (html::ago(scene.now, beat.unix)) },
        None => html! { "never seen" },
    }
}

pub(crate) fn mode(scene: Scene<'_>, view: &WorkspaceView) -> &'static str {
    match scene.platform.delivery_mode(&view.id) {
        Some(DeliveryMode::Poll) => "poll",
        // A workspace is one of a push agent until its agent says otherwise.
        Some(DeliveryMode::Push) if view.url.is_empty() && scene.platform.last_heartbeat(&view.id).is_none() => "",
        Some(DeliveryMode::Push) if view.url.is_empty() => "no URL",
        Some(DeliveryMode::Push) => "push",
        Some(_) | None => "",
    }
}

pub(crate) fn pause_or_resume(scene: Scene<'_>, view: &WorkspaceView) -> Markup {
    let (act, label) = match view.status {
        WorkspaceStatus::Paused => ("resume", "Resume"),
        _ => ("pause", "Pause"),
    };
    html! {
        form hx-post={ "/dev/act/" (act) } hx-target="#notice" {
            input type="hidden" name="workspace" value=(view.id);
            button type="submit" disabled[!scene.is_live()] aria-label={ (label) " " (html::name(&view.name)) } { (label) }
        }
    }
}

fn create(scene: Scene<'_>) -> Markup {
    let parents = scene.workspaces();
    html! {
        form class="line" hx-post="/dev/act/create" hx-target="#created" hx-status:4xx="target:#notice" data-reset {
            label { "Name" input id="name" name="name" required maxlength="200" autocomplete="off" placeholder="my-agent"; }
            label { "Below"
                select name="parent" {
                    option value="" { "the organisation" }
                    @for parent in parents.iter().filter(|view| view.status != WorkspaceStatus::Removed) {
                        option value=(parent.id) { (html::name(&parent.name)) }
                    }
                }
            }
            label { "URL, for a push agent" input name="url" type="text" autocomplete="off" placeholder="none: it polls, or names one itself"; }
            button class="main" type="submit" disabled[!scene.is_live()] { "Create" }
        }
    }
}

/// The number of rows that a view of a feed reads.
pub(crate) const MOST_ROWS: usize = 300;

/// The newest rows of a workspace's feed, oldest first.
pub(crate) fn feed<'a>(scene: Scene<'a>, id: &molecule_proto::WorkspaceId) -> Vec<&'a ActivityRow> {
    let mut rows = scene.platform.activity(id);
    rows.truncate(MOST_ROWS);
    rows.reverse();
    rows
}
