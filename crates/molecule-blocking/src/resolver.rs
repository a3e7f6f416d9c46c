//! Names to addresses, kept for a while: ureq asks for every request, also for one that finds a connection in the pool, and
//! a lookup under a limit costs a thread.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Uri;
use http::uri::Scheme;
use molecule_core::effect::FaultKind;
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver as Lookup};
use ureq::unversioned::transport::NextTimeout;

use crate::connector::unsent;

/// How long addresses are used before the name is looked up again.
const KEPT: Duration = Duration::from_secs(60);

/// The resolver of one client.
#[derive(Debug, Default)]
pub(crate) struct Resolver<L = Names> {
    lookup: L,
    kept: Mutex<HashMap<String, (Instant, ResolvedSocketAddrs)>>,
}

/// Where addresses come from: the operating system, or a function of a test's.
#[derive(Default)]
pub(crate) enum Names {
    #[default]
    System,
    Given(Given),
}

/// The addresses of a host and port.
type Given = Box<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The same resolver, for ureq.
#[derive(Debug)]
pub(crate) struct Shared<L = Names>(pub(crate) Arc<Resolver<L>>);

impl<L: Lookup> Lookup for Shared<L> {
    fn resolve(&self, uri: &Uri, config: &Config, limit: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        self.0.addresses(uri, config, limit)
    }
}

impl Resolver {
    pub(crate) fn new(names: Names) -> Self {
        Self { lookup: names, kept: Mutex::default() }
    }
}

impl<L: Lookup> Resolver<L> {
    /// The addresses of a URL's host, in the order in which the lookup gave them.
    ///
    /// # Errors
    /// Marked as [`Unsent`](crate::connector::Unsent): no address, or no answer within the limit.
    pub(crate) fn addresses(
        &self,
        uri: &Uri,
        config: &Config,
        limit: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let port = port(uri);
        let host = uri.host().unwrap_or_default();
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            let mut literal = self.lookup.empty();
            literal.push(SocketAddr::new(address, port));
            return Ok(literal);
        }
        let name = format!("{}:{port}", host.to_ascii_lowercase());
        if let Some(addresses) = self.kept(&name) {
            return Ok(addresses);
        }
        let found = self.lookup.resolve(uri, config, limit).map_err(|error| unsent(FaultKind::Resolve, error))?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (since, _)| since.elapsed() < KEPT);
        kept.insert(name, (Instant::now(), found.clone()));
        Ok(found)
    }

    fn kept(&self, name: &str) -> Option<ResolvedSocketAddrs> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(name).filter(|(since, _)| since.elapsed() < KEPT).map(|(_, addresses)| addresses.clone())
    }
}

impl Lookup for Names {
    fn resolve(&self, uri: &Uri, config: &Config, limit: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        match self {
            Self::System => DefaultResolver::default().resolve(uri, config, limit),
            Self::Given(names) => {
                let mut found = self.empty();
                names(uri.host().unwrap_or_default(), port(uri))?.into_iter().for_each(|address| found.push(address));
                if found.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(found) }
            }
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Given(_) => "Given(..)",
        })
    }
}

fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A lookup that counts, and finds two addresses.
    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    impl Lookup for Counting {
        fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let mut found = self.empty();
            found.push("[2001:db8::1]:443".parse().unwrap());
            found.push("192.0.2.1:443".parse().unwrap());
            Ok(found)
        }
    }

    fn ask(resolver: &Resolver<Counting>, url: &str) -> Vec<String> {
        let found = resolver.addresses(&url.parse().unwrap(), &Config::default(), NextTimeout::default()).unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_is_looked_up_once_and_all_its_addresses_are_kept() {
        let resolver = Resolver::<Counting>::default();
        for _ in 0..100 {
            assert_eq!(ask(&resolver, "https://host.example/path"), ["[2001:db8::1]:443", "192.0.2.1:443"]);
        }
        assert_eq!(resolver.lookup.0.load(Ordering::Relaxed), 1);
        ask(&resolver, "https://HOST.example");
        assert_eq!(resolver.lookup.0.load(Ordering::Relaxed), 1);
        ask(&resolver, "https://host.example:8443");
        assert_eq!(resolver.lookup.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn addresses_that_are_too_old_are_looked_up_again() {
        let resolver = Resolver::<Counting>::default();
        ask(&resolver, "https://host.example");
        let old = Instant::now().checked_sub(KEPT).unwrap();
        resolver.kept.lock().unwrap().values_mut().for_each(|(since, _)| *since = old);
        ask(&resolver, "https://host.example");
        assert_eq!(resolver.lookup.0.load(Ordering::Relaxed), 2);
        assert_eq!(resolver.kept.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_literal_is_its_own_address() {
        let resolver = Resolver::<Counting>::default();
        assert_eq!(ask(&resolver, "http://127.0.0.1:9/x"), ["127.0.0.1:9"]);
        assert_eq!(ask(&resolver, "https://[::1]"), ["[::1]:443"]);
        assert_eq!(ask(&resolver, "http://10.0.0.1"), ["10.0.0.1:80"]);
        assert_eq!(resolver.lookup.0.load(Ordering::Relaxed), 0);
    }
}
