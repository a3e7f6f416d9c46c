//! The HTTP client that calls agents on loopback addresses.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::read::GzDecoder;
use http::header::CONTENT_ENCODING;
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::pool::{Connection, Pool};
use crate::dispatch::DispatchFault;

/// The timeout of a connection attempt.
const DIAL: Duration = Duration::from_secs(10);

/// Sends a request to exactly its URI and reads the answer, with at most `most` + 1 bytes of its body; `head` is called
/// before the body is read. An idle connection is used again. One that its agent closed meanwhile is replaced, if the
/// close was noticed before the request was written; otherwise the message may have arrived.
///
/// It has no timeout for the answer, because the platform cancels a call that takes too long. Any host that is not a
/// loopback address counts as unreachable: a test double never calls another machine.
pub(super) async fn call(
    pool: &Arc<Pool>,
    mut request: Request<Bytes>,
    most: usize,
    head: impl FnOnce(StatusCode),
) -> Result<Response<Bytes>, DispatchFault> {
    if request.uri().scheme_str() != Some("http") {
        return Err(DispatchFault::Tls);
    }
    let uri = request.uri().clone();
    let host = format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(80));
    let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    let mut request = request.map(Full::new);
    let (mut connection, response) = loop {
        let kept = pool.take(&host);
        let is_kept = kept.is_some();
        let mut connection = match kept {
            Some(connection) => connection,
            None => open(&uri).await?,
        };
        match connection.sender.try_send_request(request).await {
            Ok(response) => break (connection, response),
            Err(mut error) => match error.take_message() {
                Some(unsent) if is_kept => request = unsent,
                _ => return Err(fault(error.error())),
            },
        }
    };
    head(response.status());
    let (response, is_whole) = read(response, most).await?;
    if is_whole && connection.sender.ready().await.is_ok() {
        pool.put(host, connection);
    }
    Ok(response)
}

/// Opens a connection.
async fn open(uri: &Uri) -> Result<Connection, DispatchFault> {
    let stream = dial(uri).await?;
    // The servers' client writes the names of headers in title case.
    let handshake = http1::Builder::new().title_case_headers(true).handshake(TokioIo::new(stream));
    let (sender, connection) = handshake.await.map_err(|error| fault(&error))?;
    // Its error is told to the sender as well.
    let task = tokio::spawn(async move { drop(connection.await) }).abort_handle();
    Ok(Connection { sender, task })
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

/// Reads a body, and returns whether it came to its end. A compressed one is unpacked, with the same limit.
async fn read(response: Response<Incoming>, most: usize) -> Result<(Response<Bytes>, bool), DispatchFault> {
    let (mut head, mut body) = response.into_parts();
    let mut bytes = BytesMut::new();
    let mut is_whole = true;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| DispatchFault::Cut(head.status))?;
        if let Some(data) = frame.data_ref() {
            let room = (most + 1).saturating_sub(bytes.len());
            bytes.extend_from_slice(&data[..data.len().min(room)]);
        }
        if bytes.len() > most {
            is_whole = false;
            break;
        }
    }
    let mut bytes = bytes.freeze();
    if head.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip") {
        head.headers.remove(CONTENT_ENCODING);
        let mut plain = Vec::new();
        let limit = u64::try_from(most + 1).unwrap_or(u64::MAX);
        let unpacked = GzDecoder::new(bytes.as_ref()).take(limit).read_to_end(&mut plain);
        unpacked.map_err(|_| DispatchFault::Cut(head.status))?;
        bytes = Bytes::from(plain);
    }
    Ok((Response::from_parts(head, bytes), is_whole))
}

fn fault(error: &hyper::Error) -> DispatchFault {
    if error.is_parse() { DispatchFault::Protocol } else { DispatchFault::Closed }
}
