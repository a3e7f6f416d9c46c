//! One exchange whole: the contract's section, differences from it, bodies, and what can be made of it.

use std::path::Path;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use http::{Request, Response};
use maud::{Markup, html};
use molecule_proto::printable;
use serde_json::{Value, json};

use super::html::{self, count};
use super::inspector::{Filter, class, said};
use super::scene::Scene;
use super::{contract, differences, json};
use crate::exchange::{Exchange, ExchangeKind};

/// The length of a body from which on it can be saved, in bytes.
const LONG: usize = 100_000;

/// One exchange, whole, and what can be done with it.
pub(crate) fn shown(scene: Scene<'_>, filter: &Filter, row: &Exchange) -> Markup {
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
    let can_repeat = is_request || matches!(&row.kind, ExchangeKind::Act { act, .. } if REPEATED.contains(&act.name()));
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
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_bearer_shows_its_end_alone_and_a_secret_nothing() {
        let value = HeaderValue::from_static("Bearer abcdefghijkl");
        assert_eq!(header(&AUTHORIZATION, value.as_bytes()), "Bearer …ijkl");
        assert_eq!(header(&http::header::ACCEPT, b"a\xff"), "a\u{fffd}");
        assert_eq!(blanked(json!({"act": "set_secret", "value": "v"}))["value"], "…");
        assert_eq!(blanked(json!({"act": "another", "value": "v"}))["value"], "v");
    }
}
