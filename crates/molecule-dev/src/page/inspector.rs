//! The view of every exchange: a list with a filter, and one exchange whole, with the contract's section beside it.

use std::path::Path;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use http::{Request, Response};
use maud::{Markup, html};
use molecule_proto::{WorkspaceId, WorkspaceStatus, printable};
use serde_json::{Value, json};

use super::form::Form;
use super::html::{self, count};
use super::scene::Scene;
use super::{contract, differences, json};
use crate::exchange::{self, Exchange, ExchangeKind};

/// The most rows of a list.
pub(crate) const MOST_ROWS: usize = 200;
/// The most lines of the log that are read for a list.
pub(crate) const MOST_LINES: u64 = 5000;
/// The length of a body from which on it can be saved, in bytes.
const LONG: usize = 100_000;

/// What the list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// A part of the method, the path, the query, the route or the act, in any case.
    pub(crate) text: Option<String>,
    pub(crate) workspace: Option<WorkspaceId>,
    pub(crate) failed: bool,
    /// Whether heartbeats and reads of feeds and states are shown, too.
    pub(crate) all: bool,
    /// Only lines before this one.
    pub(crate) before: Option<u64>,
    /// The line that is open beside the list.
    pub(crate) open: Option<u64>,
}

impl Filter {
    pub(crate) fn of(form: &Form) -> Self {
        Self {
            text: form.text("text").map(|text| text.trim().to_owned()),
            workspace: form.workspace("workspace"),
            failed: form.is_set("failed"),
            all: form.is_set("all"),
            before: form.number("before"),
            open: form.number("open"),
        }
    }

    /// The query of the filter with this open line, as the end of a place; nothing for a filter that lets all pass.
    fn place(&self, open: Option<u64>) -> String {
        let mut query = Vec::new();
        query.extend(self.text.as_deref().map(|text| format!("text={}", html::encoded(text))));
        query.extend(self.workspace.as_ref().map(|id| format!("workspace={id}")));
        query.extend(self.failed.then(|| "failed=true".to_owned()));
        query.extend(self.all.then(|| "all=true".to_owned()));
        query.extend(self.before.map(|before| format!("before={before}")));
        query.extend(open.map(|open| format!("open={open}")));
        if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) }
    }

    /// What the log is asked for, as of a line.
    pub(crate) fn wanted(&self, at: Option<u64>) -> exchange::Filter {
        let before = self.before.map(|before| before.saturating_sub(1));
        exchange::Filter::new()
            .text(self.text.clone())
            .workspace(self.workspace.clone())
            .failed(self.failed)
            .quiet(!self.all)
            .until(before.into_iter().chain(at).min())
            .limit(MOST_ROWS)
            .depth(MOST_LINES)
    }

    /// The line before which older exchanges are, which a list of these rows does not have.
    pub(crate) fn older(&self, at: Option<u64>, newest: u64, rows: &[Exchange]) -> Option<u64> {
        let floor = self.wanted(at).floor(newest);
        let next = if rows.len() >= MOST_ROWS { rows.last()?.line } else { floor };
        (next > 1).then_some(next)
    }
}

pub(crate) fn page(
    scene: Scene<'_>,
    filter: &Filter,
    rows: &[Exchange],
    older: Option<u64>,
    opened: Option<Markup>,
) -> Markup {
    html! {
        h1 { "Inspector" }
        div class={ "inspect" @if opened.is_some() { " open" } } {
            section class="panel" aria-label="Exchanges" {
                (form(scene, filter))
                (list(scene, filter, rows, older))
            }
            section id="detail" class="panel" aria-label="One exchange" data-open[opened.is_some()] hidden[opened.is_none()] {
                @if let Some(opened) = opened { (opened) }
            }
        }
    }
}

