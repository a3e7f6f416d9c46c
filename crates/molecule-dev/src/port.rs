//! The port: bound before anything is written, and who has it if it is taken.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// The ports from 1024 on that browsers refuse to open (the WHATWG's Fetch standard, "port blocking").
const BLOCKED: [u16; 19] =
    [1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080];

/// Binds a port of 127.0.0.1; 0 is a free one.
pub(crate) fn bind(port: u16) -> io::Result<TcpListener> {
    if BLOCKED.contains(&port) {
        let text = format!("browsers open no page on port {port}: choose another with --port");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            let who = holder(port).map_or_else(|| "another program".to_owned(), |who| format!("the process {who}"));
            io::Error::new(
                error.kind(),
                format!("port {port} is taken by {who}: stop it, or choose another port with --port"),
            )
        }
        kind => io::Error::new(kind, format!("127.0.0.1:{port}: {error}")),
    })
}

/// Who listens on a port: number and name, as Linux tells it.
#[cfg(target_os = "linux")]
fn holder(port: u16) -> Option<String> {
    let socket = socket_of(&std::fs::read_to_string("/proc/net/tcp").ok()?, port)
        .or_else(|| socket_of(&std::fs::read_to_string("/proc/net/tcp6").ok()?, port))?;
    let wanted = format!("socket:[{socket}]");
    let is_number = |name: &std::ffi::OsStr| name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
    let processes = std::fs::read_dir("/proc").ok()?.flatten().filter(|entry| is_number(&entry.file_name()));
    for process in processes {
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        let has = files
            .flatten()
            .any(|file| std::fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()));
        if has {
            let number = process.file_name().to_string_lossy().into_owned();
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            let name: String = name.trim().chars().filter(|c| !c.is_control()).take(64).collect();
            return Some(format!("{number} ({name})"));
        }
    }
    None
}

#[cfg(not(target_os = "linux"))]
fn holder(_port: u16) -> Option<String> {
    None
}

/// The number of the socket that listens on a port, from the kernel's table.
#[cfg(target_os = "linux")]
fn socket_of(table: &str, port: u16) -> Option<String> {
    const LISTENS: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        let is_it = u16::from_str_radix(local, 16) == Ok(port) && *fields.get(3)? == LISTENS;
        if is_it { fields.get(9).map(|socket| (*socket).to_owned()) } else { None }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_port_that_is_taken_is_told_with_its_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = bind(port).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("--port"), "{error}");
        assert!(error.contains(&format!("the process {} (", std::process::id())), "{error}");
    }

    #[test]
    fn a_port_that_no_browser_opens_is_refused() {
        assert_eq!(bind(6000).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(bind(0).is_ok());
    }
}
