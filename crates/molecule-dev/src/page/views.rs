//! Which view is which: what each needs, and who draws it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use maud::Markup;
use molecule_proto::WorkspaceId;

use super::form::Form;
use super::scene::Scene;
use super::{chaos, chat, clock, detail, fragment, graph, html, inspector, plugins, trouble, workspace, workspaces};
use crate::guard::text;
use crate::{Chaos, Edge, Exchange, World};

/// Shows a view, now or as of the line that the query names.
pub(super) fn seen(world: &World, view: &[&str], query: Option<&str>) -> Response<Bytes> {
    let Some(form) = Form::of_query(query.unwrap_or_default()) else {
        return text(StatusCode::BAD_REQUEST, "the query cannot be read");
    };
    let at = match form.text("at") {
        None => None,
        Some(at) => match at.parse() {
            Ok(line) => Some(line),
            Err(_) => return text(StatusCode::BAD_REQUEST, "`at` is the number of a line of the log"),
        },
    };
    let drawn = Beside::of(world, view, &form, at).and_then(|beside| {
        let url = world.url();
        world.read(at, |platform, now| drawn(Scene { platform, now, at, url: &url }, &beside, view, &form))
    });
    match drawn {
        Ok(Some(markup)) => fragment(StatusCode::OK, markup),
        Ok(None) => fragment(
            StatusCode::NOT_FOUND,
            html::empty("There is no such view.", "The views are in the bar at the top."),
        ),
        Err(error) => trouble(&error),
    }
}

/// What a view needs beside the platform. It is read before, so that agents are not kept waiting while the log is.
#[derive(Default)]
struct Beside {
    filter: inspector::Filter,
    exchanges: Vec<Exchange>,
    /// The line before which the list goes on.
    older: Option<u64>,
    exchange: Option<Exchange>,
    text: String,
    edges: Vec<Edge>,
    chaos: Chaos,
    forward: Duration,
    file: Option<PathBuf>,
    trouble: Option<String>,
}

impl Beside {
    fn of(world: &World, view: &[&str], form: &Form, at: Option<u64>) -> io::Result<Self> {
        let mut beside = Self { filter: inspector::Filter::of(form), ..Self::default() };
        let number = |text: &str| {
            let nothing = || io::Error::new(io::ErrorKind::NotFound, format!("{text:?} is no line of the log"));
            text.parse::<u64>().map_err(|_| nothing())
        };
        match view {
            ["inspector", ..] => beside.list(world, at)?,
            ["exchange", line] => {
                let line = number(line)?;
                beside.filter.open = Some(line);
                beside.exchange = Some(world.exchange(line)?);
                beside.list(world, at)?;
            }
            ["curl", line] => beside.text = world.curl(number(line)?)?,
            ["test", line] => beside.text = world.export_test(Some(number(line)?))?,
            ["graph", ..] => beside.edges = world.graph(),
            ["chaos", ..] => beside.chaos = world.chaos(),
            ["clock", ..] => beside.forward = world.ahead(),
            ["fork"] => beside.file = world.file(),
            ["about"] => {
                beside.file = world.file();
                beside.trouble = world.trouble();
            }
            _ => {}
        }
        Ok(beside)
    }

    fn list(&mut self, world: &World, at: Option<u64>) -> io::Result<()> {
        self.exchanges = world.exchanges(&self.filter.wanted(at))?;
        self.older = self.filter.older(at, world.line(), &self.exchanges);
        Ok(())
    }
}

/// Draws a view; `None` if there is none of this name.
fn drawn(scene: Scene<'_>, beside: &Beside, view: &[&str], form: &Form) -> Option<Markup> {
    let id = |text: &str| text.parse::<WorkspaceId>().ok();
    let of = |text: &str| scene.platform.workspace(&id(text)?);
    Some(match view {
        ["about"] => about(scene, beside),
        ["workspaces"] => workspaces::page(scene),
        ["workspaces", "list"] => workspaces::list(scene),
        ["workspace", one] => workspace::page(scene, &id(one)?),
        ["workspace", one, "state"] => workspace::state(scene, &of(one)?),
        ["workspace", one, "secrets"] => workspace::secrets(scene, &id(one)?),
        ["workspace", one, "requests"] => workspace::requests(scene, &id(one)?),
        ["chat"] => chat::page(scene, None),
        ["chat", "people"] => chat::people(scene, form.workspace("chosen").as_ref()),
        ["chat", one] => chat::page(scene, Some(&id(one)?)),
        ["chat", one, "talk"] => chat::talk(scene, &of(one)?),
        ["plugins"] => plugins::page(scene),
        ["plugins", "list"] => plugins::list(scene),
        ["inspector"] => inspector::page(scene, &beside.filter, &beside.exchanges, beside.older, None),
        ["inspector", "list"] => inspector::list(scene, &beside.filter, &beside.exchanges, beside.older),
        ["exchange", _] => {
            let detail = detail::shown(scene, &beside.filter, beside.exchange.as_ref()?);
            inspector::page(scene, &beside.filter, &beside.exchanges, beside.older, Some(detail))
        }
        ["curl", line] => detail::curl(line.parse().ok()?, &beside.text),
        ["test", line] => detail::test(line.parse().ok()?, &beside.text),
        ["fork"] => detail::fork(form.number("line")?, beside.file.as_deref()),
        ["graph"] => graph::page(scene, &beside.edges),
        ["graph", "drawing"] => graph::drawing(scene, &beside.edges),
        ["chaos"] => chaos::page(scene, &beside.chaos),
        ["chaos", "list"] => chaos::list(scene, &beside.chaos),
        ["clock"] => clock::page(scene, beside.forward),
        ["clock", "face"] => clock::face(scene, beside.forward),
        ["moment"] => moment(scene),
        _ => return None,
    })
}

fn about(scene: Scene<'_>, beside: &Beside) -> Markup {
    let kept = match &beside.file {
        Some(file) => format!("Everything is kept in {}", file.display()),
        None => "Everything is in memory, and lost at the end".to_owned(),
    };
    maud::html! {
        span title=(html::short(&kept, 1000)) { (scene.platform.dialect()) " server at " span class="mono" { (scene.url) } }
        @if let Some(trouble) = &beside.trouble {
            " " span class="bad" { "The log cannot be written, so that nothing is accepted: " (html::short(trouble, 300)) }
        }
    }
}

fn moment(scene: Scene<'_>) -> Markup {
    maud::html! {
        @if let Some(line) = scene.at { "line " (line) ", " (html::time_of_day(scene.now.unix)) } @else { "now" }
    }
}
