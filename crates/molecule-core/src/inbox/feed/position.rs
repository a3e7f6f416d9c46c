//! A position in the feed, which an agent keeps over restarts.

use molecule_proto::{ActivityId, UnixTime};
use serde::{Deserialize, Serialize};

use crate::endpoint::RowPlace;

/// A position in the feed: the rows up to it need nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub(crate) enum Position {
    /// Before the first row of the feed.
    Beginning,
    /// At this row.
    Row {
        /// The row's id.
        id: ActivityId,
        /// When the row was created. If the server no longer has the row, reading goes on from there.
        created_at: UnixTime,
        /// The row's counter; `None` on April's server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<i64>,
    },
}

impl Position {
    /// The position at this place; before the first row if there is none.
    pub(super) fn at(place: Option<&RowPlace>) -> Self {
        match place {
            None => Self::Beginning,
            Some(RowPlace { created_at, seq, id }) => Self::Row { id: id.clone(), created_at: *created_at, seq: *seq },
        }
    }

    /// The place of the row; `None` before the first one.
    pub(super) fn place(self) -> Option<RowPlace> {
        match self {
            Self::Beginning => None,
            Self::Row { id, created_at, seq } => Some(RowPlace::new(created_at, seq, id)),
        }
    }
}
