//! What a service manager is told: a datagram to the socket that `NOTIFY_SOCKET` names (`sd_notify(3)`).

/// Says something to the service manager, if there is one. It may be gone, which changes nothing.
#[cfg(target_os = "linux")]
pub(super) fn say(text: &str) {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        _ => SocketAddr::from_pathname(&name),
    };
    if let (Ok(socket), Ok(address)) = (UnixDatagram::unbound(), address) {
        let _ = socket.send_to_addr(text.as_bytes(), &address);
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn say(_: &str) {}

/// Says that the configuration is read again (`Type=notify-reload`). `READY=1` is to follow.
#[cfg(target_os = "linux")]
pub(super) fn reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
    say(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
}

#[cfg(not(target_os = "linux"))]
pub(super) fn reloading() {}

/// How often a service manager wants to hear of this process, if it does (`WATCHDOG_USEC`, `WATCHDOG_PID`).
pub(super) fn watchdog() -> Option<std::time::Duration> {
    let var = |name: &str| std::env::var(name).ok();
    if var("WATCHDOG_PID").is_some_and(|pid| pid.parse() != Ok(std::process::id())) {
        return None;
    }
    let micros: u64 = var("WATCHDOG_USEC")?.parse().ok()?;
    Some(std::time::Duration::from_micros(micros)).filter(|interval| !interval.is_zero())
}
