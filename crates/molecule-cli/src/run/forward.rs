//! `--forward URL`: each message is a POST of its A2A request, signed with a secret of the agent's own.
//!
//! The signature is the header `Molecule-Signature: t=<unix seconds>,v1=<hex>`, where `v1` is the HMAC-SHA-256 of
//! `<t>.<body>` under the secret. The secret is made once, and stored beside the agent's token with mode 0600.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use molecule_async::core::proto;
use molecule_async::extend::Bytes;
use molecule_async::{InboundMessage, Reply};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::unhandled::Unhandled;
use super::wire;
use crate::exit::{self, Failure};

/// The header with the signature.
const SIGNATURE: &str = "molecule-signature";

/// The most bytes of an answer.
const MAX_ANSWER: usize = 1024 * 1024;

/// How long the program may take to accept a connection, and to answer.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30 * 60);

/// Where messages are forwarded to.
pub(super) struct Forward {
    url: Uri,
    host: String,
    port: u16,
    secret: Zeroizing<String>,
    /// What is told of the secret when the agent starts.
    told: String,
}

impl Forward {
    /// Checks the URL, and loads the secret from the agent's directory, or makes it.
    pub(super) fn new(url: &str, may_leave: bool, of_agent: &Path) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::usage(format!("--forward {url}: {why}"));
        let parsed: Uri = url.parse().map_err(|_| wrong("it is no URL"))?;
        if parsed.scheme_str() != Some("http") {
            return Err(wrong("give an http:// URL of this machine"));
        }
        let host = parsed.host().ok_or_else(|| wrong("it names no host"))?.to_owned();
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let is_here = name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if !is_here && !may_leave {
            return Err(wrong(
                "it is not this machine, and the messages would be sent unencrypted; --forward-anywhere allows it",
            ));
        }
        let port = parsed.port_u16().unwrap_or(80);
        let file = of_agent.join(".forward_secret");
        let (secret, is_new) = secret(&file)?;
        let place = file.display();
        let told = match is_new {
            true => format!("messages are signed with the secret {}, which {place} keeps", secret.as_str()),
            false => format!("messages are signed with the secret in {place}"),
        };
        Ok(Self { host: name.to_owned(), port, url: parsed, secret, told })
    }

    /// A sentence about the secret, which has the secret itself if it was made just now.
    pub(super) fn about_secret(&self) -> &str {
        &self.told
    }

    pub(super) async fn handle(&self, message: InboundMessage) -> Result<Option<Reply>, Unhandled> {
        let Answer { status, wait, body } = self.post(request(&message)).await?;
        match status {
            StatusCode::ACCEPTED => Ok(None),
            status if status.is_success() => Ok(answer(&body)?),
            status => {
                let why = format!("{} answered {status}", self.url);
                Err(if may_pass(status) { Unhandled::again_after(why, wait) } else { Unhandled::Failed(why) })
            }
        }
    }

    async fn post(&self, body: Vec<u8>) -> Result<Answer, Unhandled> {
        let failed = |error: &dyn std::fmt::Display| format!("{} cannot be reached: {error}", self.url);
        // A program that is not there has got no message.
        let absent = |error: &dyn std::fmt::Display| Unhandled::again(failed(error));
        let connect = timeout(CONNECT, TcpStream::connect((&*self.host, self.port))).await;
        let stream = connect.map_err(|error| absent(&error))?.map_err(|error| absent(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        // It ends with the sender.
        tokio::spawn(connection);
        let path = self.url.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.url.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit('@').next().unwrap_or_default();
        let request = Request::post(path)
            .header("host", host)
            .header("content-type", "application/json")
            .header(SIGNATURE, self.signature(now(), &body))
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| failed(&error))?;
        let answered = async {
            let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
            let status = answer.status();
            let wait = answer.headers().get("retry-after").and_then(|wait| wait.to_str().ok()?.trim().parse().ok());
            let wait = Duration::from_secs(wait.unwrap_or_default());
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
            let body = body.map_err(|error| format!("the answer of {} cannot be read: {error}", self.url))?;
            Ok::<_, String>(Answer { status, wait, body: body.to_bytes() })
        };
        let answered = timeout(ANSWER, answered).await.map_err(|_| format!("{} did not answer", self.url))?;
        Ok(answered?)
    }

    fn signature(&self, at: u64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(format!("{at}.").as_bytes());
        mac.update(body);
        let hex = mac.finalize().into_bytes().iter().fold(String::new(), |mut hex, byte| {
            // A text takes whatever is written to it.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        format!("t={at},v1={hex}")
    }
}

/// What the program answered.
struct Answer {
    status: StatusCode,
    /// `Retry-After` in seconds.
    wait: Duration,
    body: Bytes,
}

/// Returns whether a status says that the program could do nothing with the message now.
fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 502..=504)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The message's request, as the platform would push it; one that says the same for a message that has none.
fn request(message: &InboundMessage) -> Vec<u8> {
    let whole = message.raw().request_body.as_ref().filter(|body| body.get("params").is_some());
    let made = || {
        json!({
            "jsonrpc": "2.0",
            "id": message.id(),
            "method": "message/send",
            "params": { "message": {
                "kind": "message", "role": "user", "messageId": message.message_id().unwrap_or(message.id().as_str()),
                "parts": message.parts(),
            } },
        })
    };
    let request = whole.cloned().unwrap_or_else(made);
    request.to_string().into_bytes()
}

/// Reads an answer: the result of JSON-RPC, or a text.
fn answer(body: &[u8]) -> Result<Option<Reply>, String> {
    if body.is_empty() {
        return Ok(None);
    }
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(mut answer)) if answer.contains_key("result") => {
            let result = answer.remove("result").unwrap_or_default();
            let reply: proto::Reply =
                serde_json::from_value(result).map_err(|_| "the result is no message or task".to_owned())?;
            reply.texts().join("\n")
        }
        Ok(Value::Object(answer)) if answer.contains_key("error") => {
            return Err("the program answered with an error of JSON-RPC".to_owned());
        }
        Ok(Value::String(text)) => text,
        Ok(_) => return Err("the answer has neither a `result` nor a text".to_owned()),
        Err(_) => String::from_utf8(body.to_vec()).map_err(|_| "the answer is not UTF-8".to_owned())?,
    };
    Ok(Some(wire::reply(text.trim_end_matches(['\n', '\r']))))
}

