//! The idempotency key of the Python SDK.

use molecule_plugin::digest::sha256_hex;
use molecule_proto::UnixTime;

/// Returns the key that the Python SDK gives a task in this minute: the SHA-256 of `<task>:<minute>`, in 64 lower-case
/// hexadecimal digits. It is for agents that share their delegations with a Python agent.
///
/// The key depends on neither the sender nor the target, and the platform keeps it as long as the delegation. The same
/// task for two peers within one minute is therefore one delegation, and the second peer never gets it.
///
/// ```
/// use molecule_core::python_idempotency_key;
/// use molecule_core::proto::UnixTime;
/// let key = python_idempotency_key("index the docs", UnixTime::from_secs(1_700_000_000));
/// assert_eq!(key, "110baf90e8f464306fcfa735280c62aa8b6481797d306cc62dcb565e21d529cf");
/// ```
#[doc(alias = "make_idempotency_key")]
pub fn python_idempotency_key(task: &str, at: UnixTime) -> String {
    // Python truncates the fraction towards zero before it rounds the seconds down to a minute.
    let secs = if at.as_secs() < 0 && at.subsec_nanos() > 0 { at.as_secs() + 1 } else { at.as_secs() };
    let minute = secs.div_euclid(60) * 60;
    sha256_hex(format!("{task}:{minute}"))
}
