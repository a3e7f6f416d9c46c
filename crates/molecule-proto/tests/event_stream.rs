//! The reader of server-sent events: pieces of any size, all line ends, bounded lines, streams that break off.

#![allow(clippy::unwrap_used)]

use molecule_proto::{EventReader, StreamEvent, StreamEventType};
use proptest::prelude::*;

const LIMIT: usize = 200;

/// Type and cut of the events of a whole stream, read in pieces of these sizes, and whether it is foreign.
fn read(stream: &[u8], sizes: &[usize]) -> (Vec<(Option<String>, bool)>, bool) {
    let mut reader = EventReader::new(LIMIT);
    let mut events = Vec::new();
    let (mut rest, mut sizes) = (stream, sizes.iter().cycle());
    while !rest.is_empty() {
        let (piece, others) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
        events.extend(reader.push(piece));
        rest = others;
    }
    let is_foreign = reader.is_foreign();
    events.extend(reader.finish());
    let told = |event: StreamEvent| (event.event_type.map(String::from), event.is_cut);
    (events.into_iter().map(told).collect(), is_foreign)
}

fn whole(name: &str) -> (Option<String>, bool) {
    (Some(name.to_owned()), false)
}

fn cut(name: &str) -> (Option<String>, bool) {
    (Some(name.to_owned()), true)
}

#[test]
fn the_platforms_stream_is_read() {
    let stream = b": ping\n\ndata: {\"type\":\"WORKSPACE_HEARTBEAT\",\"timestamp\":1795383587000,\"data\":{}}\n\n\
        data: {\"type\":\"SOMETHING_NEW\",\"timestamp\":1,\"data\":null}\n\n";
    assert_eq!(read(stream, &[4096]), (vec![whole("WORKSPACE_HEARTBEAT"), whole("SOMETHING_NEW")], false));
    assert_eq!(StreamEventType::from("SOMETHING_NEW"), StreamEventType::Other("SOMETHING_NEW".to_owned()));
}

#[test]
fn every_line_end_and_every_field_of_the_format_is_read() {
    for (stream, events) in [
        (&b"data: {\"type\":\"A\"}\r\n\r\ndata: {\"type\":\"B\"}\r\r"[..], vec![whole("A"), whole("B")]),
        (b"\xef\xbb\xbfdata:{\"type\":\"A\"}\n\n", vec![whole("A")]),
        (b"event: x\nid: 7\nretry: 10\ndata: {\ndata: \"type\":\"A\"}\n\n", vec![whole("A")]),
        (b":\n\n:\n\nid: 7\n\n", vec![]),
        (b"data\n\n", vec![(None, false)]),
        (b"data: not json\n\n", vec![(None, false)]),
        (b"data: {\"data\":{\"type\":\"INNER\"},\"type\":\"A\"}\n\n", vec![whole("A")]),
        (b"data: {\"type\":7}\n\n", vec![(None, false)]),
    ] {
        assert_eq!(read(stream, &[7]), (events, false), "{}", String::from_utf8_lossy(stream));
    }
}

#[test]
fn a_line_that_is_too_long_or_broken_off_is_an_event_all_the_same() {
    let long = format!("data: {{\"type\":\"ACTIVITY_LOGGED\",\"data\":\"{}\"}}\n\n", "x".repeat(10 * LIMIT));
    let inner = format!("data: {{\"data\":\"{}\",\"type\":\"LATE\"}}\n\n", "x".repeat(10 * LIMIT));
    let many = format!("{}\n", "data: x\n".repeat(10 * LIMIT));
    let next = "data: {\"type\":\"NEXT\"}\n\n";
    for (stream, first) in [
        (&long, cut("ACTIVITY_LOGGED")),
        // The type stands behind the limit.
        (&inner, (None, true)),
        (&many, (None, true)),
    ] {
        let events = read(format!("{stream}{next}").as_bytes(), &[100]).0;
        assert_eq!(events, [first, whole("NEXT")]);
    }
    for (stream, events) in [
        ("data: {\"type\":\"USER_MESSAGE\",\"da", vec![cut("USER_MESSAGE")]),
        ("data: {\"type\":\"USER_MES", vec![(None, true)]),
        ("data: {\"type\":\"A\"}\n", vec![cut("A")]),
        (": pi", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(read(stream.as_bytes(), &[5]).0, events, "{stream}");
    }
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut reader = EventReader::new(LIMIT);
    for _ in 0..1000 {
        assert!(reader.push(&[b'x'; 1000]).is_empty());
    }
    assert_eq!(format!("{reader:?}"), format!("EventReader({LIMIT} of at most {LIMIT} bytes)"));
}

#[test]
fn what_is_no_event_stream_is_seen_by_its_first_bytes() {
    for stream in [&b"\x1f\x8b\x08\x00"[..], b"<html>", b"{\"error\":\"x\"}", b"\x28\xb5\x2f\xfd", b"docs: none\n"] {
        assert!(read(stream, &[1]).1, "{stream:?}");
    }
    for stream in [&b": ping\n\n"[..], b"\n\n", b"data: <html>\n\n", b"data: x\n\nodd: y\n\n", b"\xef\xbb\xbf: ping"] {
        assert!(!read(stream, &[1]).1, "{stream:?}");
    }
}

proptest! {
    #[test]
    fn pieces_of_any_size_are_the_same_stream(
        parts in prop::collection::vec(prop_oneof![
            Just("data: {\"type\":\"A\"}".to_owned()), Just("\n".to_owned()), Just("\r".to_owned()), Just("\r\n".to_owned()),
            Just(": ping".to_owned()), Just("id: 1".to_owned()), "[ -~]{0,300}",
        ], 0..40),
        sizes in prop::collection::vec(1_usize..50, 1..10),
    ) {
        let stream = parts.concat();
        prop_assert_eq!(read(stream.as_bytes(), &sizes), read(stream.as_bytes(), &[stream.len().max(1)]));
    }
}
