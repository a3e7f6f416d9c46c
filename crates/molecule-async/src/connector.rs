//! Opens connections: the name, TCP, the proxy's tunnel, TLS, each with a fault of its own.
//!
//! A connector sends nothing of a request, so every fault is [`Sent::No`](molecule_core::effect::Sent::No). The caller keeps the
//! limit: to drop the future closes what was opened so far.

use http::Uri;
use http::uri::Scheme;
use molecule_core::effect::Fault;
use molecule_core::effect::connection::Reach;
use molecule_core::{BaseUrl, ProxyRule, Result, Transport};
use molecule_host::Names;

use crate::connection::Connection;
use crate::dial::dial;
use crate::proxy;
use crate::resolver::Resolver;
use crate::tls::{self, Tls};

/// What all connections of a client share.
pub(crate) struct Connector {
    tls: Tls,
    proxies: ProxyRule,
    resolver: Resolver,
}

impl Connector {
    /// # Errors
    /// `Config` if a certificate or the proxy makes no sense.
    pub(crate) fn new(transport: &Transport, names: Names) -> Result<Self> {
        let tls = tls::set_up(&transport.extra_ca)?;
        let proxies = molecule_host::proxy_rule(&transport.proxy)?;
        Ok(Self { tls, proxies, resolver: Resolver::new(names) })
    }

    /// # Errors
    /// `Config` if this build cannot speak to the platform, or its proxy cannot be used.
    pub(crate) fn check(&self, base_url: &BaseUrl) -> Result<()> {
        self.tls.check(base_url)?;
        self.proxies.check(base_url)
    }

    /// Opens a new connection to the origin of a URL.
    pub(crate) async fn open(&self, uri: Uri, reach: Reach) -> Result<Connection, Fault> {
        let https = uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let stream = match self.proxies.proxy_for(&uri)? {
            Some(proxy) => proxy::tunnel(&self.resolver, proxy, &uri).await?,
            None => dial(&self.resolver, host, port, reach).await?,
        };
        if https {
            Connection::speak(&uri, tls::handshake(&self.tls, host, stream, reach).await?).await
        } else {
            Connection::speak(&uri, stream).await
        }
    }
}