fn form(scene: Scene<'_>, filter: &Filter) -> Markup {
    html! {
        form class="line" role="search" hx-get="/dev/inspector/list" hx-trigger="input delay:250ms, change, submit" hx-target="#exchanges" hx-swap="outerMorph" {
            label { "Path, query or act" input name="text" type="search" value=(filter.text.as_deref().unwrap_or_default()) placeholder="/activity" autocomplete="off"; }
            label class="narrow" { "Workspace"
                select name="workspace" {
                    option value="" { "all" }
                    @for view in scene.workspaces().iter().filter(|view| view.status != WorkspaceStatus::Removed || filter.workspace.as_ref() == Some(&view.id)) {
                        option value=(view.id) selected[filter.workspace.as_ref() == Some(&view.id)] { (html::name(&view.name)) }
                    }
                }
            }
            label class="check" { input type="checkbox" name="failed" value="true" checked[filter.failed]; "failures alone" }
            @if let Some(open) = filter.open { input type="hidden" name="open" value=(open); }
            label class="check" { input type="checkbox" name="all" value="true" checked[filter.all]; "heartbeats and reads, too" }
        }
    }
}

/// The list, live while it shows the newest exchanges.
pub(crate) fn list(scene: Scene<'_>, filter: &Filter, rows: &[Exchange], older: Option<u64>) -> Markup {
    let href = format!("/dev/inspector/list{}", filter.place(filter.open));
    let is_filtered = *filter != Filter { open: filter.open, ..Filter::default() };
    html::live(
        "exchanges",
        &href,
        html! {
            @if rows.is_empty() {
                @if is_filtered || older.is_some() { (html::empty("No exchange here is like that.", "Take something out of the filter, or look further back.")) }
                @else { (html::empty("Nothing was exchanged yet.", "Requests of agents and acts of yours appear here as they come. Heartbeats and reads are left out until you ask for them.")) }
            }
            ul class="exchanges" { @for row in rows { (shown(scene, filter, row)) } }
            @if let Some(line) = older {
                @let older = Filter { before: Some(line), ..filter.clone() };
                p class="small" { a href={ "#/inspector" (older.place(None)) } { "Look before line " (line) } }
            }
            @if filter.before.is_some() {
                @let newest = Filter { before: None, ..filter.clone() };
                p class="small" { a href={ "#/inspector" (newest.place(None)) } { "The newest ones" } }
            }
        },
    )
}

fn shown(scene: Scene<'_>, filter: &Filter, row: &Exchange) -> Markup {
    let who = row.workspace.as_ref().map(|id| scene.name_of(id));
    let (what, target) = said(row);
    html! {
        li id={ "line-" (row.line) } {
            a href={ "#/exchange/" (row.line) (filter.place(None)) } aria-current=[(filter.open == Some(row.line)).then_some("true")] {
                span class="num" { (row.line) }
                span class="time muted" { (html::time_of_day(row.at.unix)) }
                span class={ "status " (class(row.status)) } { (row.status.map_or_else(|| "–".to_owned(), |status| status.to_string())) }
                span class="what" {
                    (html::short(&what, 10)) " " (html::short(&without_ids(&target), 160))
                    @if row.chaos.is_some() { " " span class="chip wait" { "on purpose" } }
                }
                span class="who muted" { (who.map(|who| html::short(&who, 40)).unwrap_or_default()) }
            }
        }
    }
}

/// A path with the beginnings of its ids alone, for the list.
fn without_ids(path: &str) -> String {
    let shortened = |segment: &str| {
        let is_id = segment.len() == 36 && segment.parse::<WorkspaceId>().is_ok();
        if is_id { format!("{}…", &segment[..4]) } else { segment.to_owned() }
    };
    path.split('/').map(shortened).collect::<Vec<_>>().join("/")
}

