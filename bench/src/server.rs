//! A server for all figures, which answers the endpoints of an agent with fixed bodies, as fast as hyper can.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::Ipv4Addr;

use bytes::Bytes;
use http::{HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::Outcome;
use crate::child::Role;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// A server in a child process, which ends when this value is dropped.
#[derive(Debug)]
pub struct Server {
    /// The port that it listens on.
    pub port: u16,
    _role: Role,
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// The error of starting a process.
    pub fn start() -> Outcome<Self> {
        let mut role = Role::start(&["server"])?;
        Ok(Self { port: role.line()?.parse()?, _role: role })
    }
}

/// Serves on a free loopback port, and writes the port to standard output. It ends when its standard input is closed,
/// so that it ends with the benchmark.
///
/// # Errors The errors of the socket.
pub fn run() -> io::Result<()> {
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        writeln!(io::stdout(), "{}", listener.local_addr()?.port())?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let service = service_fn(answer);
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    })
}

async fn answer(request: http::Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let _ = body.collect().await;
    let id = head.uri.path().split('/').nth(2).unwrap_or_default();
    let text = match head.uri.path() {
        "/registry/heartbeat" => r#"{"status":"ok","generation":1}"#.to_owned(),
        "/registry/register" => r#"{"status":"registered","delivery_mode":"poll"}"#.to_owned(),
        path if path.ends_with("/state") => {
            format!(r#"{{"workspace_id":"{id}","status":"online","paused":false,"deleted":false}}"#)
        }
        _ => format!(r#"{{"id":"{id}","status":"online","kind":"workspace"}}"#),
    };
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    answer.headers_mut().insert(http::header::CONTENT_TYPE, JSON);
    Ok(answer)
}
