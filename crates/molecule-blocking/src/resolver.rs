//! Resolves names and caches the addresses for a while. The address that answered last is tried first.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use molecule_core::effect::connection::bare_host;
use molecule_core::effect::{Fault, FaultKind, Sent};
use molecule_core::machine::Now;
use molecule_host::Names;

use crate::dial::Deadline;

/// How long addresses are used before the name is looked up again.
const KEPT: Duration = Duration::from_secs(60);

/// The most names in the cache: some are peers', which strangers chose.
const MOST: usize = 1024;

/// The resolver of one client.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    names: Names,
    kept: Mutex<BTreeMap<HostPort, Cached>>,
}

/// A host in lower case, an IPv6 address without its brackets, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostPort(String, u16);

#[derive(Debug)]
struct Cached {
    since: Now,
    /// In the order in which they are tried.
    addresses: Vec<SocketAddr>,
    /// The one that answered last.
    worked: Option<SocketAddr>,
}

impl HostPort {
    /// A host as it stands in a URL.
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self(bare_host(host).to_ascii_lowercase(), port)
    }

    pub(crate) fn host(&self) -> &str {
        &self.0
    }
}

impl Resolver {
    pub(crate) fn new(names: Names) -> Self {
        Self { names, kept: Mutex::default() }
    }