/// What a line is in one word, and what it is about.
fn said(row: &Exchange) -> (String, String) {
    match &row.kind {
        ExchangeKind::Request { request, .. } => {
            let uri = request.uri();
            (request.method().to_string(), uri.path_and_query().map_or_else(|| uri.to_string(), ToString::to_string))
        }
        ExchangeKind::Call { call, .. } => ("call".to_owned(), call.clone()),
        ExchangeKind::Act { act, .. } => ("act".to_owned(), exchange::act_name(act).replace('_', " ")),
        ExchangeKind::Reads { call, count, .. } => (format!("{count} ×"), call.clone()),
        ExchangeKind::Forward(ms) => ("clock".to_owned(), format!("forward {ms} ms")),
        ExchangeKind::Chaos(chaos) => ("chaos".to_owned(), count(chaos.rules.len(), "rule")),
        ExchangeKind::Started => ("start".to_owned(), "of molecule dev".to_owned()),
    }
}

fn class(status: Option<u16>) -> String {
    status.map(|status| format!("s{}", status / 100)).unwrap_or_default()
}

/// One exchange, whole, and what can be done with it.
pub(crate) fn detail(scene: Scene<'_>, filter: &Filter, row: &Exchange) -> Markup {
    let line = row.line;
    let (what, target) = said(row);
    html! {
        div class="acts" {
            h2 { "Line " (line) }
            a class="button" data-close href={ "#/inspector" (filter.place(None)) } { "Close" }
        }
        p class="mono" { strong { (html::short(&what, 10)) } " " (html::short(&target, 4000)) }
        p class="small muted" {
            span class={ "status " (class(row.status)) } { (row.status.map_or_else(|| "no status".to_owned(), |status| status.to_string())) }
            " · " (row.at.unix)
            @if let Some(id) = &row.workspace { " · " a href={ "#/workspace/" (id) } { (scene.name_of(id)) } }
            @if let Some(route) = &row.route { " · " (html::short(route, 80)) }
            @if let Some(answered) = row.answered { " · answered at " a href={ "#/exchange/" (answered) } { "line " (answered) } }
        }
        @if row.chaos.is_some() { p { span class="chip wait" { "It met a fault on purpose." } } }
        @if let Some(section) = row.section { (contract::beside(scene.platform.dialect(), section)) }
        @if let ExchangeKind::Request { request, .. } = &row.kind { (differences(row, request.body())) }
        (acts(scene, row))
        div id="made" {}
        @match &row.kind {
            ExchangeKind::Request { request, answer } => {
                (asked(line, request))
                (answered(line, answer.as_ref()))
            }
            ExchangeKind::Call { request, outcome, .. } => {
                @if let Some(request) = request { (asked(line, request)) }
                @match outcome {
                    Ok(response) => { (answered(line, Some(response))) }
                    Err(fault) => { h3 { "Answer" } p class="bad" { "None: " (format!("{fault:?}")) } }
                }
            }
            ExchangeKind::Act { act, acted } => {
                h3 { "Act" }
                (json::value(&blanked(json!(act))))
                @if let Some(acted) = acted { h3 { "Outcome" } (json::value(&json!(acted))) }
            }
            ExchangeKind::Chaos(chaos) => { (json::value(&json!(chaos))) }
            ExchangeKind::Reads { .. } | ExchangeKind::Forward(_) | ExchangeKind::Started => {}
        }
    }
}

/// How the body differs from the contract's form of it.
fn differences(row: &Exchange, body: &[u8]) -> Markup {
    let found = row.route.as_deref().and_then(|route| differences::of(route, body));
    html! {
        @if let Some(found) = found {
            @if found.is_empty() {
                p { span class="chip good" { "The body is as the contract has it." } }
            } @else {
                p { span class="chip wait" { "The body differs from the contract:" } }
                ul { @for difference in &found { li class="small" { (html::short(difference, 400)) } } }
            }
        }
    }
}

