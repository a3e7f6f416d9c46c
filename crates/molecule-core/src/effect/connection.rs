//! The rules for which connection may carry a request and which addresses it may reach, the same for both drivers.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

pub use crate::config::http_url::bare_host;
use crate::error::fault::{Fault, FaultKind, Sent};

/// How long a connection may be idle before it is closed: longer than the interval of heartbeats, shorter than most
/// servers keep one open.
pub const KEPT: Duration = Duration::from_secs(90);

/// How long ago the last answer on a pooled connection may be for a request that must not be sent on a dead one.
pub const HEARD: Duration = Duration::from_secs(5);

/// How long the connect to one address of a host runs alone before the connect to the next address starts beside it.
pub const STAGGER: Duration = Duration::from_millis(250);

/// How long a TCP connection is idle before the first keepalive probe (`TCP_KEEPIDLE`).
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// The time between two keepalive probes (`TCP_KEEPINTVL`).
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// How long data or a keepalive probe may stay unacknowledged before the connection is given up, on operating systems
/// that have such a limit (`TCP_USER_TIMEOUT`).
pub const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// Whether a request that may have arrived may be sent again. This is a property of the endpoint, not of its method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Repeat {
    /// It may be sent again: to repeat it does no harm.
    Always,
    /// It may be sent again only if it certainly was not sent, or if the server turned it away unhandled.
    OnlyUnsent,
}

/// Which addresses a request may reach. A driver checks each address that a name resolved to, and checks again once it
/// is connected.
///
/// The address of a proxy is not checked, since the agent's owner chose it. Only the proxy knows the addresses of the
/// hosts behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// All addresses: the agent's owner chose the host.
    Anywhere,
    /// Public addresses of other machines: a stranger chose the host.
    Public,
    /// Public addresses and this machine: a stranger chose the host, and the platform is on this machine too.
    PublicOrLoopback,
}

impl Reach {
    /// Returns whether an address may be connected to.
    pub fn admits(self, remote: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Public => is_public(remote),
            Self::PublicOrLoopback => is_public(remote) || remote.to_canonical().is_loopback(),
        }
    }

    /// Returns whether a request may be sent over a connection between these two addresses. They are equal where a
    /// machine connects to itself at a public address of its own.
    pub fn admits_connection(self, local: IpAddr, remote: IpAddr) -> bool {
        self.admits(remote) && (self != Self::Public || local.to_canonical() != remote.to_canonical())
    }

    /// Returns those of a host's addresses that may be connected to, in the given order.
    ///
    /// # Errors
    /// `Resolve` if there is no address, `OutOfReach` if none of them may be connected to.
    pub fn admitted(self, host: &str, mut addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Fault> {
        let Some(first) = addresses.first().copied() else {
            return Err(Fault::with_source(Sent::No, FaultKind::Resolve, "it has no address"));
        };
        addresses.retain(|address| self.admits(address.ip()));
        if addresses.is_empty() { Err(self.fault(host, first.ip())) } else { Ok(addresses) }
    }

    /// Checks the two ends of a connection to a host. A driver calls it before it sends a request over the connection.
    ///
    /// # Errors
    /// `OutOfReach` if the request may not be sent.
    pub fn check_connection(self, host: &str, local: IpAddr, remote: IpAddr) -> Result<(), Fault> {
        if self.admits_connection(local, remote) { Ok(()) } else { Err(self.fault(host, remote)) }
    }

    fn fault(self, host: &str, remote: IpAddr) -> Fault {
        let cause = format!("{host} leads to {remote}, where no peer is called");
        Fault::with_source(Sent::No, FaultKind::OutOfReach, cause)
    }
}

