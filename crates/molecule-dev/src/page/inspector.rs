//! The view of every exchange: a list with a filter, beside which one exchange may be open.

use maud::{Markup, html};
use molecule_proto::{WorkspaceId, WorkspaceStatus};

use super::form::Form;
use super::html::{self, count};
use super::scene::Scene;
use crate::exchange::{self, Exchange, ExchangeKind};

/// The most rows of a list.
pub(crate) const MOST_ROWS: usize = 200;
/// The most lines of the log that are read for a list.
pub(crate) const MOST_LINES: u64 = 5000;

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
    pub(super) fn place(&self, open: Option<u64>) -> String {
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
pub(super) fn said(row: &Exchange) -> (String, String) {
    match &row.kind {
        ExchangeKind::Request { request, .. } => {
            let uri = request.uri();
            (request.method().to_string(), uri.path_and_query().map_or_else(|| uri.to_string(), ToString::to_string))
        }
        ExchangeKind::Call { call, .. } => ("call".to_owned(), call.clone()),
        ExchangeKind::Act { act, .. } => ("act".to_owned(), act.name().replace('_', " ")),
        ExchangeKind::Reads { call, count, .. } => (format!("{count} ×"), call.clone()),
        ExchangeKind::Forward(ms) => ("clock".to_owned(), format!("forward {ms} ms")),
        ExchangeKind::Chaos(chaos) => ("chaos".to_owned(), count(chaos.rules.len(), "rule")),
        ExchangeKind::Started => ("start".to_owned(), "of molecule dev".to_owned()),
    }
}

pub(super) fn class(status: Option<u16>) -> String {
    status.map(|status| format!("s{}", status / 100)).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
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
}
