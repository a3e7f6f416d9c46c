//! The clients themselves, doing the same work with the same limits and nothing else: what the facades are measured against.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use molecule_core::proto::{HeartbeatAnswer, HeartbeatRequest, WorkspaceId, path};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{ID, TOKEN};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn body() -> Result<Vec<u8>, Failure> {
    let id: WorkspaceId = ID.parse()?;
    Ok(serde_json::to_vec(&HeartbeatRequest::new(id))?)
}

fn headers(headers: &mut HeaderMap, origin: &str) -> Result<(), Failure> {
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("bare"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ORIGIN, HeaderValue::from_str(origin)?);
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {TOKEN}"))?);
    Ok(())
}

/// A ureq agent with the limits of a heartbeat.
pub fn ureq_agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_recv_response(Some(Duration::from_secs(10)))
        .timeout_per_read(Some(Duration::from_secs(10)))
        .timeout_global(Some(Duration::from_secs(30)))
        .build();
    ureq::Agent::new_with_config(config)
}

/// One heartbeat by ureq: body written, answer read whole and decoded.
///
/// # Errors
/// The client's.
pub fn ureq_heartbeat(agent: &ureq::Agent, base: &str) -> Result<(), Failure> {
    let mut request = Request::post(format!("{base}{}", path::HEARTBEAT)).body(body()?)?;
    headers(request.headers_mut(), base)?;
    let mut answer = agent.run(request)?;
    let bytes = answer.body_mut().with_config().limit(64 * 1024).read_to_vec()?;
    serde_json::from_slice::<HeartbeatAnswer>(&bytes)?;
    Ok(())
}

/// A connection of hyper's own.
///
/// # Errors
/// Those of connecting.
pub async fn hyper_connect(port: u16) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One heartbeat on a connection, under the same three limits.
///
/// # Errors
/// The client's.
pub async fn hyper_heartbeat(sender: &mut SendRequest<Full<Bytes>>, base: &str) -> Result<(), Failure> {
    let host = base.trim_start_matches("http://");
    let mut request = Request::post(path::HEARTBEAT).body(Full::new(Bytes::from(body()?)))?;
    headers(request.headers_mut(), base)?;
    request.headers_mut().insert(HOST, HeaderValue::from_str(host)?);
    timeout(Duration::from_secs(10), sender.ready()).await??;
    let answer = timeout(Duration::from_secs(10), sender.send_request(request)).await??;
    let bytes = timeout(Duration::from_secs(30), answer.into_body().collect()).await??.to_bytes();
    serde_json::from_slice::<HeartbeatAnswer>(&bytes)?;
    Ok(())
}
