//! The page, and everything else below `/dev/`.

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use tokio::sync::mpsc;

use crate::World;
use crate::guard;

/// An answer of the page.
pub(crate) enum Reply {
    /// A whole answer.
    Whole(Response<Bytes>),
    /// A head, and a body that ends when the sender is dropped.
    Stream(Response<()>, mpsc::Receiver<Bytes>),
}

/// Returns whether the page answers a path. Every other path is the platform's.
pub(crate) fn is_its_path(path: &str) -> bool {
    path == "/" || path == "/dev" || path.starts_with("/dev/")
}

/// Answers a request. It runs on a thread that may wait, inside the server's runtime.
pub(crate) fn answer(world: &World, head: &Parts, _body: Bytes) -> Reply {
    let line = world.line();
    Reply::Whole(match (head.method.as_str(), head.uri.path()) {
        ("GET", "/") => guard::text(StatusCode::OK, &format!("molecule dev: the log has {line} lines")),
        _ => guard::text(StatusCode::NOT_FOUND, "there is no such page"),
    })
}
