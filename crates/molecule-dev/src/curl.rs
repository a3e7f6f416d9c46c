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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// What `curl` is called with: its arguments, each in brackets, and its standard input.
    fn run(request: &Request<Bytes>) -> (String, Vec<u8>) {
        let script = "curl() { for argument; do printf '[%s]' \"$argument\"; done; printf '\\n'; cat; }\nTOKEN=t0ken\n";
        let mut shell = Command::new("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let text = format!("{script}{}", command("http://127.0.0.1:7420", request));
        shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = shell.wait_with_output().unwrap();
        assert!(output.status.success());
        let end = output.stdout.iter().position(|byte| *byte == b'\n').unwrap();
        (String::from_utf8_lossy(&output.stdout[..end]).into_owned(), output.stdout[end + 1..].to_vec())
    }

    #[cfg(unix)]
    #[test]
    fn no_quote_breaks_out_of_the_command() {
        let body = "{\"a\": \"'; echo pwned $(id) `id`\"}\nEND\nEND_ \\";
        let request = Request::post("/workspaces/x/notify?a='b'$c").header("authorization", "Bearer secret");
        let request = request.header("x-odd", "it's $HOME").header("host", "h").header("content-length", "3");
        let request = request.body(Bytes::from(body)).unwrap();
        let (arguments, input) = run(&request);
        assert_eq!(
            arguments,
            "[--silent][--show-error][--request][POST][http://127.0.0.1:7420/workspaces/x/notify?a='b'$c]\
             [--header][Authorization: Bearer t0ken][--header][x-odd: it's $HOME][--data-binary][@-]"
        );
        // A here-document ends its last line.
        assert_eq!(input, format!("{body}\n").as_bytes());
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_arrive_as_they_are() {
        let body = vec![0, 0xff, b'%', b'\\', b'\'', b'\n', b'1'];
        let request = Request::post("/x").body(Bytes::from(body.clone())).unwrap();
        assert_eq!(run(&request).1, body);
    }

    #[test]
    fn a_request_without_a_body_has_no_input() {
        let text = command("http://127.0.0.1:7420", &Request::get("/health").body(Bytes::new()).unwrap());
        assert_eq!(text, "curl --silent --show-error --request GET 'http://127.0.0.1:7420/health'\n");
    }
}
