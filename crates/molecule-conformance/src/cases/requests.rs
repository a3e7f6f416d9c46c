//! Requests arrive byte for byte, with the headers they were given, a host and a length.

use bytes::Bytes;
use http::Method;

use crate::act::Act::{self, Take};
use crate::case::{Ask, Case};

pub(super) fn cases() -> Vec<Case> {
    let asking = |name, ask: Ask| Case::new(name).peer([Take, Act::ok()]).ask(ask.answers(200, "ok"));
    let bytes = |length: usize| -> Vec<u8> { (0..length).map(|at| (at % 251) as u8).collect() };
    vec![
        asking("a GET", Ask::get()),
        asking("a GET with a query", Ask::get().path("/a%20b/c?limit=1&after=2026-08-01T00%3A00%3A00Z&x=%2F")),
        asking("a GET of the root", Ask::get().path("/")),
        asking("a POST", Ask::post(r#"{"active_tasks":0,"note":"grüße"}"#)),
        asking("a POST of any bytes", Ask::post(bytes(3000))),
        asking("a large POST", Ask::post(bytes(1 << 20))),
        asking("an empty POST", Ask::post("")),
        asking("a PUT", Ask::new(Method::PUT, Bytes::from_static(b"{}"))),
        asking("an empty PUT", Ask::new(Method::PUT, Bytes::new())),
        asking("a PATCH", Ask::new(Method::PATCH, Bytes::from_static(b"{}"))),
        asking("an empty PATCH", Ask::new(Method::PATCH, Bytes::new())),
        asking("a DELETE", Ask::new(Method::DELETE, Bytes::new())),
        asking("a DELETE with a body", Ask::new(Method::DELETE, Bytes::from_static(b"{}"))),
    ]
}
