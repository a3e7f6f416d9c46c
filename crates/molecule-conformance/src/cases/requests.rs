//! Cases about requests: they arrive byte for byte, with their headers, a host and a length.

use bytes::Bytes;
use http::Method;

use crate::act::PeerAction::{self, Take};
use crate::case::{Case, CaseRequest};

pub(super) fn cases() -> Vec<Case> {
    let asking = |name, ask: CaseRequest| Case::new(name).peer([Take, PeerAction::ok()]).ask(ask.answers(200, "ok"));
    let bytes = |length: usize| -> Vec<u8> { (0..length).map(|at| (at % 251) as u8).collect() };
    vec![
        asking("a GET", CaseRequest::get()),
        asking("a GET with a query", CaseRequest::get().path("/a%20b/c?limit=1&after=2026-08-01T00%3A00%3A00Z&x=%2F")),
        asking("a GET of the root", CaseRequest::get().path("/")),
        asking("a POST", CaseRequest::post(r#"{"active_tasks":0,"note":"grüße"}"#)),
        asking("a POST of any bytes", CaseRequest::post(bytes(3000))),
        asking("a large POST", CaseRequest::post(bytes(1 << 20))),
        asking("an empty POST", CaseRequest::post("")),
        asking("a PUT", CaseRequest::new(Method::PUT, Bytes::from_static(b"{}"))),
        asking("an empty PUT", CaseRequest::new(Method::PUT, Bytes::new())),
        asking("a PATCH", CaseRequest::new(Method::PATCH, Bytes::from_static(b"{}"))),
        asking("an empty PATCH", CaseRequest::new(Method::PATCH, Bytes::new())),
        asking("a DELETE", CaseRequest::new(Method::DELETE, Bytes::new())),
        asking("a DELETE with a body", CaseRequest::new(Method::DELETE, Bytes::from_static(b"{}"))),
    ]
}
