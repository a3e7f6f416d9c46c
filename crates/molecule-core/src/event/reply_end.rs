//! The end of a reply.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::printable::Printable;

/// The end of a reply to a message.
///
/// As JSON it is an object with `end`, the variant's name (`given_up`), and `why`, where there is a reason. Variants may
/// be added: give a `match` an arm for unknown variants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", content = "why", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReplyEnd {
    /// The peer has the reply, or finds it in its feed; or the user's chat shows it.
    Delivered,
    /// The peer is busy or not ready. The reply is in the platform's queue, which delivers it.
    Queued,
    /// The platform or the peer refused the reply, for this reason. It is not sent again.
    Refused(String),
    /// The reply could not be delivered for 24 hours, or it is unknown whether it was and another try might show it
    /// twice. The text is the last error.
    GivenUp(String),
}

impl ReplyEnd {
    /// Returns whether the reply was or will be delivered.
    pub fn is_taken(&self) -> bool {
        match self {
            Self::Delivered | Self::Queued => true,
            Self::Refused(_) | Self::GivenUp(_) => false,
        }
    }
}

impl fmt::Display for ReplyEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The reasons contain the words of the platform or of a peer.
        let mut f = Printable::line(f);
        match self {
            Self::Delivered => f.write_str("delivered"),
            Self::Queued => f.write_str("queued"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::GivenUp(why) => write!(f, "given up: {why}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_clause_for_people_and_a_record_for_logs() {
        for (end, text, record) in [
            (ReplyEnd::Delivered, "delivered", r#"{"end":"delivered"}"#),
            (ReplyEnd::Queued, "queued", r#"{"end":"queued"}"#),
            (ReplyEnd::Refused("no\nway".to_owned()), r"refused: no\nway", r#"{"end":"refused","why":"no\nway"}"#),
            (ReplyEnd::GivenUp("503".to_owned()), "given up: 503", r#"{"end":"given_up","why":"503"}"#),
        ] {
            assert_eq!(end.to_string(), text);
            assert_eq!(serde_json::to_string(&end).unwrap(), record);
            assert_eq!(serde_json::from_str::<ReplyEnd>(record).unwrap(), end);
            assert_eq!(end.is_taken(), matches!(text, "delivered" | "queued"));
        }
    }
}
