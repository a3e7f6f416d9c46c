//! Reads arbitrary bytes as a page of the feed, and as the request of a row that a stranger sent. A row is a message of
//! the sender that the platform verified or it is none, and only a user, a peer or a channel may be answered.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use molecule_core::{InboundMessage, Sender};
use molecule_proto::{ActivityRow, Rows, TraceParent, WorkspaceId, json};
use serde_json::{Value, json};

const OWN: &str = "27c43b89-c027-4481-ad5d-a381dbcc943c";
const PEER: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

/// What the platform itself writes into a row, and what a stranger chose.
#[derive(Debug, Arbitrary)]
struct Row<'a> {
    source: Source,
    kind: Kind,
    method: Method<'a>,
    is_current: bool,
    failed: bool,
    /// The request, in bytes that are read as any answer of the platform is.
    request: &'a [u8],
    /// Whether the request stands as a JSON text.
    as_text: bool,
    answer: Option<&'a [u8]>,
    /// The parts of a message that is sound otherwise, in place of the request.
    parts: Option<&'a [u8]>,
    metadata: &'a [u8],
    message_id: &'a str,
}

#[derive(Debug, Arbitrary)]
#[allow(missing_docs)]
enum Source {
    Nobody,
    Own,
    Peer,
}

#[derive(Debug, Arbitrary)]
#[allow(missing_docs)]
enum Kind {
    Receive,
    Broadcast,
    Watchdog,
}

#[derive(Debug, Arbitrary)]
#[allow(missing_docs)]
enum Method<'a> {
    Send,
    Notify,
    Upload,
    Result,
    Other(&'a str),
}

impl Row<'_> {
    fn value(&self) -> Value {
        let read = |bytes: &[u8]| json::read::<Value>(bytes).unwrap_or_default();
        let request = match self.parts {
            Some(parts) => json!({"jsonrpc": "2.0", "params": {
                "message": {"messageId": self.message_id, "parts": read(parts), "metadata": read(self.metadata)},
                "metadata": read(self.metadata),
            }}),
            None => read(self.request),
        };
        let mut row = json!({
            "id": PEER, "workspace_id": OWN, "target_id": OWN, "created_at": "2026-11-22T21:39:47.399688Z",
            "activity_type": match self.kind {
                Kind::Receive => "a2a_receive",
                Kind::Broadcast => "broadcast_receive",
                Kind::Watchdog => "stall_watchdog",
            },
            "source_id": match self.source {
                Source::Nobody => None,
                Source::Own => Some(OWN),
                Source::Peer => Some(PEER),
            },
            "method": match self.method {
                Method::Send => "message/send",
                Method::Notify => "notify",
                Method::Upload => "chat_upload_receive",
                Method::Result => "delegate_result",
                Method::Other(method) => method,
            },
            "status": if self.failed { "error" } else { "ok" },
            "request_body": if self.as_text { Value::from(request.to_string()) } else { request },
        });
        if let Some(answer) = self.answer {
            row["response_body"] = read(answer);
        }
        if self.is_current {
            row["seq"] = 1.into();
        }
        row
    }
}

fn check(row: ActivityRow) {
    let own: WorkspaceId = OWN.parse().expect("it is a UUID");
    let source = row.source_id.clone();
    let Some(message) = InboundMessage::read(row, &own) else { return };
    let sender = message.sender();
    match &source {
        Some(source) if *source == own => assert!(!sender.may_be_answered(), "the agent answers itself"),
        Some(source) => assert!(
            matches!(sender, Sender::Peer { id, .. } if id == source) || matches!(sender, Sender::Platform(_)),
            "{source} passes for {sender}"
        ),
        None => assert!(!matches!(sender, Sender::Peer { .. }), "nobody passes for {sender}"),
    }
    assert!(message.text().len() <= 16 * 1024 * 1024 && message.parts().len() <= 10_000);
    for file in message.attachments() {
        let uri = file.uri().unwrap_or_default();
        assert_eq!(file.is_pending(), file.file_id().is_some());
        assert!(
            !file.is_pending() || uri.to_ascii_lowercase().starts_with(&format!("platform-pending:{OWN}/")),
            "{uri}"
        );
        assert!(file.part().is_none_or(|at| at < 10_000));
    }
    if let Some(parent) = message.trace_parent() {
        assert_eq!(parent.to_string().parse::<TraceParent>(), Ok(parent));
    }
    let _ = (message.hops(), message.in_reply_to(), message.context_id(), message.task_id(), message.delegation_id());
    let _ = (message.message_id(), message.metadata(), message.message_metadata(), message.received_at());
    let _ = (format!("{message:?}"), sender.to_string());
    // The row can be kept, and is the same message again.
    let kept = serde_json::to_vec(message.raw()).expect("what was read can be written");
    let again: ActivityRow = serde_json::from_slice(&kept).expect("what was written can be read");
    let again = InboundMessage::read(again, &own).expect("it is a message again");
    assert_eq!((again.sender(), again.text(), again.parts()), (sender, message.text(), message.parts()));
}

fuzz_target!(|input: (Row<'_>, &[u8])| {
    let (row, page) = input;
    let rows: Rows<ActivityRow> = json::rows(page).unwrap_or_default();
    rows.rows.into_iter().for_each(check);
    if let Ok(row) = serde_json::from_value(row.value()) {
        check(row);
    }
});
