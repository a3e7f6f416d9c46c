//! The view of who calls whom: a drawing, and the same as a table.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use maud::{Markup, html};
use molecule_proto::{WorkspaceId, WorkspaceStatus};

use super::html::{self, count};
use super::scene::Scene;
use crate::Edge;

/// The most nodes that are drawn; the table has all.
const MOST_DRAWN: usize = 40;
/// The drawing's width.
const WIDTH: f64 = 900.0;
/// A node's radius.
const RADIUS: f64 = 9.0;

/// A party of the graph; `None` is a person, a channel or a webhook.
type Party<'a> = Option<&'a WorkspaceId>;

pub(crate) fn page(scene: Scene<'_>, edges: &[Edge]) -> Markup {
    html! {
        h1 { "Graph" }
        section class="panel" aria-label="Calls" { (drawing(scene, edges)) }
    }
}

/// The drawing and its table, live.
pub(crate) fn drawing(scene: Scene<'_>, edges: &[Edge]) -> Markup {
    html::live(
        "graph",
        "/dev/graph/drawing",
        html! {
            @if edges.is_empty() {
                (html::empty("Nobody has called anybody yet.", "Messages, delegations and the platform's calls to push agents appear here, with their failures."))
            } @else {
                @let parties = parties(edges);
                @if parties.len() > MOST_DRAWN {
                    p class="muted small" { "The busiest " (MOST_DRAWN) " of " (count(parties.len(), "party")) " are drawn; the table has all." }
                }
                div class="scroll" tabindex="0" { (svg(scene, edges, &parties[..parties.len().min(MOST_DRAWN)])) }
                details open[edges.len() <= 12] {
                    summary { "As a table" }
                    (table(scene, edges))
                }
            }
        },
    )
}

/// The parties, the busiest first.
fn parties(edges: &[Edge]) -> Vec<Party<'_>> {
    let mut calls: BTreeMap<Party<'_>, u64> = BTreeMap::new();
    for edge in edges {
        *calls.entry(edge.from.as_ref()).or_default() += edge.calls;
        *calls.entry(Some(&edge.to)).or_default() += edge.calls;
    }
    let mut parties: Vec<(Party<'_>, u64)> = calls.into_iter().collect();
    parties.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
    parties.into_iter().map(|(party, _)| party).collect()
}

fn label(scene: Scene<'_>, party: Party<'_>) -> String {
    party.map_or_else(|| "users and channels".to_owned(), |id| scene.name_of(id))
}

fn colour(scene: Scene<'_>, party: Party<'_>) -> &'static str {
    let view = party.and_then(|id| scene.platform.workspace(id));
    view.filter(|view| view.status != WorkspaceStatus::Removed).map_or("rest", |view| html::colour(&view.status))
}

fn svg(scene: Scene<'_>, edges: &[Edge], parties: &[Party<'_>]) -> Markup {
    // In the order of their names, so that a node keeps its place while counts change.
    let mut placed: Vec<Party<'_>> = parties.to_vec();
    placed.sort_unstable();
    let total = placed.len().max(1) as f64;
    let height = match placed.len() {
        0..=2 => 160.0,
        3..=6 => 360.0,
        _ => 560.0,
    };
    // The first one is on the left, so that two stand side by side.
    let place = |index: usize| {
        let angle = TAU * (index as f64) / total - TAU / 2.0;
        (WIDTH / 2.0 + angle.cos() * (WIDTH / 2.0 - 170.0), height / 2.0 + angle.sin() * (height / 2.0 - 50.0))
    };
    let at = |party: Party<'_>| placed.iter().position(|other| *other == party).map(place);
    html! {
        svg class="graph" viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label={ (count(edges.len(), "connection")) " between " (placed.len()) " parties; the table below says the same" } {
            defs {
                marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto" { path class="arrow" d="M0 0 8 4 0 8z" {} }
            }
            @for edge in edges {
                @if let (Some(from), Some(to)) = (at(edge.from.as_ref()), at(Some(&edge.to))) { (line(edge, from, to)) }
            }
            @for (index, party) in placed.iter().enumerate() {
                @let (x, y) = place(index);
                @let is_left = x < WIDTH / 2.0 - 1.0;
                g class={ "node " (colour(scene, *party)) } {
                    circle cx=(rounded(x)) cy=(rounded(y)) r=(RADIUS) {}
                    text x=(rounded(if is_left { x - 14.0 } else { x + 14.0 })) y=(rounded(y + 4.0)) text-anchor=(if is_left { "end" } else { "start" }) {
                        (html::short(&label(scene, *party), 22))
                    }
                }
            }
        }
    }
}

fn line(edge: &Edge, from: (f64, f64), to: (f64, f64)) -> Markup {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1.0);
    // Both directions between two nodes bend to their own side.
    let bend = (-dy / length * 26.0, dx / length * 26.0);
    let middle = ((from.0 + to.0) / 2.0 + bend.0, (from.1 + to.1) / 2.0 + bend.1);
    let end = (to.0 - dx / length * (RADIUS + 3.0), to.1 - dy / length * (RADIUS + 3.0));
    let path = if edge.from.as_ref() == Some(&edge.to) {
        format!("M{} {}c-34 -40 34 -40 6 -4", rounded(from.0 - 4.0), rounded(from.1 - RADIUS))
    } else {
        let at = |(x, y): (f64, f64)| format!("{} {}", rounded(x), rounded(y));
        format!("M{}Q{} {}", at(from), at(middle), at(end))
    };
    html! {
        path class={ "edge" @if edge.failures > 0 { " fails" } } d=(path) marker-end="url(#arrow)" {}
        text class="count" x=(rounded((from.0 + to.0) / 2.0 + bend.0 * 0.75)) y=(rounded((from.1 + to.1) / 2.0 + bend.1 * 0.75)) text-anchor="middle" {
            (edge.calls) @if edge.failures > 0 { " (" (edge.failures) " failed)" }
        }
    }
}

fn rounded(number: f64) -> String {
    format!("{number:.1}")
}

fn table(scene: Scene<'_>, edges: &[Edge]) -> Markup {
    html! {
        div class="scroll" {
            table {
                thead { tr { th scope="col" { "From" } th scope="col" { "To" } th scope="col" class="num" { "Calls" } th scope="col" class="num" { "Failed" } } }
                tbody {
                    @for edge in edges {
                        tr {
                            td { (label(scene, edge.from.as_ref())) }
                            td { (label(scene, Some(&edge.to))) }
                            td class="num" { (edge.calls) }
                            td class="num" { @if edge.failures > 0 { span class="bad" { (edge.failures) } } @else { "0" } }
                        }
                    }
                }
            }
        }
    }
}
