//! Socket options that std cannot set, and the errors of a closed connection; both facades use them.

use std::io;

use molecule_core::effect::connection::{KEEPALIVE_IDLE, KEEPALIVE_INTERVAL};

/// Turns on TCP keepalive, so that the operating system detects by itself that the peer is gone, for example behind a
/// router that lost the connection, or after this machine slept. It probes an idle connection ([`KEEPALIVE_IDLE`],
/// [`KEEPALIVE_INTERVAL`]), and closes a connection on which nothing is acknowledged for
/// [`UNACKNOWLEDGED`](molecule_core::effect::connection::UNACKNOWLEDGED).
///
/// An option that the system does not know is skipped.
#[cfg(unix)]
pub fn keep_alive(socket: &impl std::os::fd::AsFd) {
    use rustix::net::sockopt;

    let socket = socket.as_fd();
    let _ = sockopt::set_socket_keepalive(socket, true);
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "freebsd"))]
    {
        use molecule_core::effect::connection::UNACKNOWLEDGED;

        let unanswered = UNACKNOWLEDGED.saturating_sub(KEEPALIVE_IDLE).as_secs() / KEEPALIVE_INTERVAL.as_secs().max(1);
        let _ = sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE);
        let _ = sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL);
        let _ = sockopt::set_tcp_keepcnt(socket, u32::try_from(unanswered).unwrap_or(1).max(1));
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let _ = sockopt::set_tcp_user_timeout(socket, u32::try_from(UNACKNOWLEDGED.as_millis()).unwrap_or(u32::MAX));
    }
}

/// Turns on TCP keepalive: the operating system probes the peer of an idle connection ([`KEEPALIVE_IDLE`],
/// [`KEEPALIVE_INTERVAL`]).
#[cfg(windows)]
pub fn keep_alive(socket: &impl std::os::windows::io::AsSocket) {
    let asking = socket2::TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    let _ = socket2::SockRef::from(socket).set_tcp_keepalive(&asking);
}

/// Returns whether an error means that the peer of the connection is gone.
pub fn is_cut(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use molecule_core::effect::connection::UNACKNOWLEDGED;
    use rustix::net::sockopt;

    use super::*;

    #[test]
    fn an_idle_connection_is_asked_after_30_s_and_given_up_after_a_minute() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        keep_alive(&stream);
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), KEEPALIVE_IDLE);
        assert_eq!(sockopt::tcp_keepintvl(&stream).unwrap(), KEEPALIVE_INTERVAL);
        assert_eq!(sockopt::tcp_keepcnt(&stream).unwrap(), 2);
        assert_eq!(u128::from(sockopt::tcp_user_timeout(&stream).unwrap()), UNACKNOWLEDGED.as_millis());
        assert_eq!((KEEPALIVE_IDLE.as_secs(), KEEPALIVE_INTERVAL.as_secs(), UNACKNOWLEDGED.as_secs()), (30, 15, 60));
    }
}
