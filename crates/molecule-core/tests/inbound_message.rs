//! A message of the feed has the parts, the files and the metadata that its sender wrote, in whatever spelling.

#![allow(clippy::unwrap_used)]

use molecule_core::proto::{ActivityRow, Part, TraceParent};
use molecule_core::{Attachment, AttachmentKind, InboundMessage, Sender};
use serde_json::{Value, json};

const OWN: &str = "27c43b89-c027-4481-ad5d-a381dbcc943c";
const PEER: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";
const FILE: &str = "8d096e41-9bfe-400b-9790-79ddf76e3267";

/// A peer's message with these parameters.
fn message(params: Value) -> InboundMessage {
    let row = json!({
        "id": "4e1e0e1f-448b-4394-80ae-5761893bb685", "workspace_id": OWN, "activity_type": "a2a_receive",
        "method": "message/send", "source_id": PEER, "target_id": OWN, "status": "ok", "seq": 13,
        "created_at": "2026-11-22T21:39:47.399688Z", "summary": "message/send → zeta (ingest)",
        "request_body": {"id": 1, "jsonrpc": "2.0", "method": "message/send", "params": params},
    });
    let row: ActivityRow = serde_json::from_value(row).unwrap();
    InboundMessage::read(row, &OWN.parse().unwrap()).unwrap()
}

fn with_parts(parts: Value) -> InboundMessage {
    message(json!({"message": {"messageId": "m-1", "parts": parts}}))
}

fn with_metadata(metadata: Value) -> InboundMessage {
    message(json!({"message": {"messageId": "m-1", "parts": [], "metadata": metadata}}))
}

