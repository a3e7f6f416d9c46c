//! Requests whose end two readers may see in different places: a server behind a proxy must refuse them, or both
//! must agree.

use crate::raw::World;

/// What must come of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Due {
    /// An answer that refuses it, or none, and an end of the connection.
    Refused,
    /// It is read as one request, which is answered.
    Served,
}

/// The name of a row, the lines between the credential and the end of the head, and what follows the head.
type Row = (&'static str, &'static str, &'static str, Due);

const CHUNKED: &str = "BODY-AS-CHUNK";

/// `{n}` is the length of the body; `BODY` the body; `BODY-AS-CHUNK` the body as one chunk and the last one.
const ROWS: &[Row] = &[
    ("length", "Content-Length: {n}\r\n", "BODY", Due::Served),
    ("chunked", "Transfer-Encoding: chunked\r\n", CHUNKED, Due::Served),
    ("chunked in capitals", "Transfer-Encoding: CHUNKED\r\n", CHUNKED, Due::Served),
    ("length and chunked", "Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n", CHUNKED, Due::Refused),
    ("chunked and length", "Transfer-Encoding: chunked\r\nContent-Length: {n}\r\n", CHUNKED, Due::Refused),
    ("length 0 and chunked", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", CHUNKED, Due::Refused),
    ("two equal lengths", "Content-Length: {n}\r\nContent-Length: {n}\r\n", "BODY", Due::Refused),
    ("two lengths", "Content-Length: {n}\r\nContent-Length: 3\r\n", "BODY", Due::Refused),
    ("a list of equal lengths", "Content-Length: {n}, {n}\r\n", "BODY", Due::Refused),
    ("a length with a plus", "Content-Length: +{n}\r\n", "BODY", Due::Refused),
    ("a length below zero", "Content-Length: -1\r\n", "BODY", Due::Refused),
    ("a length in hex", "Content-Length: 0x10\r\n", "BODY", Due::Refused),
    ("a length with letters", "Content-Length: {n}a\r\n", "BODY", Due::Refused),
    ("an empty length", "Content-Length: \r\n", "BODY", Due::Refused),
    ("a length beyond numbers", "Content-Length: 99999999999999999999999\r\n", "BODY", Due::Refused),
    ("an unknown coding", "Transfer-Encoding: xchunked\r\n", CHUNKED, Due::Refused),
    ("identity", "Transfer-Encoding: identity\r\n", "BODY", Due::Refused),
    ("chunked and not last", "Transfer-Encoding: chunked, identity\r\n", CHUNKED, Due::Refused),
    ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", CHUNKED, Due::Refused),
    ("chunked and another", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", CHUNKED, Due::Refused),
    ("a space before the colon", "Transfer-Encoding : chunked\r\n", CHUNKED, Due::Refused),
    ("a space before the colon of a length", "Content-Length : {n}\r\n", "BODY", Due::Refused),
    ("a vertical tab", "Transfer-Encoding: \x0bchunked\r\n", CHUNKED, Due::Refused),
    ("a quoted coding", "Transfer-Encoding: \"chunked\"\r\n", CHUNKED, Due::Refused),
    ("a header of two lines", "Transfer-Encoding:\r\n chunked\r\n", CHUNKED, Due::Refused),
    ("a bare LF in the head", "Content-Length: {n}\nX-A: b\r\n", "BODY", Due::Refused),
    ("a bare LF, and a length behind it", "X-A: b\nContent-Length: {n}\r\n", "BODY", Due::Refused),
    ("a bare CR", "X-A: b\rContent-Length: 0\r\nContent-Length: {n}\r\n", "BODY", Due::Refused),
    ("a NUL", "X-A: \0\r\nContent-Length: {n}\r\n", "BODY", Due::Refused),
    ("a line without a colon", "nonsense\r\nContent-Length: {n}\r\n", "BODY", Due::Refused),
    ("an empty name", ": x\r\nContent-Length: {n}\r\n", "BODY", Due::Refused),
    ("two hosts", "Host: other.example\r\nContent-Length: {n}\r\n", "BODY", Due::Refused),
    ("an upgrade", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: {n}\r\n", "BODY", Due::Served),
];

/// Ways of writing chunks. `{h}` is the length of the body in hex.
const CHUNKS: &[(&str, &str, Due)] = &[
    ("leading zeros", "000{h}\r\nBODY\r\n0\r\n\r\n", Due::Served),
    ("a longer size than its data", "ffff\r\nBODY\r\n0\r\n\r\n", Due::Refused),
    ("a shorter size than its data", "5\r\nBODY\r\n0\r\n\r\n", Due::Refused),
    ("a size in 0x", "0x{h}\r\nBODY\r\n0\r\n\r\n", Due::Refused),
    ("a size with a plus", "+{h}\r\nBODY\r\n0\r\n\r\n", Due::Refused),
    ("a size below zero", "-1\r\nBODY\r\n0\r\n\r\n", Due::Refused),
    ("a size beyond numbers", "fffffffffffffffff\r\nBODY\r\n0\r\n\r\n", Due::Refused),
    ("a size of 2^64", "10000000000000000\r\nBODY\r\n0\r\n\r\n", Due::Refused),
    ("no size", "\r\nBODY\r\n0\r\n\r\n", Due::Refused),
    ("no end of the chunk", "{h}\r\nBODY0\r\n\r\n", Due::Refused),
];

/// Bytes of an answer that say what became of a request: its status, or nothing if the connection was cut.
fn status(told: &[u8]) -> Option<&str> {
    let first = told.split(|byte| *byte == b'\r').next()?;
    std::str::from_utf8(first).ok()?.split(' ').nth(1)
}

/// Writes a request with another one behind it, and checks what came of both.
fn check(world: &World, name: &str, head: &str, body: &str, due: Due) {
    let (shown, hidden) = (world.fresh("shown"), world.fresh("hidden"));
    let json = World::body(&shown, &shown);
    let fill = |text: &str| {
        let chunk = format!("{:x}\r\n{json}\r\n0\r\n\r\n", json.len());
        text.replace(CHUNKED, &chunk)
            .replace("BODY", &json)
            .replace("{n}", &json.len().to_string())
            .replace("{h}", &format!("{:x}", json.len()))
    };
    let mut raw = world.connect();
    let mut bytes = fill(head).into_bytes();
    bytes.extend(fill(body).into_bytes());
    if due == Due::Refused {
        // What an attacker puts behind it must not be taken for a request of this connection.
        bytes.extend(world.call(&hidden, &hidden));
    }
    raw.send(&bytes);
    match due {
        Due::Served => {
            let reply = raw.answer().unwrap_or_else(|| panic!("{name}: cut"));
            assert_eq!((reply.status, world.runs(&shown)), (200, 1), "{name}");
        }
        Due::Refused => {
            raw.finish();
            let told = raw.until_closed();
            assert!(matches!(status(&told), None | Some("400" | "411" | "501" | "413")), "{name}: {:?}", status(&told));
            assert_eq!(String::from_utf8_lossy(&told).matches("HTTP/1.1 ").count().max(1), 1, "{name}: two answers");
            assert_eq!((world.runs(&shown), world.runs(&hidden)), (0, 0), "{name}: it was handled");
        }
    }
}

#[test]
fn requests_with_two_ends_are_refused_and_closed() {
    let world = World::new(|_| {});
    for (name, lines, body, due) in ROWS {
        check(&world, name, &world.head_with(lines), body, *due);
    }
    world.answers();
}

#[test]
fn chunks_that_two_readers_read_differently_are_refused() {
    let world = World::new(|_| {});
    for (name, body, due) in CHUNKS {
        check(&world, name, &world.head_with("Transfer-Encoding: chunked\r\n"), body, *due);
    }
    world.answers();
}

/// Whether they are accepted or refused, extensions and trailers never become a second request.
#[test]
fn chunk_extensions_and_trailers_hide_no_request() {
    let world = World::new(|_| {});
    for (name, body) in [
        ("an extension", "{h};a=b\r\nBODY\r\n0\r\n\r\n"),
        ("an extension in quotes", "{h};a=\"\r\n\"\r\nBODY\r\n0\r\n\r\n"),
        ("an extension with a bare LF", "{h};a=b\nBODY\r\n0\r\n\r\n"),
        ("a size with a bare LF", "{h}\nBODY\n0\n\n"),
        ("trailers", "{h}\r\nBODY\r\n0\r\nContent-Length: 5\r\nHost: other.example\r\n\r\n"),
        ("a long extension", "{h};LONG\r\nBODY\r\n0\r\n\r\n"),
    ] {
        let (shown, behind) = (world.fresh("shown"), world.fresh("behind"));
        let json = World::body(&shown, &shown);
        let body = body
            .replace("BODY", &json)
            .replace("{h}", &format!("{:x}", json.len()))
            .replace("LONG", &"x".repeat(100_000));
        let mut raw = world.connect();
        let mut bytes = world.head_with("Transfer-Encoding: chunked\r\n").into_bytes();
        bytes.extend(body.into_bytes());
        bytes.extend(world.call(&behind, &behind));
        raw.send(&bytes);
        raw.finish();
        let told = String::from_utf8_lossy(&raw.until_closed()).into_owned();
        let statuses: Vec<&str> = told.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        let (shown, behind) = (world.runs(&shown), world.runs(&behind));
        let good = match statuses[..] {
            ["200", "200"] => (shown, behind) == (1, 1),
            ["200"] => (shown, behind) == (1, 0),
            [] | ["400" | "413" | "431"] => (shown, behind) == (0, 0),
            ["200", "400"] => (shown, behind) == (1, 0),
            _ => false,
        };
        assert!(good, "{name}: {statuses:?}, shown {shown}, behind {behind}");
    }
    world.answers();
}

#[test]
fn odd_first_lines_are_refused() {
    let world = World::new(|_| {});
    let secret = world.secret().to_owned();
    let json = World::body("first-line", "first-line");
    for (name, first, host) in [
        ("no host", "POST / HTTP/1.1", ""),
        ("an empty host", "POST / HTTP/1.1", "Host:\r\n"),
        ("HTTP/0.9", "POST /", "Host: x\r\n"),
        ("HTTP/2.0", "POST / HTTP/2.0", "Host: x\r\n"),
        ("HTTP/1.2", "POST / HTTP/1.2", "Host: x\r\n"),
        ("two spaces", "POST  /  HTTP/1.1", "Host: x\r\n"),
        ("a tab", "POST\t/\tHTTP/1.1", "Host: x\r\n"),
        ("a space at the front", " POST / HTTP/1.1", "Host: x\r\n"),
        ("a method of control characters", "PO\x01ST / HTTP/1.1", "Host: x\r\n"),
        ("a space in front of the first header", "POST / HTTP/1.1", " Host: x\r\n"),
        ("no target", "POST HTTP/1.1", "Host: x\r\n"),
        ("a target with a space", "POST /a b HTTP/1.1", "Host: x\r\n"),
        ("CONNECT", "CONNECT other.example:443 HTTP/1.1", "Host: other.example:443\r\n"),
        ("another path", "POST /elsewhere HTTP/1.1", "Host: x\r\n"),
        ("a path that climbs", "POST /a/.. HTTP/1.1", "Host: x\r\n"),
        ("two slashes", "POST // HTTP/1.1", "Host: x\r\n"),
        ("an encoded slash", "POST /%2f HTTP/1.1", "Host: x\r\n"),
        ("the whole server", "OPTIONS * HTTP/1.1", "Host: x\r\n"),
        ("GET with a body", "GET / HTTP/1.1", "Host: x\r\n"),
    ] {
        let mut raw = world.connect();
        let length = json.len();
        let head = format!("{first}\r\n{host}Authorization: Bearer {secret}\r\nContent-Length: {length}\r\n\r\n");
        raw.send(format!("{head}{json}").as_bytes());
        raw.finish();
        let told = raw.until_closed();
        let refused = matches!(status(&told), None | Some("400" | "404" | "405" | "501" | "505"));
        assert!(refused, "{name}: {:?}", String::from_utf8_lossy(&told));
        assert_eq!(world.runs("first-line"), 0, "{name}: it was handled");
    }
    world.answers();
}
