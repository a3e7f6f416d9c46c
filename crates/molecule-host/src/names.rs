//! The resolver of host names.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

/// The operating system's look-up, or a function that replaces it in a test. Clones share the function.
#[derive(Clone, Default)]
pub struct Names(Option<Arc<Given>>);

type Given = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

impl Names {
    /// Creates a resolver from a function.
    pub fn given(names: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(names)))
    }

    /// Looks up the addresses of a host and port. Without a reachable name server it may block for long, and it takes
    /// no timeout.
    ///
    /// # Errors
    /// The error of the operating system, or of the function.
    pub fn look_up(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match &self.0 {
            None => Ok((host, port).to_socket_addrs()?.collect()),
            Some(names) => names(host, port),
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_none() { "Names(system)" } else { "Names(given)" })
    }
}
