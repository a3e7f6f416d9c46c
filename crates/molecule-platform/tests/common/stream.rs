//! Event streams, for tests that set the platform's clock themselves.

use bytes::Bytes;
use molecule_platform::{Answer, Ticket};
use molecule_proto::{Token, WorkspaceId};
use serde_json::Value;

use super::Bench;

impl Bench {
    /// Opens the event stream of an agent, and reads its first line.
    pub(crate) fn open_stream(&mut self, of: &(WorkspaceId, Token)) -> Ticket {
        let request = http::Request::get(format!("/workspaces/{}/events/stream", of.0))
            .header("host", "127.0.0.1:1")
            .header("authorization", of.1.bearer())
            .body(Bytes::new())
            .unwrap();
        let Answer::Stream(ticket, head) = self.platform.handle(self.now, None, request) else { panic!("no stream") };
        assert_eq!(head.status(), 200);
        assert_eq!(head.headers()["content-type"], "text/event-stream");
        assert_eq!(head.headers()["cache-control"], "no-cache");
        let [(of_stream, ping)] = self.turns().chunks.try_into().unwrap();
        assert_eq!((of_stream, &*ping), (ticket, b": ping\n\n".as_slice()));
        ticket
    }

    /// The events since the last look: their types and data.
    pub(crate) fn events(&mut self) -> Vec<(String, Value)> {
        self.turns().chunks.iter().map(|(_, chunk)| event(chunk)).collect()
    }
}

/// The type and the data of an event.
pub(crate) fn event(chunk: &[u8]) -> (String, Value) {
    let text = std::str::from_utf8(chunk).unwrap();
    let line = text.strip_prefix("data: ").and_then(|text| text.strip_suffix("\n\n")).unwrap();
    assert!(!line.contains('\n'), "an event is one line: {line}");
    let mut event: Value = serde_json::from_str(line).unwrap();
    assert!(event["timestamp"].is_i64() && event.as_object().unwrap().len() == 3, "{event}");
    (event["type"].as_str().unwrap().to_owned(), event["data"].take())
}

/// The types of events.
pub(crate) fn types(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(about, _)| about.as_str()).collect()
}
