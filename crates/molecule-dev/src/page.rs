//! The page, and everything else below `/dev/`: who may ask, what is answered, and the headers that keep it safe.
//!
//! The frame (`/`) and its files need no token and hold nothing of the platform. Every view is a fragment of HTML that the
//! page's script asks for with the admin token. No `GET` changes anything.

mod act;
mod assets;
mod chaos;
mod chat;
mod clock;
mod contract;
mod detail;
mod differences;
mod events;
mod form;
mod graph;
mod html;
mod inspector;
mod json;
mod plugins;
mod said;
mod scene;
mod shell;
mod snippets;
mod views;
mod workspace;
mod workspaces;

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use maud::Markup;
use molecule_platform::serve::Admission;
use molecule_platform::{Act, Acted};
use molecule_proto::{DeliveryMode, Now, WorkspaceId};
use tokio::sync::mpsc;

use crate::World;
use crate::guard::{Refusal, text};
use act::Owner;
use form::Form;

/// An answer of the page.
pub(crate) enum Reply {
    /// A whole answer.
    Whole(Response<Bytes>),
    /// A head, and a body that ends when the sender is dropped.
    Stream(Response<()>, mpsc::Receiver<Bytes>),
}

/// The longest body of an act with files, in bytes.
const MOST_WITH_FILES: usize = 32 << 20;
/// The longest body of any other act, in bytes: a message of a form of text has at most a mebibyte, three times that encoded.
const MOST: usize = 4 << 20;

/// What keeps the page to itself: nothing is loaded from elsewhere, nothing inline runs, nobody frames it, nothing is kept.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Returns whether the page answers a path. Every other path is the platform's.
pub(crate) fn is_its_path(path: &str) -> bool {
    path == "/" || path == "/dev" || path.starts_with("/dev/")
}

/// Decides by its head whether a request of the page is read at all, and up to which length.
pub(crate) fn admit(world: &World, head: &Parts) -> Admission {
    let checked = allowed(world, head);
    match checked {
        Ok(()) if matches!(head.uri.path(), "/dev/act/message" | "/dev/act/add-plugin" | "/dev/api/act") => {
            Admission::AtMost(MOST_WITH_FILES)
        }
        Ok(()) => Admission::AtMost(MOST),
        Err(refusal) => Admission::Refuse(secured(refusal.response())),
    }
}

fn allowed(world: &World, head: &Parts) -> Result<(), Refusal> {
    let guard = world.guard();
    guard.check_origin(&head.method, &head.headers)?;
    if needs_token(head.uri.path()) { guard.check_token(&head.headers) } else { Ok(()) }
}

/// Whether a path shows or changes anything. The frame and its files are the same for everybody.
fn needs_token(path: &str) -> bool {
    path != "/" && !path.starts_with("/dev/assets/")
}

