//! A request as a command line.

use std::fmt::Write as _;

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};

/// The `curl` command that sends a request again, for a POSIX shell. The bearer is `$TOKEN`; the body is a here-document,
/// out of which no quote can break.
pub(crate) fn command(url: &str, request: &Request<Bytes>) -> String {
    let target = request.uri().path_and_query().map_or("/", |uri| uri.as_str());
    let mut text =
        format!("curl --silent --show-error --request {} {}", request.method(), quoted(&format!("{url}{target}")));
    for (name, value) in request.headers() {
        if [HOST, CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING].contains(name) {
            continue;
        }
        if *name == AUTHORIZATION {
            text.push_str(" \\\n  --header \"Authorization: Bearer $TOKEN\"");
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes());
        // Writing to a string does not fail.
        let _ = write!(text, " \\\n  --header {}", quoted(&format!("{name}: {value}")));
    }
    if request.body().is_empty() {
        text.push('\n');
        return text;
    }
    text.push_str(" \\\n  --data-binary @-");
    match std::str::from_utf8(request.body()) {
        Ok(body) if !body.contains('\0') => {
            let end = delimiter(body);
            let _ = write!(text, " <<'{end}'\n{body}\n{end}\n");
            text
        }
        _ => {
            let bytes: String = request.body().iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "\\{byte:03o}");
                text
            });
            format!("printf '{bytes}' | {text}\n")
        }
    }
}

/// A text in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A line that the body does not have.
fn delimiter(body: &str) -> String {
    let mut end = "END".to_owned();
    while body.lines().any(|line| line == end) {
        end.push('_');
    }
    end
}
