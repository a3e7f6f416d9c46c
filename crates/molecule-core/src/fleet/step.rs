//! What the machine of a fleet asks of its driver and tells it.

use std::fmt;
use std::time::Duration;

use molecule_proto::Wake;

use super::names::{MemberId, PartId};
use super::store::StoreOp;

/// Names one operation on the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub(super) u64);

/// The next step of a member.
#[must_use = "a step that is dropped is an operation that never happens"]
#[derive(Debug)]
pub enum FleetStep {
    /// Perform the operation and feed its outcome under the same id. Poll again at once.
    Store(OpId, StoreOp),
    /// Poll again at once.
    Event(FleetEvent),
    /// Nothing to do until an outcome, a call of a method, or the wake.
    Idle(Wake),
    /// The member has left. Never poll it again.
    Done(Result<(), FleetError>),
}

/// What happened to a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetEvent {
    /// The member may take claims.
    Joined {
        /// The member's epoch.
        epoch: u64,
    },
    /// The claim is this member's: run it, beginning with its journal. Nothing may be sent for it before.
    Gained {
        /// What is to be run.
        part: PartId,
        /// The claim's epoch, which is greater than every earlier one.
        epoch: u64,
        /// What the last owner saved.
        journal: Option<String>,
    },
    /// The claim is no longer this member's: end everything that runs for it at once, and send nothing more.
    Lost {
        /// What must end.
        part: PartId,
    },
    /// Give the claim away: stop fetching, let handlers end up to a deadline, save the journal, and call
    /// [`Fleet::drained`](super::Fleet::drained).
    Drain {
        /// What is to be given away.
        part: PartId,
    },
    /// The claim was given away; the next owner sees it.
    Released {
        /// What was given away.
        part: PartId,
    },
    /// The journal is stored.
    Saved {
        /// Whose journal.
        part: PartId,
    },
    /// This member fenced another one, of which nothing was seen for 1.1 TTL.
    Fenced {
        /// The other one.
        member: MemberId,
    },
    /// The member sends nothing any more, for this reason. It takes part again by itself.
    StoodDown {
        /// Why.
        why: StandDown,
    },
}

/// Why a member stood down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StandDown {
    /// No renewal was confirmed for 0.8 TTL, or the process or the machine slept.
    LeaseLost,
    /// Another member fenced it.
    Fenced,
    /// The store went back to an earlier state, or others write into it.
    WentBack,
    /// Another process has this member's name.
    NameTaken,
}

impl fmt::Display for StandDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeaseLost => "no renewal was confirmed in time",
            Self::Fenced => "another member took this one for dead",
            Self::WentBack => "the store went back to an earlier state",
            Self::NameTaken => "another process has the name of this member; give each a name of its own",
        })
    }
}

/// Why a member cannot take part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// The fleet was founded with other constants.
    #[error(
        "this fleet has {parts} parts, a TTL of {ttl:?} and protocol version {version}, and this member is configured otherwise; \
         give all members the same values, or found a fleet under another name"
    )]
    OtherConfig {
        /// The fleet's protocol version.
        version: u32,
        /// The fleet's number of parts.
        parts: u16,
        /// The fleet's TTL.
        ttl: Duration,
    },
    /// The key of the fleet's constants holds something else.
    #[error("the store's key `cfg` is not that of a fleet; use another bucket")]
    NoConfig,
}
