//! The HTTP client that calls agents on loopback addresses.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::ACCEPT_ENCODING;
use http::uri::PathAndQuery;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::dispatch::DispatchFault;

/// The timeout of a connection attempt.
const DIAL: Duration = Duration::from_secs(10);

/// Sends a request to exactly its URI and reads the answer, with at most `most` + 1 bytes of its body.
///
/// It has no timeout for the answer, because the platform cancels a call that takes too long. Any host that is not a
/// loopback address counts as unreachable: a test double never calls another machine.
pub(super) async fn call(mut request: Request<Bytes>, most: usize) -> Result<Response<Bytes>, DispatchFault> {
    if request.uri().scheme_str() != Some("http") {
        return Err(DispatchFault::Tls);
    }
    let stream = dial(request.uri()).await?;
    // The client cannot read a compressed answer.
    request.headers_mut().remove(ACCEPT_ENCODING);
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| fault(&error))?;
    let exchange = async move {
        let response = sender.send_request(request.map(Full::new)).await.map_err(|error| fault(&error))?;
        read(response, most).await
    };
    beside(exchange, connection).await
}

async fn dial(uri: &Uri) -> Result<TcpStream, DispatchFault> {
    let port = uri.port_u16().unwrap_or(80);
    let mut tried = None;
    for address in addresses(uri.host().unwrap_or_default()) {
        let address = SocketAddr::new(address, port);
        match timeout(DIAL, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(_)) | Err(_) => tried = tried.or(Some(address)),
        }
    }
    Err(DispatchFault::Connect(tried))
}

/// The loopback addresses of a host; none for any other host.
fn addresses(host: &str) -> Vec<IpAddr> {
    if host == "localhost" {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    literal.into_iter().filter(IpAddr::is_loopback).collect()
}

async fn read(response: Response<Incoming>, most: usize) -> Result<Response<Bytes>, DispatchFault> {
    let (head, mut body) = response.into_parts();
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| DispatchFault::Cut(head.status))?;
        if let Some(data) = frame.data_ref() {
            let room = (most + 1).saturating_sub(bytes.len());
            bytes.extend_from_slice(&data[..data.len().min(room)]);
        }
        if bytes.len() > most {
            break;
        }
    }
    Ok(Response::from_parts(head, bytes.freeze()))
}

fn fault(error: &hyper::Error) -> DispatchFault {
    if error.is_parse() { DispatchFault::Protocol } else { DispatchFault::Closed }
}

/// Polls a connection together with the work that uses it. Both end when the work ends.
async fn beside<T>(work: impl Future<Output = T>, connection: impl Future) -> T {
    let (mut work, mut connection) = (pin!(work), pin!(connection));
    let mut is_open = true;
    poll_fn(|cx| {
        if is_open && connection.as_mut().poll(cx).is_ready() {
            is_open = false;
        }
        work.as_mut().poll(cx)
    })
    .await
}
