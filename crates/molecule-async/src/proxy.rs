//! The tunnel through a proxy: `CONNECT`, after which the stream is the target's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use molecule_core::connection::Reach;
use molecule_core::effect::{Fault, FaultKind, Sent};
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;

use crate::dial::dial;
use crate::resolver::Resolver;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A stream to the host at the other end of the proxy. The proxy learns the host's name and nothing else.
pub(crate) async fn tunnel(resolver: &Resolver, proxy: &Uri, host: &str, port: u16) -> Result<TcpStream, Fault> {
    let fault = |Refused(kind, cause)| Fault::with_source(Sent::No, kind, cause);
    let (name, own_port) = (proxy.host().unwrap_or_default(), proxy.port_u16().unwrap_or(80));
    let stream = dial(resolver, name, own_port, Reach::Anywhere).await;
    let stream = stream.map_err(|error| Fault { kind: FaultKind::Proxy, ..error })?;
    ask(stream, proxy, &format!("{host}:{port}")).await.map_err(fault)
}

/// Why there is no tunnel.
struct Refused(FaultKind, Cause);

impl<E: Into<Cause>> From<E> for Refused {
    fn from(cause: E) -> Self {
        Self(FaultKind::Proxy, cause.into())
    }
}

async fn ask(stream: TcpStream, proxy: &Uri, target: &str) -> Result<TcpStream, Refused> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = target.parse()?;
    request.headers_mut().insert(HOST, HeaderValue::from_str(target)?);
    if let Some(credentials) = credentials(proxy) {
        request.headers_mut().insert(PROXY_AUTHORIZATION, credentials?);
    }
    let answer = sender.send_request(request).await?;
    if answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return Err(Refused(FaultKind::ProxyAuth, format!("it answered {}", answer.status()).into()));
    }
    if !answer.status().is_success() {
        return Err(format!("it answered {}", answer.status()).into());
    }
    let tunnel = hyper::upgrade::on(answer).await?;
    let parts = tunnel.downcast::<TokioIo<TcpStream>>().map_err(|_| "the tunnel is no TCP stream")?;
    if !parts.read_buf.is_empty() {
        return Err("it sent something of its own into the tunnel".into());
    }
    Ok(parts.io.into_inner())
}

/// `Basic` credentials (RFC 7617), where the proxy's URL holds user and password.
fn credentials(proxy: &Uri) -> Option<Result<HeaderValue, http::header::InvalidHeaderValue>> {
    let (info, _) = proxy.authority()?.as_str().rsplit_once('@')?;
    let (user, password) = info.split_once(':').unwrap_or((info, ""));
    let decoded = |part: &str| percent_decode_str(part).collect::<Vec<u8>>();
    let pair = [decoded(user), decoded(password)].join(&b':');
    let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)));
    Some(value.map(|mut value| {
        value.set_sensitive(true);
        value
    }))
}
