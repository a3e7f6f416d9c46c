//! The HTTP clients without the facades, for comparison: they send the same requests and do nothing else.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use molecule_core::proto::{HeartbeatAnswer, HeartbeatRequest, WorkspaceId, path};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{ID, Outcome, TOKEN, base};

/// The timeout of a heartbeat for connecting, for the head of the answer, and for each read.
const LIMIT: Duration = Duration::from_secs(10);

/// The timeout of a whole heartbeat.
const TOTAL: Duration = Duration::from_secs(30);

/// The parts that all heartbeats have in common.
#[derive(Debug)]
struct Prepared {
    id: WorkspaceId,
    headers: HeaderMap,
}

impl Prepared {
    fn new(port: u16) -> Outcome<Self> {
        Self::of(port, ID.parse()?, TOKEN)
    }

    fn of(port: u16, id: WorkspaceId, token: &str) -> Outcome<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("bare"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ORIGIN, HeaderValue::from_str(&base(port))?);
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
        Ok(Self { id, headers })
    }

    fn body(&self) -> Outcome<Vec<u8>> {
        Ok(serde_json::to_vec(&HeartbeatRequest::new(self.id.clone()))?)
    }
}

/// A ureq agent with the timeouts of a heartbeat.
#[derive(Debug)]
pub struct BareUreq {
    agent: ureq::Agent,
    url: String,
    prepared: Prepared,
}

impl BareUreq {
    /// An agent for the server on this port.
    ///
    /// # Errors
    /// Only if the constants above are invalid.
    pub fn new(port: u16) -> Outcome<Self> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(LIMIT))
            .timeout_recv_response(Some(LIMIT))
            .timeout_per_read(Some(LIMIT))
            .timeout_global(Some(TOTAL))
            .build();
        let url = format!("{}{}", base(port), path::HEARTBEAT);
        Ok(Self { agent: ureq::Agent::new_with_config(config), url, prepared: Prepared::new(port)? })
    }

    /// Sends one heartbeat: writes the body, reads the whole answer and decodes it.
    ///
    /// # Errors
    /// The client's error.
    pub fn heartbeat(&self) -> Outcome {
        let mut request = Request::post(&self.url).body(self.prepared.body()?)?;
        request.headers_mut().extend(self.prepared.headers.clone());
        let mut answer = self.agent.run(request)?;
        let bytes = answer.body_mut().with_config().limit(64 * 1024).read_to_vec()?;
        serde_json::from_slice::<HeartbeatAnswer>(&bytes)?;
        Ok(())
    }
}

/// A plain connection of hyper, whose task is spawned as in hyper's documentation.
#[derive(Debug)]
pub struct BareHyper {
    sender: SendRequest<Full<Bytes>>,
    prepared: Prepared,
}

impl BareHyper {
    /// Connects.
    ///
    /// # Errors
    /// The error of connecting.
    pub async fn connect(port: u16) -> Outcome<Self> {
        Self::connect_as(port, ID.parse()?, TOKEN).await
    }

    /// Connects for another workspace than the benchmarks' one.
    ///
    /// # Errors
    /// The error of connecting.
    pub async fn connect_as(port: u16, id: WorkspaceId, token: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut prepared = Prepared::of(port, id, token)?;
        prepared.headers.insert(HOST, HeaderValue::from_str(base(port).trim_start_matches("http://"))?);
        Ok(Self { sender, prepared })
    }

    /// Sends one heartbeat: builds the request, reads the whole answer and decodes it.
    ///
    /// # Errors
    /// The client's error.
    pub async fn heartbeat(&mut self) -> Outcome {
        let request = self.request()?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        decode(&answer.into_body().collect().await?.to_bytes())
    }

    /// Sends one heartbeat with the timeouts of a heartbeat.
    ///
    /// # Errors
    /// The client's error, or a timeout.
    pub async fn heartbeat_within_limits(&mut self) -> Outcome {
        let end = Instant::now() + TOTAL;
        let request = self.request()?;
        timeout(LIMIT, self.sender.ready()).await??;
        let answer = timeout(LIMIT, self.sender.send_request(request)).await??;
        decode(&timeout_at(end, answer.into_body().collect()).await??.to_bytes())
    }

    /// Sends a `GET`, and returns the body of its answer as it comes.
    ///
    /// # Errors
    /// The client's error, or a status that is no success.
    pub async fn get(&mut self, path: &str) -> Outcome<Incoming> {
        self.send(Request::get(path).body(Full::default())?).await
    }

    /// Sends a `POST` with a JSON body, and returns the body of its answer as it comes.
    ///
    /// # Errors
    /// The client's error, or a status that is no success.
    pub async fn post(&mut self, path: &str, body: Vec<u8>) -> Outcome<Incoming> {
        self.send(Request::post(path).body(Full::new(body.into()))?).await
    }

    async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Outcome<Incoming> {
        let path = request.uri().path().to_owned();
        *request.headers_mut() = self.prepared.headers.clone();
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        match answer.status() {
            status if status.is_success() => Ok(answer.into_body()),
            status => Err(format!("{path} was answered with {status}").into()),
        }
    }

    fn request(&self) -> Outcome<Request<Full<Bytes>>> {
        let mut request = Request::post(path::HEARTBEAT).body(Full::new(Bytes::from(self.prepared.body()?)))?;
        *request.headers_mut() = self.prepared.headers.clone();
        Ok(request)
    }
}

fn decode(body: &[u8]) -> Outcome {
    serde_json::from_slice::<HeartbeatAnswer>(body)?;
    Ok(())
}