/// What can be made of an exchange.
fn acts(scene: Scene<'_>, row: &Exchange) -> Markup {
    let line = row.line;
    let is_request = matches!(row.kind, ExchangeKind::Request { .. });
    let can_repeat = is_request
        || matches!(&row.kind, ExchangeKind::Act { act, .. } if REPEATED.contains(&&*exchange::act_name(act)));
    html! {
        @if can_repeat {
            form class="acts" hx-post="/dev/again" hx-target="#notice" {
                input type="hidden" name="line" value=(line);
                fieldset class="acts" disabled[!scene.is_live()] {
                    span { "Send again:" }
                    button type="submit" name="id" value="new" title="A message gets a new id, so that it is another one" { "with a new id" }
                    button type="submit" name="id" value="same" title="The platform and the agent may take it for the one that they have" { "with the same id" }
                }
            }
        }
        div class="acts" {
            @if is_request { button type="button" hx-get={ "/dev/curl/" (line) } hx-target="#made" { "As curl" } }
            button type="button" hx-get={ "/dev/test/" (line) } hx-target="#made" { "As a test, up to here" }
            button type="button" data-moment=(line) { "The state at this line" }
            a class="button" href={ "#/fork?line=" (line) } { "Fork from here" }
        }
    }
}

/// The acts that are messages, which can be sent again.
const REPEATED: [&str; 8] = [
    "send_user_message",
    "send_agent_message",
    "send_channel_message",
    "send_webhook",
    "send_broadcast",
    "upload",
    "raise_request",
    "nudge",
];

/// A command line that sends a request again.
pub(crate) fn curl(line: u64, command: &str) -> Markup {
    html! {
        h3 { "Line " (line) " as curl" }
        p class="small muted" { "Set TOKEN to the bearer first; none stands in the command." }
        (html::copied("curl", &printable::lines(command)))
    }
}

/// A test in Rust that repeats all up to a line.
pub(crate) fn test(line: u64, test: &str) -> Markup {
    let is_long = test.len() > LONG;
    html! {
        h3 { "A test of lines 1 to " (line) }
        p class="small muted" {
            "Save it below " code { "tests/" } " of a crate that has " code { "molecule-platform" } " and " code { "serde_json" } " among its dependencies. It has placeholders for credentials. "
            a href="#" data-fetch={ "/dev/save/test/" (line) } data-name={ "line_" (line) ".rs" } { "Save" }
        }
        @if is_long { p class="muted" { "It has " (test.len()) " bytes." } } @else { (html::copied("test", &printable::lines(test))) }
    }
}

/// The form that forks the log.
pub(crate) fn fork(line: u64, file: Option<&Path>) -> Markup {
    let name = format!("molecule-dev-{line}.jsonl");
    let path = file.map_or_else(|| Path::new(&name).to_owned(), |file| file.with_file_name(&name));
    html! {
        h1 { "Fork" }
        section class="panel" {
            p { "A copy of the log up to line " (line) ", as a file of its own on this machine. " code { "molecule dev --file" } " goes on from there, beside this one with another " code { "--port" } "." }
            form class="line" hx-post="/dev/fork" hx-target="#notice" {
                input type="hidden" name="line" value=(line);
                label { "File" input name="path" required autocomplete="off" value=(html::short(&path.display().to_string(), 1000)); }
                button class="main" type="submit" { "Fork" }
            }
            p class="small" {
                "Or save the whole log "
                a href="#" data-fetch="/dev/api/export?blank" data-name="molecule-dev.jsonl" { "with placeholders for its credentials" }
                ", for somebody else."
            }
        }
    }
}

/// An act without the value of a secret, which nobody has to see again.
fn blanked(mut act: Value) -> Value {
    if act["act"] == "set_secret" {
        act["value"] = json!("…");
    }
    act
}

fn asked(line: u64, request: &Request<Bytes>) -> Markup {
    html! {
        h3 { "Request" }
        (headers(request.headers()))
        (body(line, "request", request.body()))
    }
}

