//! A row of the feed that a stranger made odd is repaired, or given up by itself: the page and its other rows are read.

#![allow(clippy::unwrap_used)]

use molecule_core::InboundMessage;
use molecule_core::proto::{ActivityRow, Part, Rows, json};
use serde_json::Value;

const OWN: &str = "27c43b89-c027-4481-ad5d-a381dbcc943c";
const PEER: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

/// A peer's row, as text, with this request.
fn row(request: &str) -> String {
    format!(
        r#"{{"id":"4e1e0e1f-448b-4394-80ae-5761893bb685","workspace_id":"{OWN}","activity_type":"a2a_receive","method":"message/send",
            "source_id":"{PEER}","target_id":"{OWN}","status":"ok","seq":13,"created_at":"2026-11-22T21:39:47.399688Z",
            "summary":"message/send → zeta (ingest)","request_body":{request}}}"#
    )
}

/// A request with these parts and this metadata of its message, as text.
fn request(parts: &str, metadata: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","params":{{"message":{{"messageId":"m","parts":{parts},"metadata":{metadata}}}}}}}"#)
}

fn text(text: &str) -> String {
    row(&request(&format!(r#"[{{"kind":"text","text":"{text}"}}]"#), "{}"))
}

/// Reads a page of this row between two ordinary ones: both are there, and the row itself if it could be read.
fn between_others(odd: &str) -> Option<InboundMessage> {
    let page = format!("[{},{odd},{}]", text("before"), text("after"));
    let page: Rows<ActivityRow> = json::rows(page.as_bytes()).unwrap();
    assert_eq!(page.rows.len() + page.skipped, 3);
    let own = OWN.parse().unwrap();
    let mut messages: Vec<_> = page.rows.into_iter().map(|row| InboundMessage::read(row, &own)).collect();
    let (last, first) = (messages.pop().unwrap().unwrap(), messages.remove(0).unwrap());
    assert_eq!((first.text().as_ref(), last.text().as_ref()), ("before", "after"));
    messages.pop().flatten()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[test]
fn what_is_nested_too_deeply_is_kept_as_text() {
    let deep = format!("{}7{}", r#"{"a":["#.repeat(100), "]}".repeat(100));
    let odd = between_others(&row(&request(r#"[{"text":"deep"}]"#, &deep))).unwrap();
    assert_eq!(odd.text(), "deep");
    assert!(depth(odd.raw().request_body.as_ref().unwrap()) <= json::MAX_DEPTH);
    // The same where the request is a text itself.
    let inner = serde_json::to_string(&request(r#"[{"text":"deep"}]"#, &deep)).unwrap();
    let odd = between_others(&row(&inner)).unwrap();
    assert_eq!(odd.text(), "deep");
    assert!(depth(odd.raw().request_body.as_ref().unwrap()) <= json::MAX_DEPTH);
    // A part that is nothing but levels.
    let odd = between_others(&row(&request(&deep, "{}"))).unwrap();
    assert_eq!((odd.text().as_ref(), odd.parts().len()), ("", 1));
}

#[test]
fn numbers_and_characters_that_are_none_are_repaired() {
    let odd = between_others(&row(&request(
        r#"[{"text":"half \ud83d"},{"text":"\udc00"},{"data":1e400}]"#,
        r#"{"molecule.hops":1e400,"n":NaN}"#,
    )));
    let odd = odd.unwrap();
    assert_eq!(odd.text(), "half \u{fffd}\n\u{fffd}");
    assert_eq!(odd.parts()[2], Part::data("1e400"));
    assert_eq!((odd.hops(), odd.message_metadata().get("n")), (u32::MAX, Some(&"NaN".into())));
    assert_eq!(between_others(&text("a\nb\u{1}")).unwrap().text(), "a\nb\u{1}");
}

#[test]
fn a_long_text_is_read_and_a_row_of_too_many_values_is_given_up_alone() {
    let long = "x".repeat(4 << 20);
    assert_eq!(between_others(&text(&long)).unwrap().text().len(), long.len());
    // Four MiB of empty parts would need more than the whole page may.
    let empty = format!("[{}{{}}]", "{},".repeat(1_400_000));
    assert!(between_others(&row(&request(&empty, "{}"))).is_none());
    // Where the request is a text, the text stays unread.
    let inner = serde_json::to_string(&request(&empty, "{}")).unwrap();
    assert!(between_others(&row(&inner)).is_none());
    // As many parts as fit are still one part: each needs far more memory than its JSON.
    let many = format!("[{}{{}}]", "{},".repeat(20_000));
    assert_eq!(between_others(&row(&request(&many, "{}"))).unwrap().parts().len(), 1);
}

#[test]
fn a_row_that_is_none_is_given_up_alone() {
    let sound = text("odd");
    for odd in [
        "null".to_owned(),
        "7".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        sound.replace(PEER, "../admin"),
        sound.replace("2026-11-22", "yesterday"),
        sound.replace("4e1e0e1f-448b-4394-80ae-5761893bb685", "7"),
        sound.replace(r#""activity_type":"a2a_receive""#, r#""activity_type":9"#),
    ] {
        assert!(between_others(&odd).is_none(), "{odd}");
    }
    // Fields that no decision needs may be anything.
    let odd = sound.replace(r#""seq":13"#, r#""seq":"x","duration_ms":{},"attachments":"a","peer_name":7"#);
    assert_eq!(between_others(&odd).unwrap().text(), "odd");
    // A key that serde_json reserves does not make it parse a value a second time.
    let odd = row(&request(r#"[{"text":"t"}]"#, r#"{"$serde_json::private::RawValue":"[[["}"#));
    assert_eq!(between_others(&odd).unwrap().text(), "t");
}
