//! The listener: it accepts connections while there is room for them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use molecule_host::keep_alive;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::connection::{Serving, serve};
use crate::service::Service;

/// How many connections the system holds until they are accepted.
const BACKLOG: u32 = 1024;

/// How long the listener waits after an error that is its own, such as too many open files.
const AFTER_ERROR: Duration = Duration::from_millis(100);

/// Binds an address. It needs a runtime.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A port of a server that was just stopped is free at once. On Windows the option would let others take the port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections and serves each in a task of its own, until this is dropped; the tasks are aborted then.
pub(crate) async fn listen<S: Service>(
    listener: TcpListener,
    serving: Arc<Serving<S>>,
    tasks: &mut JoinSet<()>,
) -> std::convert::Infallible {
    loop {
        let accepted = listener.accept().await;
        while tasks.try_join_next().is_some() {}
        match accepted {
            Ok((stream, from)) => {
                serving.connections.room().await;
                begin(&serving, tasks, stream, from);
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(_) => {
                serving.connections.make_room();
                sleep(AFTER_ERROR).await;
            }
        }
    }
}

fn begin<S: Service>(serving: &Arc<Serving<S>>, tasks: &mut JoinSet<()>, stream: TcpStream, from: SocketAddr) {
    let slot = serving.connections.enter(from.ip());
    // Answers are written as a whole.
    let _ = stream.set_nodelay(true);
    // A machine that is gone without a word is noticed.
    keep_alive(&stream);
    tasks.spawn(serve(Arc::clone(serving), slot, stream, from.ip()));
}

/// Whether the error is that of a connection that ended before it was accepted.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