#[test]
fn everything_that_the_sender_wrote_can_be_read() {
    let message = message(json!({
        "message": {
            "messageId": "m-1", "contextId": "c-1", "taskId": "t-1", "role": "user",
            "parts": [{"kind": "text", "text": "one"}, {"kind": "data", "data": 7}, {"text": "two"}],
            "metadata": {"delegation_id": "d-1", "molecule.in_reply_to": "m-0", "molecule.hops": 3, "own": true,
                         "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
        },
        "metadata": {"m": 1},
    }));
    assert_eq!(message.id().as_str(), "4e1e0e1f-448b-4394-80ae-5761893bb685");
    assert_eq!(
        (message.message_id(), message.context_id(), message.task_id()),
        (Some("m-1"), Some("c-1"), Some("t-1"))
    );
    assert_eq!((message.delegation_id(), message.in_reply_to(), message.hops()), (Some("d-1"), Some("m-0"), 3));
    assert_eq!(message.trace_parent().as_ref().map(TraceParent::is_sampled), Some(true));
    assert_eq!(message.text(), "one\ntwo");
    assert_eq!(message.parts(), [Part::text("one"), Part::data(7), Part::text("two")]);
    assert_eq!(
        (message.metadata().get("m"), message.message_metadata().get("own")),
        (Some(&json!(1)), Some(&json!(true)))
    );
    assert_eq!(message.received_at().to_string(), "2026-11-22T21:39:47.399688Z");
    assert_eq!((message.attempt(), message.is_cancelled(), message.raw().seq), (1, false, Some(13)));
    assert!(matches!(message.sender(), Sender::Peer { id, .. } if id.as_str() == PEER));
}

#[test]
fn what_the_sender_left_out_is_empty() {
    let message = message(json!({"message": {}}));
    assert_eq!((message.message_id(), message.context_id(), message.task_id()), (None, None, None));
    assert_eq!((message.delegation_id(), message.in_reply_to(), message.hops()), (None, None, 0));
    assert_eq!((message.text().as_ref(), message.parts(), message.attachments()), ("", &[][..], &[][..]));
    assert!(message.metadata().is_empty() && message.message_metadata().is_empty() && message.trace_parent().is_none());
}

#[test]
fn a_count_of_hops_is_read_in_every_spelling_and_never_wraps() {
    let read = |hops: Value| with_metadata(json!({"molecule.hops": hops})).hops();
    for (hops, expected) in [
        (json!(8), 8),
        (json!("9"), 9),
        (json!(9.7), 9),
        (json!(-1), 0),
        (json!(4_294_967_296_u64), u32::MAX),
        (json!(1e300), u32::MAX),
        (json!("1e400"), u32::MAX),
        (json!("many"), 0),
        (json!("NaN"), 0),
        (json!([9]), 0),
        (json!(null), 0),
    ] {
        assert_eq!(read(hops.clone()), expected, "{hops}");
    }
}

#[test]
fn a_trace_context_of_another_format_is_none() {
    for text in ["", "00-0-0-0", "4bf92f3577b34da6a3ce929d0e0e4736"] {
        assert_eq!(with_metadata(json!({"traceparent": text})).trace_parent(), None, "{text}");
    }
    assert_eq!(with_metadata(json!({"traceparent": 7})).trace_parent(), None);
}

#[test]
fn files_are_read_in_every_form() {
    use AttachmentKind::{Audio, File, Image, Video};
    let uri = format!("platform-pending:{OWN}/{FILE}");
    let foreign = format!("platform-pending:{PEER}/{FILE}");
    // The part, and what is read: kind, name, MIME type, size, URI, whether the platform holds it.
    let table = [
        (
            json!({"kind": "file", "file": {"uri": uri, "name": "a.txt", "mimeType": "text/plain", "size": 9}}),
            (File, Some("a.txt"), Some("text/plain"), Some(9), Some(uri.as_str()), true),
        ),
        (
            json!({"kind": "file", "file": {"uri": uri.to_uppercase().replace("PLATFORM-PENDING", "platform-pending")}}),
            (File, None, None, None, None, true),
        ),
        (json!({"kind": "file", "file": {"uri": foreign}}), (File, None, None, None, Some(foreign.as_str()), false)),
        (
            json!({"kind": "file", "file": {"uri": "platform-pending:x/y", "name": "y.png", "mimeType": "image/png"}}),
            (Image, Some("y.png"), Some("image/png"), None, Some("platform-pending:x/y"), false),
        ),
        (json!({"kind": "file", "file": {"uri": format!("{uri}/../x")}}), (File, None, None, None, None, false)),
        (
            json!({"kind": "image", "file": {"uri": "https://h/p", "mime_type": "image/png"}}),
            (Image, None, Some("image/png"), None, Some("https://h/p"), false),
        ),
        (json!({"kind": "audio", "uri": "https://h/s"}), (Audio, None, None, None, Some("https://h/s"), false)),
        (
            json!({"type": "video", "url": "https://h/v", "name": "v", "size": 3}),
            (Video, Some("v"), None, Some(3), Some("https://h/v"), false),
        ),
        (
            json!({"kind": "image", "uri": "https://h/p", "mimeType": "application/pdf"}),
            (File, None, Some("application/pdf"), None, Some("https://h/p"), false),
        ),
        (
            json!({"kind": "file", "file": {"bytes": "aGk=", "name": "h.txt"}}),
            (File, Some("h.txt"), None, None, None, false),
        ),
        (json!({"kind": "file", "file": "workspace:/a"}), (File, None, None, None, Some("workspace:/a"), false)),
        (
            json!({"url": "/etc/passwd", "mediaType": "VIDEO/mp4"}),
            (Video, None, Some("VIDEO/mp4"), None, Some("/etc/passwd"), false),
        ),
    ];
    for (part, expected) in table {
        let message = with_parts(json!([{"kind": "text", "text": "see"}, part]));
        let [file] = message.attachments() else { panic!("{part}: {:?}", message.attachments()) };
        assert_eq!((file.part(), file.is_pending()), (Some(1), expected.5), "{part}");
        assert_eq!(file.file_id().map(|id| id.as_str()), expected.5.then_some(FILE), "{part}");
        assert_eq!(
            (file.kind(), file.name(), file.mime_type(), file.size()),
            (expected.0, expected.1, expected.2, expected.3)
        );
        assert!(expected.4.is_none() || file.uri() == expected.4, "{part}");
    }
    for part in [
        json!({"kind": "text", "text": "t", "url": "u"}),
        json!({"kind": "file", "file": {}}),
        json!(7),
        json!("t"),
        json!({"kind": "image"}),
        json!({"kind": "data", "data": {"uri": "u"}}),
    ] {
        assert_eq!(with_parts(json!([part])).attachments(), [], "{part}");
    }
}

#[test]
fn the_platforms_own_list_of_files_adds_what_no_part_names() {
    let uri = format!("platform-pending:{OWN}/{FILE}");
    let mut row = with_parts(json!([{"kind": "file", "file": {"uri": uri, "name": "a"}}])).raw().clone();
    row.attachments = serde_json::from_value(json!([
        {"kind": "file", "uri": uri, "name": "b", "mime_type": "image/png"}, {"kind": "audio", "uri": "https://h/s"}, {"kind": "x"},
    ]))
    .unwrap();
    let message = InboundMessage::read(row, &OWN.parse().unwrap()).unwrap();
    let files = message.attachments();
    let told = |file: &Attachment| (file.kind(), file.name().map(str::to_owned), file.part());
    assert_eq!(
        files.iter().map(told).collect::<Vec<_>>(),
        [(AttachmentKind::Image, Some("a".to_owned()), Some(0)), (AttachmentKind::Audio, None, None)]
    );
    assert_eq!(files[0].mime_type(), Some("image/png"));
}

#[test]
fn a_message_is_printed_without_its_content() {
    let message = with_parts(json!([{"kind": "text", "text": "the secret of the pyramids"}]));
    assert!(!format!("{message:?}").contains("pyramids"));
    assert!(format!("{message:?}").contains(PEER));
    assert_eq!(message.sender().to_string(), format!("peer {PEER}"));
}
