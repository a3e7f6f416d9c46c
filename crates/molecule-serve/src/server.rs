//! The life of a server: it opens, serves, drains and ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use molecule_core::machines::Inbound;
use molecule_core::{Error, Result, ServerOptions};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connection::Serving;
use crate::driver::Driver;
use crate::facade::{Facade, Hook};
use crate::listen::{bind, listen};
use crate::race::race;
use crate::tls::Tls;

/// How long a stop waits until the last answers are read.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Whether a server is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    No,
    /// After what it works on.
    Drain,
}

/// A server that is bound and does not serve yet.
pub(crate) struct Bound<F> {
    listener: TcpListener,
    driver: Arc<Driver<F>>,
    serving: Arc<Serving<Arc<Driver<F>>>>,
    pub(crate) local_addr: SocketAddr,
    pub(crate) url: String,
}

impl<F: Facade> Bound<F> {
    /// Checks the options and binds the address. It needs a runtime.
    ///
    /// # Errors
    /// `Config` if the options are not valid, or the address cannot be bound.
    pub(crate) fn new(facade: F, options: &ServerOptions, hook: Option<Hook>) -> Result<Self> {
        let address = options.check()?;
        let tls = Tls::new(options)?;
        let listener = bind(address).map_err(|error| cannot_bind(address, &error))?;
        let local_addr = listener.local_addr().map_err(|error| cannot_bind(address, &error))?;
        let inbound = Inbound::new(options, local_addr)?;
        let url = inbound.url().to_owned();
        let limits = options.limits_in_force().clone();
        let host = facade.host().apart();
        let driver = Driver::new(facade, host, inbound, hook, limits.upload_bytes as u64);
        let serving = Arc::new(Serving::new(Arc::clone(&driver), limits, tls));
        Ok(Self { listener, driver, serving, local_addr, url })
    }

    /// Serves until it is told to stop. `opened` is called when calls can come.
    pub(crate) async fn serve(self, mut stop: watch::Receiver<Stop>, opened: impl FnOnce()) {
        let Self { listener, driver, serving, .. } = self;
        let _ended = End(Arc::clone(&driver));
        driver.opened().await;
        opened();
        let mut connections = JoinSet::new();
        let stopped = async {
            // The sender is gone with the server's handle, which ends the server at once by other means.
            while *stop.borrow_and_update() == Stop::No {
                if stop.changed().await.is_err() {
                    return;
                }
            }
        };
        {
            let listening = async { match listen(listener, Arc::clone(&serving), &mut connections).await {} };
            race(race(stopped, driver.keep_time()), listening).await;
        }
        // The listener is closed. Each answer from now on says that its connection is closed, too.
        serving.drain();
        driver.drained().await;
        serving.connections.close();
        let _ = timeout(LAST_ANSWERS, serving.connections.all_left()).await;
    }
}

/// Ends what the server still works on when it is over, however it ended.
struct End<F: Facade>(Arc<Driver<F>>);

impl<F: Facade> Drop for End<F> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The error of a call outside a runtime.
#[cfg(feature = "async")]
pub(crate) fn runtime_is_missing() -> Error {
    Error::config(
        "there is no tokio runtime",
        "call it inside one, such as #[tokio::main] makes, with its time and net drivers on",
    )
}

fn cannot_bind(address: SocketAddr, error: &io::Error) -> Error {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "choose another port with bind(…), or port 0, or end the program that has it",
        io::ErrorKind::AddrNotAvailable => "choose an address of this machine with bind(…)",
        io::ErrorKind::PermissionDenied => "choose a port from 1024 on with bind(…)",
        _ => "choose another address with bind(…)",
    };
    Error::config(format!("the server cannot listen on {address}: {error}"), remedy)
}
