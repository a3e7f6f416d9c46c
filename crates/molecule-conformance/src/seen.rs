//! The faults that real drivers gave.

use molecule_core::effect::{FaultKind, Phase, Sent};

/// Every kind of fault that a real driver gave in this suite, and whether the request may have arrived.
///
/// A simulated network may produce these and no others. `Host` and `Locked` are of the store's acts, and `Cancelled` is
/// said by a driver of its own accord.
pub const SEEN: &[(FaultKind, Sent)] = &[
    (FaultKind::Resolve, Sent::No),
    (FaultKind::OutOfReach, Sent::No),
    (FaultKind::Connect, Sent::No),
    (FaultKind::Tls, Sent::No),
    // Under TLS 1.3 a server may refuse the client when the handshake is over for the client.
    (FaultKind::Tls, Sent::Maybe),
    (FaultKind::CertificateTime, Sent::No),
    (FaultKind::NotTls, Sent::No),
    (FaultKind::Proxy, Sent::No),
    (FaultKind::ProxyAuth, Sent::No),
    (FaultKind::Timeout(Phase::Connect), Sent::No),
    (FaultKind::Timeout(Phase::Head), Sent::Maybe),
    (FaultKind::Timeout(Phase::Read), Sent::Maybe),
    (FaultKind::Timeout(Phase::Total), Sent::No),
    (FaultKind::Timeout(Phase::Total), Sent::Maybe),
    // Hyper alone: the connection closed before the request was written.
    (FaultKind::Interrupted, Sent::No),
    (FaultKind::Interrupted, Sent::Maybe),
    (FaultKind::Protocol, Sent::Maybe),
    (FaultKind::TooLarge, Sent::Maybe),
];
