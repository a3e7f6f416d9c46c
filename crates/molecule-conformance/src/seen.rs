//! The list of faults that real drivers reported.

use molecule_core::effect::{FaultKind, Phase, Sent};

/// Every kind of fault that a real driver reported in this suite, and whether the request may have arrived.
///
/// A simulated network may report these and no others. `Host` and `Locked` belong to store operations, and a driver
/// reports `Cancelled` itself.
pub const SEEN: &[(FaultKind, Sent)] = &[
    (FaultKind::Resolve, Sent::No),
    (FaultKind::OutOfReach, Sent::No),
    (FaultKind::Connect, Sent::No),
    (FaultKind::Tls, Sent::No),
    // Under TLS 1.3 the server may refuse the client after the client's handshake is over.
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
    // Only hyper reports this: the connection closed before the request was written.
    (FaultKind::Interrupted, Sent::No),
    (FaultKind::Interrupted, Sent::Maybe),
    (FaultKind::Protocol, Sent::Maybe),
    (FaultKind::TooLarge, Sent::Maybe),
];