fn secured<B>(mut response: Response<B>) -> Response<B> {
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Answers a request that [`admit`] let in. It runs on a thread that may wait, inside the server's runtime.
pub(crate) fn answer(world: &World, head: &Parts, body: Bytes) -> Reply {
    match answered(world, head, &body) {
        Reply::Whole(response) => Reply::Whole(secured(response)),
        Reply::Stream(head, body) => Reply::Stream(secured(head), body),
    }
}

fn answered(world: &World, head: &Parts, body: &Bytes) -> Reply {
    let path = head.uri.path();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let whole = match (&head.method, segments.as_slice()) {
        (&Method::GET, ["dev", "events"]) => match events::open(world) {
            Some((head, stream)) => return Reply::Stream(head, stream),
            None => text(StatusCode::SERVICE_UNAVAILABLE, "too many tabs are open: close some of them"),
        },
        (&Method::GET, [""]) => fragment(StatusCode::OK, shell::page()),
        (&Method::GET, ["dev", "assets", _]) => file(path),
        (&Method::GET, ["dev", "file", id]) => held(world, id),
        (&Method::GET, ["dev", "body", line, which]) => body_of(world, line, which),
        (&Method::GET, ["dev", "save", "test", line]) => match line.parse().map(|line| world.export_test(Some(line))) {
            Ok(Ok(test)) => saved(Bytes::from(test)),
            Ok(Err(error)) => trouble(&error),
            Err(_) => text(StatusCode::NOT_FOUND, "there is no such line"),
        },
        (&Method::GET, ["dev", view @ ..]) => views::seen(world, view, head.uri.query()),
        (&Method::POST, ["dev", act @ ..]) => match Form::read(&head.headers, body) {
            Some(form) => done(world, act, &form),
            None => fragment(StatusCode::BAD_REQUEST, html::refused("The form cannot be read.")),
        },
        (&Method::GET | &Method::POST, _) => text(StatusCode::NOT_FOUND, "there is no such page"),
        _ => text(StatusCode::METHOD_NOT_ALLOWED, "the page answers GET and POST alone"),
    };
    Reply::Whole(whole)
}

fn fragment(status: StatusCode, markup: Markup) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(markup.into_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn file(path: &str) -> Response<Bytes> {
    let Some(asset) = assets::at(path) else { return text(StatusCode::NOT_FOUND, "there is no such file") };
    let mut response = Response::new(asset.content.clone());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}

/// Bytes to be saved: a browser that opens them itself shows nothing.
fn saved(content: Bytes) -> Response<Bytes> {
    let mut response = Response::new(content);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    response
}

/// A file that the platform holds for an agent.
fn held(world: &World, id: &str) -> Response<Bytes> {
    match world.read(None, |platform, _| platform.uploaded(id).map(|uploaded| uploaded.content.clone())) {
        Ok(Some(content)) => saved(content),
        Ok(None) => text(StatusCode::NOT_FOUND, "the platform does not hold this file any more"),
        Err(error) => trouble(&error),
    }
}

/// The body of an exchange's request or answer.
fn body_of(world: &World, line: &str, which: &str) -> Response<Bytes> {
    let Ok(line) = line.parse() else { return text(StatusCode::NOT_FOUND, "there is no such line") };
    match world.exchange(line).map(|exchange| detail::body_of(&exchange, which)) {
        Ok(Some(body)) => saved(body),
        Ok(None) => text(StatusCode::NOT_FOUND, "the line has no such body"),
        Err(error) => trouble(&error),
    }
}

/// Does what a form asks for.
fn done(world: &World, act: &[&str], form: &Form) -> Response<Bytes> {
    let bad = |why: &str| fragment(StatusCode::BAD_REQUEST, html::refused(why));
    let good = |what: &str| fragment(StatusCode::OK, html::done(what));
    if let Some(why) = world.trouble() {
        let why = format!("The log cannot be written, so that nothing is accepted: {}", html::short(&why, 300));
        return fragment(StatusCode::SERVICE_UNAVAILABLE, html::refused(&why));
    }
    match act {
        ["act", name] => {
            let (status, markup) = act::perform(world, name, form);
            fragment(status, markup)
        }
        ["clock"] => match form.number("seconds").filter(|seconds| (1..=clock::LONGEST).contains(seconds)) {
            Some(seconds) => {
                let span = Duration::from_secs(seconds);
                world.forward(span);
                good(&format!("The platform's clock went forward by {}.", clock::span(span)))
            }
            None => bad("The clock goes forward by whole seconds, at most 30 days at once."),
        },
        ["chaos", act] => match chaos::changed(world.chaos(), act, form) {
            Ok((chaos, what)) => {
                world.set_chaos(chaos);
                good(what)
            }
            Err(why) => bad(why),
        },
        ["again"] => match form.number("line").map(|line| world.send_again(line, form.text("id") == Some("same"))) {
            Some(Ok(line)) => good(&format!("Sent again: line {line}.")),
            Some(Err(error)) => trouble(&error),
            None => bad("The line is missing."),
        },
        ["fork"] => match (form.number("line"), form.text("path")) {
            (Some(line), Some(path)) => match world.fork(line, Path::new(path.trim())) {
                Ok(()) => good(&format!("Forked: molecule dev --file {} --port 0", html::short(path.trim(), 1000))),
                Err(error) => trouble(&error),
            },
            _ => bad("The line or the file is missing."),
        },
        _ => fragment(StatusCode::NOT_FOUND, html::refused("There is no such act.")),
    }
}

fn trouble(error: &io::Error) -> Response<Bytes> {
    let status = match error.kind() {
        io::ErrorKind::NotFound => StatusCode::NOT_FOUND,
        io::ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        io::ErrorKind::AlreadyExists | io::ErrorKind::PermissionDenied => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    fragment(status, html::refused(&format!("{error}.")))
}

impl Owner for World {
    fn act(&self, act: Act) -> Acted {
        World::act(self, act)
    }

    fn url(&self) -> String {
        World::url(self)
    }

    fn about(&self, id: &WorkspaceId) -> Option<(String, Option<DeliveryMode>)> {
        let look = |platform: &molecule_platform::Platform, _: Now| {
            platform.workspace(id).map(|view| (view.name, platform.delivery_mode(id)))
        };
        self.read(None, look).ok().flatten()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Dev, Options};

    #[test]
    fn nothing_is_done_that_the_log_cannot_keep_and_the_page_says_so() {
        let dev = Dev::start(Options::in_memory().empty(true)).unwrap();
        let form = Form::of_query("name=a").unwrap();
        assert_eq!(done(dev.world(), &["act", "create"], &form).status(), 200);
        let before = dev.world().read(None, |platform, _| platform.workspaces().count()).unwrap();
        dev.world().break_log("no space left");
        let refused = done(dev.world(), &["act", "create"], &form);
        assert_eq!(refused.status(), 503);
        assert!(String::from_utf8_lossy(refused.body()).contains("no space left"));
        assert_eq!(dev.world().read(None, |platform, _| platform.workspaces().count()).unwrap(), before);
        let about = views::seen(dev.world(), &["about"], None);
        assert!(String::from_utf8_lossy(about.body()).contains("no space left"));
    }
}