fn answered(line: u64, answer: Option<&Response<Bytes>>) -> Markup {
    html! {
        h3 { "Answer" }
        @match answer {
            Some(answer) => {
                (headers(answer.headers()))
                (body(line, "answer", answer.body()))
            }
            None => { p class="muted" { "None at this line." } }
        }
    }
}

fn body(line: u64, which: &str, body: &Bytes) -> Markup {
    html! {
        (json::body(body))
        @if body.len() > LONG {
            a href="#" data-fetch={ "/dev/body/" (line) "/" (which) } data-name={ (which) "-" (line) } { "Save the " (which) "'s body" }
        }
    }
}

/// The body of the request or of the answer of an exchange.
pub(crate) fn body_of(row: &Exchange, which: &str) -> Option<Bytes> {
    let (request, answer) = match &row.kind {
        ExchangeKind::Request { request, answer } => (Some(request), answer.as_ref()),
        ExchangeKind::Call { request, outcome, .. } => (request.as_ref(), outcome.as_ref().ok()),
        _ => (None, None),
    };
    match which {
        "request" => request.map(|request| request.body().clone()),
        "answer" => answer.map(|answer| answer.body().clone()),
        _ => None,
    }
}

fn headers(headers: &HeaderMap) -> Markup {
    html! {
        details {
            summary { (count(headers.len(), "header")) }
            div class="scroll" {
                table {
                    thead { tr { th scope="col" { "Header" } th scope="col" { "Value" } } }
                    tbody {
                        @for (name, value) in headers {
                            tr { td class="mono" { (name) } td class="mono" { (header(name, value.as_bytes())) } }
                        }
                    }
                }
            }
        }
    }
}

/// The value of a header; of a bearer only its last four characters.
fn header(name: &HeaderName, value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    if name == AUTHORIZATION {
        let end: Vec<char> = text.chars().rev().take(4).collect();
        let scheme = text.split(' ').next().unwrap_or_default();
        let end: String = end.into_iter().rev().collect();
        return html::short(&format!("{scheme} …{end}"), 60);
    }
    html::short(&text, 2000)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_filter_survives_its_query() {
        let filter = Filter::of(&Form::of_query("text=a%26b%3D%22%3E&failed=true&all=true&before=9&open=3").unwrap());
        let query = filter.place(filter.open);
        assert_eq!(Filter::of(&Form::of_query(query.strip_prefix('?').unwrap()).unwrap()), filter);
        assert!(!query.contains('"') && !query.contains('>'));
        assert_eq!(Filter::default().place(None), "");
        assert_eq!(filter.wanted(Some(20)).until, Some(8));
        assert_eq!(filter.wanted(Some(5)).until, Some(5));
        assert_eq!(Filter::default().wanted(None).until, None);
        assert!(Filter::default().wanted(None).quiet && !filter.wanted(None).quiet);
    }

    #[test]
    fn a_path_in_the_list_has_the_beginnings_of_its_ids() {
        let path =
            "/workspaces/7fda77bf-a467-441c-9fab-7d8aba8e6040/activity?since_id=7fda77bf-a467-441c-9fab-7d8aba8e6040";
        assert_eq!(without_ids(path), "/workspaces/7fda…/activity?since_id=7fda77bf-a467-441c-9fab-7d8aba8e6040");
        assert_eq!(without_ids("/żółw-żółw-żółw-żółw-żółw-ż"), "/żółw-żółw-żółw-żółw-żółw-ż");
    }

    #[test]
    fn a_bearer_shows_its_end_alone_and_a_secret_nothing() {
        let value = HeaderValue::from_static("Bearer abcdefghijkl");
        assert_eq!(header(&AUTHORIZATION, value.as_bytes()), "Bearer …ijkl");
        assert_eq!(header(&http::header::ACCEPT, b"a\xff"), "a\u{fffd}");
        assert_eq!(blanked(json!({"act": "set_secret", "value": "v"}))["value"], "…");
        assert_eq!(blanked(json!({"act": "another", "value": "v"}))["value"], "v");
    }
}
