//! The lines between `molecule run` and the program that handles messages: one JSON object each, in UTF-8.

use std::time::Duration;

use molecule_async::{InboundMessage, OutgoingFile, Reply, Sender};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The version of the lines.
const VERSION: u32 = 1;

/// A message, as the program reads it.
#[derive(Debug, Serialize)]
pub(super) struct Offered<'a> {
    v: u32,
    id: &'a str,
    from: Value,
    text: &'a str,
    /// Paths of files on this machine.
    attachments: &'a [String],
    context: Option<&'a str>,
    attempt: u32,
    received_at: molecule_async::UnixTime,
}

/// Who wrote a message: `kind` is `user`, `peer` (with `id`, `name`, `role`), `channel` or `platform` (with `name`), or
/// `unknown`.
pub(crate) fn from(sender: &Sender) -> Value {
    match sender {
        Sender::User => json!({ "kind": "user" }),
        Sender::Peer { id, name, role, .. } => json!({ "kind": "peer", "id": id, "name": name, "role": role }),
        Sender::Channel(name) => json!({ "kind": "channel", "name": name }),
        Sender::Platform(name) => json!({ "kind": "platform", "name": name }),
        _ => json!({ "kind": "unknown" }),
    }
}

/// The kind of a message's sender.
pub(super) fn kind(sender: &Sender) -> &'static str {
    match sender {
        Sender::User => "user",
        Sender::Peer { .. } => "peer",
        Sender::Channel(_) => "channel",
        Sender::Platform(_) => "platform",
        _ => "unknown",
    }
}

/// Writes a message as a line, with its line feed.
pub(super) fn offer(message: &InboundMessage, attachments: &[String]) -> Vec<u8> {
    let text = message.text();
    let offered = Offered {
        v: VERSION,
        id: message.id().as_str(),
        from: from(message.sender()),
        text: &text,
        attachments,
        context: message.context_id(),
        attempt: message.attempt(),
        received_at: message.received_at(),
    };
    let mut line = serde_json::to_vec(&offered).expect("a message is JSON");
    line.push(b'\n');
    line
}

/// What the program says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// The message is handled.
    Handled(String, Option<Reply>),
    /// The message is to be offered again, not before this time has passed.
    Retry(String, Duration),
    /// The user is to be told this.
    Notify(String),
    /// The agent does this.
    Progress(String),
}

#[derive(Deserialize)]
struct Line {
    id: Option<String>,
    reply: Option<Answer>,
    ack: Option<bool>,
    retry: Option<Value>,
    notify: Option<String>,
    progress: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Text(String),
    Whole {
        #[serde(default)]
        text: String,
        #[serde(default)]
        attachments: Vec<String>,
        #[serde(default)]
        metadata: Map<String, Value>,
    },
}

/// Reads a line of the program.
///
/// # Errors
/// A sentence that says what the line lacks, and does not quote it.
pub(super) fn read(line: &[u8]) -> Result<Said, String> {
    let line: Line = serde_json::from_slice(line).map_err(|error| {
        format!(
            "a line of the program is no JSON object of its kind (column {}); stdout is for answers, stderr for text",
            error.column()
        )
    })?;
    if let Some(text) = line.notify {
        return Ok(Said::Notify(text));
    }
    if let Some(text) = line.progress {
        return Ok(Said::Progress(text));
    }
    let id = line.id.ok_or("an answer of the program names no message: it has no `id`")?;
    match (line.reply, line.ack, line.retry) {
        (Some(answer), _, _) => Ok(Said::Handled(id, Some(answer.into()))),
        (None, Some(true), _) => Ok(Said::Handled(id, None)),
        (None, _, Some(retry)) if retry != Value::Bool(false) && !retry.is_null() => {
            // `true`, or a number of seconds.
            let wait = retry.as_f64().and_then(|secs| Duration::try_from_secs_f64(secs).ok());
            Ok(Said::Retry(id, wait.unwrap_or_default()))
        }
        _ => Err("an answer of the program has neither `reply`, nor `ack`, nor `retry`".to_owned()),
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Text(text) => reply(&text),
            Answer::Whole { text, attachments, metadata } => {
                let with_files = attachments.into_iter().map(OutgoingFile::at).fold(reply(&text), Self::attach);
                metadata.into_iter().fold(with_files, |reply, (key, value)| reply.with_metadata(key, value))
            }
        }
    }
}

/// A reply of this text; none if it is empty.
pub(super) fn reply(text: &str) -> Reply {
    if text.is_empty() { Reply::none() } else { Reply::text(text) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_reply_an_ack_or_a_retry() {
        let id = || "m-1".to_owned();
        for (line, expected) in [
            (r#"{"id":"m-1","reply":"hello"}"#, Said::Handled(id(), Some(Reply::text("hello")))),
            (r#"{"id":"m-1","reply":""}"#, Said::Handled(id(), Some(Reply::none()))),
            (
                r#"{"id":"m-1","reply":{"text":"see","attachments":["/tmp/a"],"metadata":{"k":1}},"more":1}"#,
                Said::Handled(id(), Some(Reply::text("see").attach(OutgoingFile::at("/tmp/a")).with_metadata("k", 1))),
            ),
            (r#"{"id":"m-1","ack":true}"#, Said::Handled(id(), None)),
            (r#"{"id":"m-1","retry":true}"#, Said::Retry(id(), Duration::ZERO)),
            (r#"{"id":"m-1","retry":30}"#, Said::Retry(id(), Duration::from_secs(30))),
            (r#"{"id":"m-1","retry":-1}"#, Said::Retry(id(), Duration::ZERO)),
            (r#"{"notify":"done"}"#, Said::Notify("done".to_owned())),
            (r#"{"id":"m-1","progress":"reading"}"#, Said::Progress("reading".to_owned())),
        ] {
            assert_eq!(read(line.as_bytes()).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn a_line_that_is_no_answer_says_what_is_wrong_and_is_not_quoted() {
        for (line, part) in [
            ("hello, secret", "no JSON object"),
            ("[1]", "no JSON object"),
            (r#"{"reply":"secret"}"#, "no `id`"),
            (r#"{"id":"m-1"}"#, "neither"),
            (r#"{"id":"m-1","ack":false,"retry":false}"#, "neither"),
        ] {
            let why = read(line.as_bytes()).unwrap_err();
            assert!(why.contains(part) && !why.contains("secret"), "{line}: {why}");
        }
    }
}
