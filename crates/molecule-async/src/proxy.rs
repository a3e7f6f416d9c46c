//! The tunnel through a proxy: `CONNECT`, after which the stream is the target's.

use bytes::Bytes;
use http::Uri;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use molecule_core::HttpProxy;
use molecule_core::effect::connection::Reach;
use molecule_core::effect::{Fault, FaultKind, Sent};
use tokio::net::TcpStream;

use crate::dial::dial;
use crate::resolver::Resolver;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Opens a tunnel to the host of a URL. The proxy learns the host's name and nothing else.
pub(crate) async fn tunnel(resolver: &Resolver, proxy: &HttpProxy, uri: &Uri) -> Result<TcpStream, Fault> {
    let stream = dial(resolver, proxy.host(), proxy.port(), Reach::Anywhere).await;
    let stream = stream.map_err(|error| Fault { kind: FaultKind::Proxy, ..error })?;
    let refused = |cause: Cause| Fault::with_source(Sent::No, FaultKind::Proxy, cause);
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| refused(error.into()))?;
    tokio::spawn(connection.with_upgrades());
    let request = proxy.connect(uri).map(|()| Empty::<Bytes>::new());
    let answer = sender.send_request(request).await.map_err(|error| refused(error.into()))?;
    proxy.judge(answer.status())?;
    let tunnel = hyper::upgrade::on(answer).await.map_err(|error| refused(error.into()))?;
    let parts = tunnel.downcast::<TokioIo<TcpStream>>().map_err(|_| refused("the tunnel is no TCP stream".into()))?;
    if !parts.read_buf.is_empty() {
        return Err(refused("it sent something of its own into the tunnel".into()));
    }
    Ok(parts.io.into_inner())
}
