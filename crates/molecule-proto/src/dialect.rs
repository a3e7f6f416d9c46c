//! The version of the server's wire format.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The server that a client talks to, or that a simulation plays. `Display` and JSON write the same name: `april`,
/// `current`.
///
/// A client learns it from an answer; until then its `Option<Dialect>` is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// The platform of April 2026.
    April,
    /// The platform of August 2026.
    Current,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::April => "april",
            Self::Current => "current",
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_has_one_name() {
        for (dialect, name) in [(Dialect::April, "april"), (Dialect::Current, "current")] {
            assert_eq!(dialect.to_string(), name);
            assert_eq!(serde_json::to_value(dialect).unwrap(), name);
            assert_eq!(serde_json::from_value::<Dialect>(name.into()).unwrap(), dialect);
        }
        assert!(serde_json::from_str::<Dialect>("\"unknown\"").is_err());
    }
}