/// Returns whether an address may belong to another machine on the internet. Addresses of this machine, of private
/// networks, of cloud metadata services and of reserved ranges do not.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    // Azure's metadata service has this address on every machine.
    const AZURE: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
    let is_special = match address.octets() {
        // "This network" (0/8), private (10/8), loopback.
        [0 | 10 | 127, ..] => true,
        // Carrier-grade NAT (100.64/10); one cloud has its metadata service there.
        [100, second, ..] => second & 0xc0 == 64,
        // Link-local; most clouds have their metadata service there.
        [169, 254, ..] => true,
        [172, second, ..] => second & 0xf0 == 16,
        // Protocol assignments, documentation, private.
        [192, 0, 0 | 2, _] | [192, 168, ..] => true,
        // Benchmarks, documentation.
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        // Multicast, reserved, broadcast.
        [224..=255, ..] => true,
        _ => false,
    };
    !is_special && address != AZURE
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // NAT64 and 6to4 addresses lead to the IPv4 address that they contain.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        // Protocol assignments (Teredo among them), documentation.
        [0x2001, second, ..] => second > 0x1ff && second != 0xdb8,
        [0x3fff, second, ..] => second > 0xfff,
        // Global unicast (2000::/3). No other range belongs to other machines on the internet.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_another_machines() {
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "93.184.216.34",
            "100.63.255.255",
            "100.128.0.0",
            "126.0.0.1",
            "128.0.0.1",
            "168.63.129.15",
            "169.253.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2606:2800::1",
            "2002:5db8:d822::1",
            "64:ff9b::5db8:d822",
            "::ffff:93.184.216.34",
            "3ffe::1",
        ] {
            let address: IpAddr = public.parse().unwrap();
            assert!(Reach::Public.admits(address) && Reach::PublicOrLoopback.admits(address), "{public}");
        }
        for other in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.7",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::7f00:1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
            "2002:a00:7::",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "::ffff:10.0.0.7",
            "::ffff:169.254.169.254",
        ] {
            let address: IpAddr = other.parse().unwrap();
            assert!(!Reach::Public.admits(address) && !Reach::PublicOrLoopback.admits(address), "{other}");
            assert!(Reach::Anywhere.admits(address), "{other}");
        }
        for here in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            let address: IpAddr = here.parse().unwrap();
            assert!(!Reach::Public.admits(address) && Reach::PublicOrLoopback.admits(address), "{here}");
        }
    }

    #[test]
    fn a_machine_that_calls_itself_at_a_public_address_is_noticed_once_connected() {
        let own: IpAddr = "93.184.216.34".parse().unwrap();
        let same: IpAddr = "::ffff:93.184.216.34".parse().unwrap();
        let other: IpAddr = "93.184.216.35".parse().unwrap();
        assert!(!Reach::Public.admits_connection(own, own) && !Reach::Public.admits_connection(own, same));
        assert!(Reach::Public.admits_connection(other, own));
        assert!(Reach::PublicOrLoopback.admits_connection(own, own) && Reach::Anywhere.admits_connection(own, own));
        let here: IpAddr = "127.0.0.1".parse().unwrap();
        assert!(!Reach::Public.admits_connection(here, here) && Reach::PublicOrLoopback.admits_connection(here, here));
    }

    #[test]
    fn a_host_without_an_address_that_may_be_reached_is_a_fault_that_names_the_first() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let all = addresses(&["10.0.0.7:443", "93.184.216.34:443", "127.0.0.1:443", "1.1.1.1:443"]);
        assert_eq!(Reach::Anywhere.admitted("peer.example", all.clone()).unwrap(), all);
        assert_eq!(Reach::Public.admitted("peer.example", all.clone()).unwrap(), [all[1], all[3]]);
        let fault = Reach::Public.admitted("peer.example", addresses(&["10.0.0.7:443", "127.0.0.1:443"])).unwrap_err();
        assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::OutOfReach));
        assert!(fault.source.unwrap().to_string().contains("peer.example leads to 10.0.0.7"));
        let fault = Reach::Anywhere.admitted("peer.example", Vec::new()).unwrap_err();
        assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Resolve));
        let own = all[1].ip();
        assert_eq!(Reach::Public.check_connection("peer.example", own, own).unwrap_err().kind, FaultKind::OutOfReach);
        assert!(Reach::Public.check_connection("peer.example", all[0].ip(), own).is_ok());
    }
}