/// Loads the secret of a file, or makes one. Returns whether it is new.
fn secret(file: &Path) -> Result<(Zeroizing<String>, bool), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(exit::ERROR, format!("the secret of --forward, {}: {error}", file.display()))
    };
    match std::fs::File::open(file) {
        Ok(opened) => {
            let mut text = Zeroizing::new(String::new());
            opened.take(1024).read_to_string(&mut text).map_err(failed)?;
            let text = Zeroizing::new(text.trim().to_owned());
            match text.len() >= 32 {
                true => Ok((text, false)),
                false => Err(failed(std::io::Error::new(ErrorKind::InvalidData, "it is too short; remove the file"))),
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let made = make().map_err(failed)?;
            if let Some(directory) = file.parent() {
                super::attachments::private(directory).map_err(failed)?;
            }
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(file).and_then(|mut opened| opened.write_all(made.as_bytes())).map_err(failed)?;
            Ok((made, true))
        }
        Err(error) => Err(failed(error)),
    }
}

/// 256 random bits of the operating system, as hex digits.
fn make() -> std::io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(bytes.iter().fold(Zeroizing::new(String::new()), |mut hex, byte| {
        // A text takes whatever is written to it.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_an_hmac_of_time_and_body() {
        let forward = Forward {
            url: "http://localhost:1/".parse().unwrap(),
            host: "localhost".to_owned(),
            port: 1,
            secret: Zeroizing::new("key".to_owned()),
            told: String::new(),
        };
        // As `printf '%s' '7.{}' | openssl dgst -sha256 -hmac key` prints it.
        let hex = "77bc83bd1f40422311e47918b203449aecf84b02c1568bb1b570ac2a474cc2d8";
        assert_eq!(forward.signature(7, b"{}"), format!("t=7,v1={hex}"));
        assert_ne!(forward.signature(7, b"{}"), forward.signature(8, b"{}"));
        assert_ne!(forward.signature(7, b"{}"), forward.signature(7, b"[]"));
    }

    #[test]
    fn an_answer_is_a_result_of_json_rpc_or_a_text() {
        let texts = |body: &str| answer(body.as_bytes()).map(|reply| reply.map(|reply| reply == wire::reply("hello")));
        for body in [
            "hello\n",
            r#""hello""#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"kind":"message","parts":[{"kind":"text","text":"hello"}]}}"#,
        ] {
            assert_eq!(texts(body), Ok(Some(true)), "{body}");
        }
        assert_eq!(texts(""), Ok(None));
        assert!(texts(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"secret"}}"#).is_err());
        assert!(texts("[1]").is_err());
    }

    #[test]
    fn messages_leave_this_machine_only_if_that_is_said() {
        let directory = std::env::temp_dir().join(format!("molecule-cli-forward-{}", std::process::id()));
        for (url, may_leave, part) in [
            ("http://10.0.0.1/", false, "not this machine"),
            ("https://localhost/", false, "http://"),
            ("localhost:80", false, "http://"),
        ] {
            let Err(failure) = Forward::new(url, may_leave, &directory) else { panic!("{url}") };
            assert!(failure.to_string().contains(part), "{url}: {failure}");
        }
        let first = Forward::new("http://127.0.0.1:1/", false, &directory).unwrap();
        let second = Forward::new("http://10.0.0.1/", true, &directory).unwrap();
        assert_eq!(first.secret, second.secret, "it is made once");
        assert!(first.about_secret().contains(&*first.secret) && !second.about_secret().contains(&*first.secret));
        std::fs::remove_dir_all(directory).unwrap();
    }
}
