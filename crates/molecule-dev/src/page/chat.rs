//! The chat with an agent, as the workspace's user has it, and what became of each message.

use maud::{Markup, html};
use molecule_proto::{WorkspaceId, WorkspaceStatus, WorkspaceView, printable};

use super::html::{self, count};
use super::said::{By, Said, read, waiting};
use super::scene::Scene;
use super::workspaces;

/// The most characters of a message that are shown at once.
const LONGEST: usize = 20_000;

pub(crate) fn page(scene: Scene<'_>, chosen: Option<&WorkspaceId>) -> Markup {
    let mut all = scene.workspaces();
    all.retain(|view| view.status != WorkspaceStatus::Removed || Some(&view.id) == chosen);
    let chosen = chosen.cloned().or_else(|| all.first().map(|view| view.id.clone()));
    let view = chosen.as_ref().and_then(|id| all.iter().find(|view| view.id == *id));
    html! {
        h1 { "Chat" @if let Some(view) = view { " with " (html::name(&view.name)) } }
        @if all.is_empty() {
            (html::empty("Nobody to talk to yet.", "Create a workspace first, and connect an agent to it."))
        } @else {
            div class="side" {
                nav class="panel" aria-label="Workspaces" { (people(scene, chosen.as_ref())) }
                @match (view, chosen) {
                    (Some(view), _) => { section class="panel" aria-label="Conversation" { (conversation(scene, view)) } }
                    (None, Some(id)) => { (unknown(&id)) }
                    (None, None) => {}
                }
            }
        }
    }
}

/// What a view says of a workspace that does not exist, or not at that line.
pub(crate) fn unknown(id: &WorkspaceId) -> Markup {
    html::empty(
        "There is no such workspace here.",
        &format!("{id} is unknown at this moment; it may have been created later, or purged."),
    )
}

/// The list of workspaces, live.
pub(crate) fn people(scene: Scene<'_>, chosen: Option<&WorkspaceId>) -> Markup {
    let href = chosen.map_or_else(|| "/dev/chat/people".to_owned(), |id| format!("/dev/chat/people?chosen={id}"));
    let mut all = scene.workspaces();
    all.retain(|view| view.status != WorkspaceStatus::Removed);
    html::live(
        "people",
        &href,
        html! {
            ul {
                @for view in &all {
                    @let waiting = waiting(scene, &view.id);
                    li {
                        a href={ "#/chat/" (view.id) } aria-current=[(Some(&view.id) == chosen).then_some("true")] {
                            (workspaces::pulse(scene, view))
                            span { (html::name(&view.name)) }
                            @if waiting > 0 { span class="chip wait" title={ (count(waiting, "message")) " waiting" } { (waiting) } }
                        }
                    }
                }
            }
        },
    )
}

fn conversation(scene: Scene<'_>, view: &WorkspaceView) -> Markup {
    let id = &view.id;
    html! {
        (talk(scene, view))
        form hx-post="/dev/act/message" hx-encoding="multipart/form-data" hx-target="#notice" data-reset data-send {
            input type="hidden" name="workspace" value=(id);
            fieldset disabled[!scene.is_live()] {
                label { "Message" textarea name="text" rows="3" placeholder="Write to the agent. Ctrl+Enter sends." {} }
                div class="acts" {
                    label class="file" { "Written by"
                        select name="from" {
                            option value="" { "the workspace's user" }
                            @for other in scene.workspaces().iter().filter(|other| other.id != *id && other.status != WorkspaceStatus::Removed) {
                                option value=(other.id) { (html::name(&other.name)) }
                            }
                        }
                    }
                    label class="file" { "Files" input type="file" name="files" multiple; }
                    button class="main" type="submit" { "Send" }
                }
            }
        }
    }
}

/// The messages, live.
pub(crate) fn talk(scene: Scene<'_>, view: &WorkspaceView) -> Markup {
    let id = &view.id;
    let rows = workspaces::feed(scene, id);
    let said: Vec<Said> = read(scene, id, &rows);
    html::live(
        "talk",
        &format!("/dev/chat/{id}/talk"),
        html! {
            p class="small muted" { (html::status(&view.status)) " " (workspaces::mode(scene, view)) " · " (workspaces::beat(scene, view)) }
            @if said.is_empty() {
                (html::empty("Nothing was said yet.", hint(view)))
            } @else {
                div class="talk" data-to-end tabindex="0" role="log" aria-label="Messages" {
                    @for message in &said { (shown(scene, message)) }
                }
            }
        },
    )
}

fn hint(view: &WorkspaceView) -> &'static str {
    match view.status {
        WorkspaceStatus::Online | WorkspaceStatus::Degraded => "Write to the agent below; it is there.",
        WorkspaceStatus::Paused => "The workspace is paused. What you write waits until it is resumed.",
        _ => "Its agent is not there yet. A poll agent finds what you write when it comes.",
    }
}

fn shown(scene: Scene<'_>, said: &Said) -> Markup {
    let (class, who) = match &said.by {
        By::User => ("said mine", "you".to_owned()),
        By::Agent => ("said", "the agent".to_owned()),
        By::Other(who) => ("said aside", who.clone()),
    };
    html! {
        div class=(class) id={ "said-" (said.seq) "-" (class.rsplit(' ').next().unwrap_or_default()) } {
            @if !said.text.is_empty() { div class="words" { (words(&said.text)) } }
            @for file in &said.files {
                div class="words" {
                    @match &file.held {
                        Some(id) if scene.is_live() => {
                            a href="#" data-fetch={ "/dev/file/" (id) } data-name=(html::short(&file.name, 100)) { (html::name(&file.name)) }
                        }
                        _ => { (html::name(&file.name)) }
                    }
                }
            }
            div class="about" {
                (who) " · " (html::ago(scene.now, said.at))
                @if let Some(fate) = &said.fate {
                    @let (colour, words) = fate.words();
                    " " span class={ "chip " (colour) } { (words) }
                }
            }
        }
    }
}

/// A message's text with its lines; what controls or disguises it is escaped.
fn words(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => {
            format!("{}… ({} bytes in all; the inspector has them)", printable::lines(&text[..end]), text.len())
        }
        None => printable::lines(text),
    }
}
