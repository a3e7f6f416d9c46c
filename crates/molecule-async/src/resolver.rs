//! Resolves names, each look-up on a thread of its own.
//!
//! The operating system's look-up blocks, and for long if no name server answers. On the runtime's threads for blocking work, which
//! are limited, hung look-ups would hold up acts of the host, and the end of the runtime.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use molecule_host::Names;
use tokio::sync::watch;

/// How long a look-up is shared with those who ask for the same name. Later ones look the name up again: the network may have changed,
/// and the first look-up may hang in the old one.
const SHARED: Duration = Duration::from_secs(5);

/// The resolver of one client.
pub(crate) struct Resolver(Arc<Shared>);

struct Shared {
    names: Names,
    in_flight: Mutex<HashMap<Name, LookUp>>,
}

/// A host in lower case, and a port.
type Name = (String, u16);

/// The result of a look-up; `None` while it is in flight.
type Found = Option<Result<Vec<SocketAddr>, Arc<io::Error>>>;

struct LookUp {
    since: Instant,
    found: watch::Receiver<Found>,
}

impl Resolver {
    pub(crate) fn new(names: Names) -> Self {
        Self(Arc::new(Shared { names, in_flight: Mutex::default() }))
    }

    /// The addresses of a host, an IPv6 address without its brackets.
    pub(crate) async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Arc<io::Error>> {
        if let Ok(literal) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(literal, port)]);
        }
        let mut found = self.look_up((host.to_ascii_lowercase(), port)).map_err(Arc::new)?;
        match found.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(found)) => found.clone(),
            Ok(None) | Err(_) => Err(Arc::new(io::Error::other("the look-up panicked"))),
        }
    }

    /// Begins a look-up, or joins one.
    fn look_up(&self, name: Name) -> io::Result<watch::Receiver<Found>> {
        let mut in_flight = self.0.in_flight();
        if let Some(look_up) = in_flight.get(&name).filter(|look_up| look_up.since.elapsed() < SHARED) {
            return Ok(look_up.found.clone());
        }
        let (sender, found) = watch::channel(None);
        let ends = Ends { shared: self.0.clone(), name: name.clone(), since: Instant::now() };
        let since = ends.since;
        thread::Builder::new().name("molecule-look-up".to_owned()).spawn(move || {
            let found = ends.shared.names.look_up(&ends.name.0, ends.name.1).map_err(Arc::new);
            drop(ends);
            sender.send_replace(Some(found));
        })?;
        in_flight.insert(name, LookUp { since, found: found.clone() });
        Ok(found)
    }
}

impl Shared {
    fn in_flight(&self) -> MutexGuard<'_, HashMap<Name, LookUp>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a look-up off the list when its thread ends, also by a panic.
struct Ends {
    shared: Arc<Shared>,
    name: Name,
    since: Instant,
}

impl Drop for Ends {
    fn drop(&mut self) {
        let mut in_flight = self.shared.in_flight();
        if in_flight.get(&self.name).is_some_and(|look_up| look_up.since == self.since) {
            in_flight.remove(&self.name);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

    /// A resolver whose look-ups of `hung.example` end when the sender is used or dropped, and how many look-ups began.
    fn resolver() -> (Resolver, mpsc::Sender<()>, Arc<AtomicUsize>) {
        let (go, gate) = mpsc::channel();
        let (gate, begun) = (Mutex::new(gate), Arc::<AtomicUsize>::default());
        let count = begun.clone();
        let given = move |host: &str, _: u16| {
            count.fetch_add(1, Ordering::SeqCst);
            if host == "hung.example" {
                let _ = gate.lock().unwrap().recv();
            }
            assert_ne!(host, "panic.example");
            Ok(vec![HERE])
        };
        (Resolver::new(Names::given(given)), go, begun)
    }

    #[tokio::test]
    async fn those_who_ask_the_same_share_a_look_up() {
        let (resolver, go, begun) = resolver();
        let asking: Vec<_> = (0..100).map(|_| resolver.look_up(("hung.example".to_owned(), 9)).unwrap()).collect();
        // A hung one holds up no other.
        assert_eq!(resolver.addresses("other.example", 9).await.unwrap(), [HERE]);
        drop(go);
        for mut one in asking {
            let found = one.wait_for(Option::is_some).await.unwrap().clone();
            assert_eq!(found.unwrap().unwrap(), [HERE]);
        }
        assert_eq!(begun.load(Ordering::SeqCst), 2);
        // Nothing is kept.
        resolver.addresses("Hung.example", 9).await.unwrap();
        assert_eq!(begun.load(Ordering::SeqCst), 3);
        assert!(resolver.0.in_flight().is_empty());
    }

    #[tokio::test]
    async fn a_look_up_that_hangs_for_long_is_waited_for_by_nobody_new() {
        let (resolver, go, begun) = resolver();
        let name = || ("hung.example".to_owned(), 9);
        let mut first = resolver.look_up(name()).unwrap();
        let long_ago = Instant::now().checked_sub(SHARED).unwrap();
        resolver.0.in_flight().get_mut(&name()).unwrap().since = long_ago;
        let mut second = resolver.look_up(name()).unwrap();
        assert!(!first.same_channel(&second));
        assert!(second.same_channel(&resolver.look_up(name()).unwrap()));
        // Either look-up may be the one that is let go first.
        go.send(()).unwrap();
        go.send(()).unwrap();
        first.wait_for(Option::is_some).await.unwrap();
        second.wait_for(Option::is_some).await.unwrap();
        assert_eq!(begun.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_look_up_that_panics_is_an_error_and_leaves_nothing() {
        let (resolver, _go, _begun) = resolver();
        let error = resolver.addresses("panic.example", 9).await.unwrap_err();
        assert!(error.to_string().contains("panicked"), "{error}");
        assert!(resolver.0.in_flight().is_empty());
    }

    #[tokio::test]
    async fn a_literal_is_its_own_address() {
        let (resolver, _go, begun) = resolver();
        assert_eq!(resolver.addresses("127.0.0.1", 9).await.unwrap(), [HERE]);
        assert_eq!(resolver.addresses("::1", 9).await.unwrap(), ["[::1]:9".parse().unwrap()]);
        assert_eq!(begun.load(Ordering::SeqCst), 0);
    }
}
