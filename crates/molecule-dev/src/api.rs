//! The JSON API below `/dev/api/`, for the program's commands and for tests. It needs the administrator's bearer.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use molecule_platform::{Act, Acted};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::World;
use crate::chaos::Chaos;

/// Answers a request below `/dev/api/`; `None` for any other path.
pub(crate) fn answer(world: &World, head: &Parts, body: &Bytes) -> Option<Response<Bytes>> {
    let route = head.uri.path().strip_prefix("/dev/api/")?;
    if let Some(refusal) = refusal(world, head) {
        return Some(refusal);
    }
    let query = Query(head.uri.query().unwrap_or_default());
    let answer = match (&head.method, route) {
        (&Method::GET, "status") => Ok(status(world)),
        (&Method::GET, "workspaces") => workspaces(world),
        (&Method::GET, "export") => export(world, query.has("blank")),
        (&Method::GET, "test") => query.line("to").and_then(|to| Ok(text(world.export_test(to)?))),
        (&Method::GET, "curl") => query.needed("line").and_then(|line| Ok(text(world.curl(line)?))),
        (&Method::GET, "chaos") => Ok(json_of(&json!(world.chaos()))),
        (&Method::GET, "graph") => Ok(json_of(&json!(world.graph()))),
        (&Method::POST, "act") => read(body).map(|act: Act| acted(&world.act(act))),
        (&Method::POST, "chaos") => read(body).map(|chaos: Chaos| {
            world.set_chaos(chaos);
            json_of(&json!({"line": world.line()}))
        }),
        (&Method::POST, "forward") => read(body).map(|Forward { ms }| {
            world.forward(Duration::from_millis(ms));
            json_of(&json!({"line": world.line()}))
        }),
        (&Method::POST, "again") => read(body)
            .and_then(|Again { line, keep_id }| Ok(json_of(&json!({"line": world.send_again(line, keep_id)?})))),
        (&Method::POST, "fork") => read(body).and_then(|Fork { line, path }| {
            let line = line.unwrap_or_else(|| world.line());
            world.fork(line, &path)?;
            Ok(json_of(&json!({"line": line, "path": path})))
        }),
        _ => Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no {} {}", head.method, head.uri.path()))),
    };
    Some(answer.unwrap_or_else(|error| refused(&error)))
}

#[derive(Deserialize)]
struct Forward {
    ms: u64,
}

#[derive(Deserialize)]
struct Again {
    line: u64,
    #[serde(default)]
    keep_id: bool,
}

#[derive(Deserialize)]
struct Fork {
    line: Option<u64>,
    path: PathBuf,
}

/// Refuses who has no bearer, and pages of other origins.
fn refusal(world: &World, head: &Parts) -> Option<Response<Bytes>> {
    let guard = world.guard();
    let checked = guard.check_token(&head.headers).and_then(|()| guard.check_origin(&head.method, &head.headers));
    checked.err().map(|refusal| error(refusal.status, refusal.why))
}

fn status(world: &World) -> Response<Bytes> {
    let dialect = world.read(None, |platform, _| platform.dialect()).ok();
    json_of(&json!({
        "url": world.url(),
        "line": world.line(),
        "dialect": dialect,
        "file": world.file(),
        "trouble": world.trouble(),
        "pid": std::process::id(),
    }))
}

fn workspaces(world: &World) -> io::Result<Response<Bytes>> {
    let list = world.read(None, |platform, _| {
        let views = platform.workspaces().filter_map(|id| platform.workspace(id));
        Value::Array(views.map(|view| serde_json::to_value(view).unwrap_or_default()).collect())
    })?;
    Ok(json_of(&list))
}

fn export(world: &World, blank: bool) -> io::Result<Response<Bytes>> {
    let mut copy = Vec::new();
    world.export(&mut copy, blank)?;
    Ok(whole(StatusCode::OK, "application/jsonl; charset=utf-8", copy))
}

/// 200 for a refused act as well: the body says what came of it.
fn acted(acted: &Acted) -> Response<Bytes> {
    json_of(&serde_json::to_value(acted).unwrap_or_default())
}

fn read<'a, T: Deserialize<'a>>(body: &'a Bytes) -> io::Result<T> {
    serde_json::from_slice(body).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))
}

struct Query<'a>(&'a str);

impl Query<'_> {
    fn value(&self, key: &str) -> Option<&str> {
        let mut pairs = self.0.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    fn has(&self, key: &str) -> bool {
        self.value(key).is_some_and(|value| value != "0" && value != "false")
    }

    fn line(&self, key: &str) -> io::Result<Option<u64>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let why = || io::Error::new(io::ErrorKind::InvalidInput, format!("`{key}` is the number of a line"));
        value.parse().map(Some).map_err(|_| why())
    }

    fn needed(&self, key: &str) -> io::Result<u64> {
        let why = || io::Error::new(io::ErrorKind::InvalidInput, format!("`{key}` is needed: the number of a line"));
        self.line(key)?.ok_or_else(why)
    }
}

fn refused(why: &io::Error) -> Response<Bytes> {
    let status = match why.kind() {
        io::ErrorKind::NotFound => StatusCode::NOT_FOUND,
        io::ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        io::ErrorKind::AlreadyExists => StatusCode::CONFLICT,
        io::ErrorKind::NotConnected => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    error(status, &why.to_string())
}

fn error(status: StatusCode, why: &str) -> Response<Bytes> {
    whole(status, "application/json; charset=utf-8", json!({"error": why}).to_string().into_bytes())
}

fn json_of(value: &Value) -> Response<Bytes> {
    whole(StatusCode::OK, "application/json; charset=utf-8", value.to_string().into_bytes())
}

fn text(text: String) -> Response<Bytes> {
    whole(StatusCode::OK, "text/plain; charset=utf-8", text.into_bytes())
}

fn whole(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
