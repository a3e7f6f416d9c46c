//! Where the addresses of names come from.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

/// The operating system's look-up, or a function that stands for it in a test. Clones share that.
#[derive(Clone, Default)]
pub struct Names(Option<Arc<Given>>);

type Given = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

impl Names {
    /// Those of this function.
    pub fn given(names: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(names)))
    }

    /// The addresses of a host and port. It may wait for long, where no name server answers, and cannot be given a limit.
    ///
    /// # Errors
    /// What the operating system says, or the function.
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
