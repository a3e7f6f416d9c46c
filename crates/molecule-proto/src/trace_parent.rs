//! The trace context that travels with a message (W3C Trace Context, `traceparent`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A position in a distributed trace: the value of a `traceparent` (W3C Trace Context, level 2).
///
/// The platform's proxy drops headers, so that the value travels in `params.message.metadata.traceparent`
/// ([`Message::with_trace_parent`](crate::Message::with_trace_parent)). It travels with no delegation, since the platform
/// writes that message itself and takes nothing but the task (contract section 14.1). It is written as version 00: `00-<trace id>-<parent id>-<flags>`, all of it in lower-case
/// hexadecimal digits. A value of a later version is read as far as version 00 goes. Flags that the standard does not
/// define are read as 0.
///
/// ```
/// use molecule_proto::TraceParent;
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent: TraceParent = text.parse()?;
/// assert!(parent.is_sampled());
/// assert_eq!(parent.to_string(), text);
/// assert!("00-00000000000000000000000000000000-00f067aa0ba902b7-01".parse::<TraceParent>().is_err());
/// # Ok::<(), molecule_proto::TraceParentError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent {
    trace_id: [u8; 16],
    parent_id: [u8; 8],
    flags: u8,
}

impl TraceParent {
    /// The key of a message's metadata under which the value travels.
    pub const KEY: &str = "traceparent";

    /// The caller records this trace.
    const SAMPLED: u8 = 0x01;
    /// The trace id was drawn at random.
    const RANDOM: u8 = 0x02;
    /// The length of a value of version 00.
    const LENGTH: usize = 55;

    /// Makes a value of ids that a tracer drew.
    ///
    /// # Errors
    /// [`TraceParentError`] if one of the ids is all zero.
    pub fn new(trace_id: [u8; 16], parent_id: [u8; 8], is_sampled: bool) -> Result<Self, TraceParentError> {
        if trace_id == [0; 16] || parent_id == [0; 8] {
            return Err(TraceParentError);
        }
        Ok(Self { trace_id, parent_id, flags: if is_sampled { Self::SAMPLED } else { 0 } })
    }

    /// The id of the whole trace.
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The id of the span that sent the message.
    pub fn parent_id(&self) -> [u8; 8] {
        self.parent_id
    }

    /// Returns whether the sender records this trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & Self::SAMPLED != 0
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        read(text).ok_or(TraceParentError)
    }
}

fn read(text: &str) -> Option<TraceParent> {
    let bytes = text.as_bytes();
    // What a later version adds stands behind another hyphen.
    let known = bytes.get(..TraceParent::LENGTH)?;
    let is_longer = bytes.len() > TraceParent::LENGTH;
    if [2, 35, 52].iter().any(|at| known[*at] != b'-') || (is_longer && bytes[TraceParent::LENGTH] != b'-') {
        return None;
    }
    let [version] = digits(&known[..2])?;
    if version == 0xff || (version == 0 && is_longer) {
        return None;
    }
    let [flags] = digits(&known[53..])?;
    let (trace_id, parent_id) = (digits(&known[3..35])?, digits(&known[36..52])?);
    let flags = flags & (TraceParent::SAMPLED | TraceParent::RANDOM);
    (trace_id != [0; 16] && parent_id != [0; 8]).then_some(TraceParent { trace_id, parent_id, flags })
}

/// Reads lower-case hexadecimal digits, two for each byte.
fn digits<const LENGTH: usize>(text: &[u8]) -> Option<[u8; LENGTH]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; LENGTH];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.parent_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", self.flags)
    }
}

impl TryFrom<String> for TraceParent {
    type Error = TraceParentError;

    fn try_from(text: String) -> Result<Self, TraceParentError> {
        text.parse()
    }
}

impl From<TraceParent> for String {
    fn from(parent: TraceParent) -> String {
        parent.to_string()
    }
}

/// The error for a text that is no `traceparent`, or ids that are all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a traceparent such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01: version, trace id, parent \
     id and flags in lower-case hexadecimal digits, and no id of zeros"
)]
pub struct TraceParentError;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_value_of_version_00_is_written_as_it_was_read() {
        for flags in ["00", "01", "02", "03"] {
            let text = format!("00-{TRACE}-{SPAN}-{flags}");
            let parent: TraceParent = text.parse().unwrap();
            assert_eq!(parent.to_string(), text);
            assert_eq!(serde_json::to_value(parent).unwrap(), text);
            assert_eq!(serde_json::from_value::<TraceParent>(text.into()).unwrap(), parent);
            assert_eq!(TraceParent::new(parent.trace_id(), parent.parent_id(), true).unwrap().trace_id()[0], 0x4b);
        }
    }

    #[test]
    fn a_later_version_is_read_as_version_00() {
        for (text, flags) in [
            (format!("01-{TRACE}-{SPAN}-01"), "01"),
            (format!("cc-{TRACE}-{SPAN}-01-what-the-future-brings"), "01"),
            (format!("fe-{TRACE}-{SPAN}-ff-"), "03"),
            (format!("00-{TRACE}-{SPAN}-fc"), "00"),
        ] {
            assert_eq!(
                text.parse::<TraceParent>().unwrap().to_string(),
                format!("00-{TRACE}-{SPAN}-{flags}"),
                "{text}"
            );
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let zeros = "0".repeat(32);
        for text in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-0"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("cc-{TRACE}-{SPAN}-01.more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00_{TRACE}-{SPAN}-01"),
            format!("0x-{TRACE}-{SPAN}-01"),
            format!(" 00-{TRACE}-{SPAN}-0"),
            format!("00-{}é-{SPAN}-01", &TRACE[..30]),
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(TraceParentError), "{text}");
        }
        assert_eq!(TraceParent::new([0; 16], [1; 8], true), Err(TraceParentError));
        assert_eq!(TraceParent::new([1; 16], [0; 8], true), Err(TraceParentError));
    }
}
