//! JSON of strangers is repaired where its meaning is plain and bounded before a value is built; an invalid row is
//! skipped alone.

#![allow(clippy::unwrap_used)]

use molecule_proto::json::{self, MAX_DEPTH, MAX_MEMORY, Unreadable};
use molecule_proto::{AvailablePlugin, ErrorBody, Peer, Rows};
use proptest::prelude::*;
use serde_json::{Value, json};

const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

fn read(body: impl AsRef<[u8]>) -> Result<Value, Unreadable> {
    json::read(body.as_ref())
}

/// A number inside this many levels of lists.
fn nested(levels: usize) -> String {
    format!("{}7{}", "[".repeat(levels), "]".repeat(levels))
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[test]
fn what_is_plainly_meant_is_repaired() {
    for (body, expected) in [
        // Half an emoji, as JavaScript cuts texts: the first half, the second, both in the wrong order, at the end.
        (r#""done \ud83d""#, json!("done \u{fffd}")),
        (r#""\ude00 done""#, json!("\u{fffd} done")),
        (r#""\ude00\ud83d\ude00""#, json!("\u{fffd}😀")),
        (r#""\ud83d\u0041""#, json!("\u{fffd}A")),
        (r#""\uD83D\uDE00 \\ud83d""#, json!("😀 \\ud83d")),
        (r#"{"\ud83d":1}"#, json!({"\u{fffd}": 1})),
        // Numbers beyond the range of f64, infinities and NaN, in the spellings of Python, JavaScript and C.
        (
            r#"[1e400,-1E+400,NaN,Infinity,-Infinity,nan,-inf]"#,
            json!(["1e400", "-1E+400", "NaN", "Infinity", "-Infinity", "nan", "-inf"]),
        ),
        (r#"{"a":NaN}"#, json!({"a": "NaN"})),
        ("[1e308,-1e-400,0e999,12345678901234567890123]", json!([1e308, -0.0, 0.0, 1.2345678901234568e22])),
        // Raw control characters in a string, and elsewhere.
        ("\"a\nb\tc\u{1}\u{1f}\r\"", json!("a\nb\tc\u{1}\u{1f}\r")),
        ("{\"a\":1}\0\0", json!({"a": 1})),
        ("\u{b}[\u{c}1]", json!([1])),
        // Escapes that JSON does not know.
        (r#""C:\dir\x1b \' \u12""#, json!("C:\\dir\\x1b \\' \\u12")),
        ("\u{feff}{}", json!({})),
        ("\u{feff} null", json!(null)),
        // A key whose value serde_json would parse a second time.
        (r#"{"$serde_json::private::RawValue":"[1]"}"#, json!({"\u{fffd}serde_json::private::RawValue": "[1]"})),
        (r#"{"\u0024serde_json\u003a:private::Number":"1"}"#, json!({"\u{fffd}serde_json::private::Number": "1"})),
        (r#"{"$serde":1,"$":2}"#, json!({"$serde": 1, "$": 2})),
    ] {
        assert_eq!(read(body).as_ref(), Ok(&expected), "{body:?}");
    }
    let digits = "9".repeat(400);
    assert_eq!(read(format!("[{digits}]")), Ok(json!([digits])));
}

#[test]
fn bytes_that_are_no_utf_8_are_replaced() {
    for (body, expected) in [
        (&b"\"caf\xe9\""[..], "caf\u{fffd}"),
        (b"\"\xed\xa0\xbd\"", "\u{fffd}\u{fffd}\u{fffd}"),
        (b"\"\xf0\x9f\x98\"", "\u{fffd}"),
        (b"\xef\xbb\xbf\"\xff\\ud83d\"", "\u{fffd}\u{fffd}"),
    ] {
        assert_eq!(read(body), Ok(json!(expected)), "{body:?}");
    }
}

#[test]
fn what_is_no_json_stays_none() {
    for body in [
        "",
        " ",
        "done",
        "<html>",
        "{",
        "[1,",
        r#"{"a":1}}"#,
        r#""open"#,
        r#""open\"#,
        "[1 2]",
        "{a:1}",
        "'a'",
        "1e400x",
        "Nan!",
    ] {
        assert!(matches!(read(body), Err(Unreadable::Mismatch { .. })), "{body:?}");
    }
    let Err(Unreadable::Mismatch { at }) = read("{\"a\":\n oops}") else { panic!("it was read") };
    assert_eq!(at, Some((2, 2)));
}

#[test]
fn a_sound_body_is_read_as_it_is() {
    let body = r#"{"a":[1,-2.5e3,true,null,"\u00e9\n\/ 😀"],"b":{}}"#;
    assert_eq!(read(body), Ok(serde_json::from_str(body).unwrap()));
}

#[test]
fn what_lies_too_deep_is_kept_as_its_text() {
    assert_eq!(read(nested(MAX_DEPTH)), Ok(serde_json::from_str(&nested(MAX_DEPTH)).unwrap()));
    let mut value = read(nested(MAX_DEPTH + 3)).unwrap();
    for _ in 0..MAX_DEPTH {
        value = value[0].take();
    }
    assert_eq!(value, json!("[[[7]]]"));
    let inner = format!(r#"{}{{"a\"]":"\ud83d }}"}}{}"#, "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    let mut value = read(inner).unwrap();
    for _ in 0..MAX_DEPTH {
        value = value[0].take();
    }
    assert_eq!(value, json!(r#"{"a\"]":"\ud83d }"}"#));
    // A hundred thousand levels that are never closed: this is not JSON, and reading it needs no stack.
    assert!(read("[".repeat(100_000)).is_err());
    assert!(read(nested(100_000)).is_ok());
}

#[test]
fn more_values_than_fit_are_refused_before_they_are_built() {
    let parts = |many: usize| format!(r#"{{"parts":[{}{{}}]}}"#, r#"{"text":""},"#.repeat(many));
    assert!(read(parts(40_000)).is_ok());
    assert_eq!(read(parts(60_000)), Err(Unreadable::TooManyValues));
    let numbers = |many: usize| format!("[{}0]", "0,".repeat(many));
    assert!(read(numbers(600_000)).is_ok());
    assert_eq!(read(numbers(700_000)), Err(Unreadable::TooManyValues));
    // A long string is one value, and may be as long as a reply.
    let text = format!("\"{}\"", "x".repeat(16 << 20));
    assert_eq!(read(&text).unwrap().as_str().map(str::len), Some(16 << 20));
    assert_eq!(read(format!("\"{}\"", "x".repeat(MAX_MEMORY / 2))), Err(Unreadable::TooManyValues));
}

/// Bytes that are not text do not need three times their memory.
#[test]
fn a_large_body_that_is_mostly_repairs_is_no_text() {
    let mut bytes = vec![0xff; 4 << 20];
    (bytes[0], bytes[(4 << 20) - 1]) = (b'"', b'"');
    assert_eq!(read(&bytes), Err(Unreadable::Mismatch { at: None }));
    let controls = format!("\"{}\"", "\u{1}".repeat(4 << 20));
    assert_eq!(read(controls), Err(Unreadable::Mismatch { at: None }));
    // A short body is read, even if every byte of it is replaced.
    bytes.truncate(1000);
    bytes[999] = b'"';
    assert_eq!(read(&bytes), Ok(json!("\u{fffd}".repeat(998))));
}

fn peers(body: &str) -> (Vec<String>, usize) {
    let Rows { rows, skipped, .. } = json::rows::<Peer>(body.as_bytes()).unwrap();
    (rows.into_iter().map(|peer| peer.name).collect(), skipped)
}

fn peer(name: &str, card: &str) -> String {
    format!(r#"{{"id":"{ID}","name":"{name}","status":"online","agent_card":{card}}}"#)
}

#[test]
fn one_odd_card_hides_nobody() {
    let deep = nested(200);
    for card in [r#"{"x":1e400}"#, r#"{"x":NaN}"#, &deep, r#"{"x":"\ud83d"}"#, "{\"x\":\"\n\"}"] {
        let list = format!("[{},{},{}]", peer("a", "null"), peer("odd", card), peer("b", "{}"));
        assert_eq!(peers(&list), (vec!["a".into(), "odd".into(), "b".into()], 0), "{card}");
    }
    let Rows { rows, .. } = json::rows::<Peer>(format!("[{}]", peer("odd", r#"{"x":1e400}"#)).as_bytes()).unwrap();
    assert_eq!(rows[0].agent_card, Some(json!({"x": "1e400"})));
}

#[test]
fn a_row_that_makes_no_sense_is_given_up_by_itself() {
    let list = format!(r#"[{}, {{"id":"../admin"}} ,null,[],7,"x",1e400,{}]"#, peer("a", "1"), peer("b", "[]"));
    assert_eq!(peers(&list), (vec!["a".into(), "b".into()], 6));
    assert_eq!(peers("null"), (vec![], 0));
    assert_eq!(peers(" [ ] "), (vec![], 0));
    for body in ["{}", "7", "", "[", "[1,]", "[] []", "[1 2]"] {
        assert!(json::rows::<Peer>(body.as_bytes()).is_err(), "{body}");
    }
}

/// A card with more values than a whole body may have makes its own row unreadable, and no other.
#[test]
fn a_card_of_a_million_values_hides_its_own_row_alone() {
    let heavy = format!("[{}0]", r#"{"a":0},"#.repeat(60_000));
    let list = format!("[{},{},{}]", peer("a", "null"), peer("heavy", &heavy), peer("b", "{}"));
    assert!(json::read::<Value>(list.as_bytes()).is_err());
    assert_eq!(peers(&list), (vec!["a".into(), "b".into()], 1));
}

#[test]
fn rows_that_fit_no_more_are_counted() {
    let many = 60_000;
    let rows = vec![peer("p", "null"); many].join(",");
    let (read, skipped) = peers(&format!("[{rows}]"));
    assert!(read.len() + skipped == many && read.len() > 10_000 && skipped > 0, "{} {skipped}", read.len());
}

#[test]
fn an_error_body_is_read_whatever_stands_beside_its_text() {
    let body = br#"{"error":"workspace removed","code":410,"hint":[],"status":{},"required_header":7,"detail":1e400}"#;
    let body: ErrorBody = json::read(body).unwrap();
    assert_eq!((body.error.as_str(), body.code, body.status), ("workspace removed", None, None));
}

/// A list of a struct's values is not read as that struct, although `serde_json` alone would do so.
#[test]
fn a_list_is_no_object() {
    assert!(json::read::<ErrorBody>(br#"["workspace not found"]"#).is_err());
    let rows = json::rows::<AvailablePlugin>(br#"[["a"],{"name":"b"}]"#).unwrap();
    assert_eq!((rows.rows.len(), rows.skipped), (1, 1));
    assert_eq!(json::read::<Option<ErrorBody>>(b"null"), Ok(None));
    assert_eq!(json::read::<Vec<u8>>(b"[1,2]"), Ok(vec![1, 2]));
}

#[test]
fn an_excerpt_is_bounded() {
    assert_eq!(json::excerpt(b"\xef\xbb\xbfall \xffdone"), "all \u{fffd}done");
    let cut = json::excerpt("é".repeat(100_000).as_bytes());
    assert!(cut.ends_with("é…") && cut.len() <= 64 * 1024 + 3, "{}", cut.len());
    let cut = json::excerpt(format!("x{}", "é".repeat(100_000)).as_bytes());
    assert!(cut.ends_with("é…") && cut.len() <= 64 * 1024 + 3, "{}", cut.len());
}

proptest! {
    /// No body causes a panic, and no value that is read is nested deeper than the limit.
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(value) = read(&bytes) {
            prop_assert!(depth(&value) <= MAX_DEPTH);
        }
        let _ = json::rows::<Value>(&bytes);
        json::excerpt(&bytes);
    }

    /// A body that a strict reader accepts is read as the strict reader reads it.
    #[test]
    fn sound_json_is_not_changed(text in sound()) {
        let strict: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read(&text).unwrap(), strict.clone());
        if let Value::Array(list) = strict {
            prop_assert_eq!(json::rows::<Value>(text.as_bytes()).unwrap().rows, list);
        }
    }

    /// A string made of the faults that agents produce is always read.
    #[test]
    fn texts_of_odd_pieces_are_always_read(pieces in proptest::collection::vec(piece(), 0..20)) {
        let mut body = b"{\"text\":\"".to_vec();
        body.extend(pieces.concat());
        body.extend(b"\",\"x\":[1]}");
        let value = read(&body).unwrap();
        prop_assert_eq!(&value["x"], &json!([1]));
    }
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(br"\ud83d".to_vec()),
        Just(br"\ude00".to_vec()),
        Just(br"\u00".to_vec()),
        Just(br"\x".to_vec()),
        Just(br"\\".to_vec()),
        Just(br#"\""#.to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\0".to_vec()),
        Just(b"\xff\xfe".to_vec()),
        Just(b"\xf0\x9f".to_vec()),
        Just("😀".as_bytes().to_vec()),
        "[a-z$:]{0,4}".prop_map(String::into_bytes),
    ]
}

fn sound() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(".{0,6}", inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
    .prop_map(|value| value.to_string())
}

#[test]
fn a_reader_may_try_one_type_after_another_and_borrow_from_the_text() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Outer<'a> {
        #[serde(borrow, deserialize_with = "json::object")]
        inner: Inner<'a>,
    }
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Inner<'a> {
        text: &'a str,
    }
    let read = |body: &'static [u8]| {
        let text = json::repair(body).unwrap();
        json::read_repaired::<Outer<'_>>(&text).map(|outer| outer.inner.text.to_owned())
    };
    assert_eq!(read(b"\xef\xbb\xbf{\"inner\":{\"text\":\"a\x01\"}}").ok(), None, "it has an escape now");
    assert_eq!(read(b"\xef\xbb\xbf{\"inner\":{\"text\":\"a\",\"x\":1}}"), Ok("a".to_owned()));
    for list in [&br#"[{"text":"a"}]"#[..], br#"{"inner":["a"]}"#] {
        assert!(matches!(read(list), Err(Unreadable::Mismatch { .. })), "a struct is no list");
    }
    assert_eq!(json::repair(&[b"[".as_slice(), &b"{},".repeat(100_000)].concat()), Err(Unreadable::TooManyValues));
}