    /// The addresses of a host and port: the one that answered last, then the others in the order in which the look-up gave them.
    ///
    /// # Errors
    /// `Resolve` if there is none, `Timeout` if the look-up takes longer than the deadline.
    pub(crate) fn addresses(&self, remote: &HostPort, now: Now, deadline: Deadline) -> Result<Vec<SocketAddr>, Fault> {
        if let Ok(literal) = remote.0.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(literal, remote.1)]);
        }
        if let Some(kept) = self.kept().get(remote).filter(|kept| now.since(kept.since) < KEPT) {
            return Ok(kept.addresses.clone());
        }
        let mut addresses = look_up(&self.names, remote, deadline)?;
        if addresses.is_empty() {
            return Err(unresolved("it has no address"));
        }
        let mut all = self.kept();
        let worked = all.remove(remote).and_then(|kept| kept.worked);
        prefer(&mut addresses, worked);
        all.retain(|_, kept| now.since(kept.since) < KEPT);
        if all.len() >= MOST
            && let Some(any) = all.keys().next().cloned()
        {
            all.remove(&any);
        }
        all.insert(remote.clone(), Cached { since: now, addresses: addresses.clone(), worked });
        Ok(addresses)
    }

    /// Remembers the address that answered: it is tried first from now on, also after the next look-up.
    pub(crate) fn worked(&self, remote: &HostPort, address: SocketAddr) {
        if let Some(kept) = self.kept().get_mut(remote) {
            kept.worked = Some(address);
            prefer(&mut kept.addresses, kept.worked);
        }
    }

    /// Removes a name from the cache, since none of its addresses could be connected to: the name may have moved.
    pub(crate) fn forget(&self, remote: &HostPort) {
        self.kept().remove(remote);
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<HostPort, Cached>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves an address to the front, if it is among them.
fn prefer(addresses: &mut [SocketAddr], first: Option<SocketAddr>) {
    if let Some(at) = addresses.iter().position(|address| Some(*address) == first) {
        addresses[..=at].rotate_right(1);
    }
}

/// Looks a name up on a thread of its own, since a look-up takes no limit.
fn look_up(names: &Names, remote: &HostPort, deadline: Deadline) -> Result<Vec<SocketAddr>, Fault> {
    let (tell, told) = channel();
    let (names, HostPort(host, port)) = (names.clone(), remote.clone());
    let look_up = move || {
        // The receiver is gone if the deadline passed.
        let _ = tell.send(names.look_up(&host, port));
    };
    thread::Builder::new().name("molecule-lookup".to_owned()).spawn(look_up).map_err(unresolved)?;
    match told.recv_timeout(deadline.left()) {
        Ok(found) => found.map_err(unresolved),
        Err(RecvTimeoutError::Timeout) => Err(deadline.passed()),
        Err(RecvTimeoutError::Disconnected) => Err(unresolved("the lookup ended without an answer")),
    }
}

fn unresolved(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    Fault::with_source(Sent::No, FaultKind::Resolve, cause)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use molecule_core::effect::Phase;
    use molecule_core::proto::{Time, UnixTime};

    use super::*;

    /// Both clocks, in seconds.
    fn at(mono: u64, unix: i64) -> Now {
        Now { mono: Time::ZERO + Duration::from_secs(mono), unix: UnixTime::from_secs(unix) }
    }

    /// A lookup that counts, and finds this many addresses, 192.0.2.0 first.
    fn counting(addresses: u8) -> (Resolver, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let names = move |_: &str, port| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok((0..addresses).map(|last| SocketAddr::from(([192, 0, 2, last], port))).collect())
        };
        (Resolver::new(Names::given(names)), asked)
    }

    fn ask(resolver: &Resolver, host: &str, port: u16, now: Now) -> Vec<String> {
        let deadline = Deadline::new(std::time::Instant::now(), Duration::from_secs(10), Phase::Connect);
        let found = resolver.addresses(&HostPort::new(host, port), now, deadline).unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_is_looked_up_once_and_all_its_addresses_are_kept() {
        let (resolver, asked) = counting(40);
        for _ in 0..100 {
            let found = ask(&resolver, "host.example", 443, at(100, 1000));
            assert_eq!((found.len(), found[0].as_str(), found[39].as_str()), (40, "192.0.2.0:443", "192.0.2.39:443"));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        ask(&resolver, "HOST.example", 443, at(100, 1000));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        ask(&resolver, "host.example", 8443, at(100, 1000));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn addresses_are_too_old_by_whichever_clock_says_so() {
        for (later, asks) in
            [(at(159, 1059), 1), (at(160, 1060), 2), (at(101, 1060), 2), (at(160, 900), 2), (at(101, 900), 1)]
        {
            let (resolver, asked) = counting(2);
            ask(&resolver, "host.example", 443, at(100, 1000));
            ask(&resolver, "host.example", 443, later);
            assert_eq!(asked.load(Ordering::Relaxed), asks, "{later:?}");
            assert_eq!(resolver.kept().len(), 1);
        }
    }

    #[test]
    fn the_address_that_answered_last_is_tried_first_also_after_the_next_lookup() {
        let (resolver, asked) = counting(4);
        let remote = HostPort::new("host.example", 443);
        ask(&resolver, "host.example", 443, at(100, 1000));
        resolver.worked(&remote, "192.0.2.2:443".parse().unwrap());
        let preferred = ["192.0.2.2:443", "192.0.2.0:443", "192.0.2.1:443", "192.0.2.3:443"];
        assert_eq!(ask(&resolver, "host.example", 443, at(101, 1001)), preferred);
        assert_eq!(ask(&resolver, "host.example", 443, at(200, 1100)), preferred);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn after_a_failed_connect_the_name_is_looked_up_again() {
        let (resolver, asked) = counting(2);
        ask(&resolver, "host.example", 443, at(100, 1000));
        resolver.forget(&HostPort::new("host.example", 443));
        ask(&resolver, "host.example", 443, at(100, 1000));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_literal_is_its_own_address() {
        let (resolver, asked) = counting(2);
        assert_eq!(ask(&resolver, "127.0.0.1", 9, at(1, 1)), ["127.0.0.1:9"]);
        assert_eq!(ask(&resolver, "[::1]", 443, at(1, 1)), ["[::1]:443"]);
        assert_eq!(asked.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn strangers_names_fill_no_memory() {
        let (resolver, _) = counting(1);
        for number in 0..2 * MOST {
            ask(&resolver, &format!("{number}.example"), 443, at(100, 1000));
        }
        assert!(resolver.kept().len() <= MOST);
    }
}
