//! Servers that are called, each in a process of its own with one thread for its requests: ours, bare ones of hyper, and
//! the official one in Python.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use molecule_async::{Agent, InboundMessage, Message, Reply};
use molecule_host::Storage;
use molecule_platform::{Config, Dialect, serve};
use molecule_serve::{A2aServe, ServerLimits, ServerOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::child::Role;
use crate::{Outcome, runtime};

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// This project's, whose answers are kept in memory.
    Ours,
    /// The same, with each answer on the disk before it is sent.
    OursDurable,
    /// The same as [`Ours`](Self::Ours); it asks the platform who wrote each message, whose feed has a page of other messages.
    OursLooksUp,
    /// A bare server of hyper that answers with the bytes that it got.
    Echo,
    /// A bare server of hyper that parses each request and answers with a message, as ours does.
    Parse,
}

/// The messages of others in the feed: one page less one row, so that a look that finds nobody reads no further.
pub const OTHERS: usize = 49;

impl Kind {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Ours, "ours"),
        (Self::OursDurable, "ours-durable"),
        (Self::OursLooksUp, "ours-looks-up"),
        (Self::Echo, "echo"),
        (Self::Parse, "parse"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// The kind with this name.
    ///
    /// # Errors
    /// If none has it.
    pub fn of(name: &str) -> Outcome<Self> {
        Ok(Self::ALL.into_iter().find(|(_, its)| *its == name).ok_or("no such server")?.0)
    }
}

/// A server in a child process, which ends when this value is dropped.
#[derive(Debug)]
pub struct Called {
    /// Its port.
    pub port: u16,
    /// The bearer that it takes, or nothing.
    pub bearer: String,
    role: Role,
}

impl Called {
    /// Starts a server, whose files are in a directory.
    ///
    /// # Errors
    /// The errors of the process.
    pub fn start(kind: Kind, home: &Path) -> Outcome<Self> {
        let mut role = Role::start(&["called", kind.name(), &home.to_string_lossy()])?;
        let line = role.line()?;
        let (port, bearer) = line.split_once(' ').ok_or("no port and bearer")?;
        Ok(Self { port: port.parse()?, bearer: bearer.to_owned(), role })
    }

    /// Starts the official server, a script of `interop`, in the virtual environment that `.ci/run` makes, or that
    /// `MOLECULE_A2A_SDK` names. `None` if there is none.
    ///
    /// # Errors
    /// The errors of the process.
    pub fn python(script: &str) -> Outcome<Option<Self>> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let environment = std::env::var_os("MOLECULE_A2A_SDK").map(PathBuf::from);
        let environment = environment.unwrap_or_else(|| root.join("target/interop/a2a-0.3.26"));
        let python = environment.join("bin/python");
        if !python.is_file() {
            return Ok(None);
        }
        let mut command = Command::new(std::path::absolute(python)?);
        command.arg(script).current_dir(root.join("interop")).env("PYTHONDONTWRITEBYTECODE", "1");
        let mut role = Role::of(command)?;
        let url = role.line()?;
        let port = url.trim_end_matches('/').rsplit(':').next().ok_or("no port")?.parse()?;
        Ok(Some(Self { port, bearer: String::new(), role }))
    }

    /// The processor time of the process so far, on Linux.
    ///
    /// # Errors
    /// If `/proc` has no such file.
    pub fn spent(&self) -> io::Result<Duration> {
        let mut nanos = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.role.id()))? {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            nanos += text.split(' ').next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// The resident memory of the process in KiB, on Linux.
    ///
    /// # Errors
    /// If `/proc` has no such file.
    pub fn resident_kib(&self) -> io::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.role.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse().map_err(io::Error::other)
    }
}

/// The child's side: serves until its standard input is closed. It prints its port and its bearer.
///
/// # Errors
/// The errors of the sockets and of the agent.
pub fn run(kind: Kind, home: &Path) -> Outcome {
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    runtime()?.block_on(async {
        match kind {
            Kind::Ours | Kind::OursDurable | Kind::OursLooksUp => ours(kind, home).await,
            Kind::Echo | Kind::Parse => bare(kind).await,
        }
    })
}

async fn ours(kind: Kind, home: &Path) -> Outcome {
    let platform = serve(Config::new(Dialect::Current), "127.0.0.1:0")?;
    let (id, token) = platform.with(|platform, now| platform.create_workspace(now, "bench"));
    let storage = if kind == Kind::OursDurable { Storage::Dir(home.to_owned()) } else { Storage::Memory };
    let agent = Agent::builder(platform.url(), &id).token(token.expose()).storage(storage).no_proxy().build()?;
    if kind == Kind::OursLooksUp {
        // The platform calls nobody who polls.
        let _polls = agent.register().await?;
        platform.with(|platform, now| {
            for number in 0..OTHERS {
                platform.send_user_message(now, &id, Message::text(format!("{number:0>200}")));
            }
        });
    }
    let mut limits = ServerLimits::default();
    limits.connections = 20_000;
    limits.connections_per_address = 20_000;
    limits.handlers = 1_000;
    let options = ServerOptions::new().look_up_senders(kind == Kind::OursLooksUp).limits(limits);
    let handler = |message: InboundMessage| async move {
        Ok::<_, String>(Some(Reply::text(format!("you wrote: {}", message.text()))))
    };
    let server = agent.start_a2a_server(options, handler).await?;
    let secret = agent.inbound_secret().ok_or("no inbound secret")?;
    say(server.local_addr().port(), secret.expose())?;
    std::future::pending().await
}

async fn bare(kind: Kind) -> Outcome {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    say(listener.local_addr()?.port(), "bare")?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service_fn(move |request| answer(kind, request));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(900));
        tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(kind: Kind, request: http::Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let told = if kind == Kind::Parse { Bytes::from(message(&body)) } else { body };
    let mut answer = Response::new(Full::new(told));
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    Ok(answer)
}

fn message(body: &[u8]) -> String {
    let call: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = call["params"]["message"]["parts"][0]["text"].as_str().unwrap_or_default();
    let part = json!({"kind": "text", "text": format!("you wrote: {text}")});
    let id = &call["params"]["message"]["messageId"];
    let message = json!({"kind": "message", "messageId": format!("answer-{id}"), "role": "agent", "parts": [part]});
    json!({"jsonrpc": "2.0", "id": call["id"], "result": message}).to_string()
}

fn say(port: u16, bearer: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{port} {bearer}")
}
