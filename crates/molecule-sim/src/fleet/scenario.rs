//! A run of a fleet, as plain data.

use serde::{Deserialize, Serialize};

/// Everything that a run depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetScenario {
    /// What it shows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The seed of nonces, delays and luck.
    pub seed: u64,
    /// The fleet's TTL in milliseconds.
    pub ttl_ms: u64,
    /// The number of workspaces.
    pub workspaces: u16,
    /// The number of parts of each.
    pub parts: u16,
    /// Whether revisions count the writes of one key, as a version does, and not those of the whole store.
    pub counts_each_key: bool,
    /// Whether the store can watch.
    pub watches: bool,
    /// The members, all of which run from the start unless an act says otherwise.
    pub members: Vec<FleetMember>,
    /// The store's and the network's faults until the last act is over.
    pub weather: StoreWeather,
    /// What happens.
    pub acts: Vec<FleetTimed>,
}

/// A member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetMember {
    /// How much faster its monotonic clock runs, in percent: -10 to 10.
    pub rate_percent: i8,
    /// How far its calendar clock is ahead, in milliseconds.
    pub ahead_ms: i16,
    /// Whether it does not run until it is restarted.
    pub absent: bool,
}

/// Faults in percent of the operations, of all members or of one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreWeather {
    /// The member that they hit; all if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u8>,
    /// Requests that never arrive.
    pub lost_before: u8,
    /// Answers that are lost after the operation.
    pub lost_after: u8,
    /// Writes that arrive up to two TTL late.
    pub late: u8,
    /// Requests, and answers, that take up to half a TTL each.
    pub slow: u8,
    /// Answers that take up to half a TTL.
    #[serde(default)]
    pub slow_answers: u8,
    /// Changes that a watch skips.
    pub skipped: u8,
    /// Changes with which a watch repeats an older entry.
    pub repeated: u8,
}

/// An act and its moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetTimed {
    /// In milliseconds.
    pub at_ms: u64,
    /// What happens.
    pub act: FleetAct,
}

/// Something that happens. Members are named by their number, modulo the number of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FleetAct {
    /// The process stands still, and its clocks go on.
    Freeze {
        /// Which member.
        member: u8,
        /// How long, in milliseconds.
        ms: u64,
    },
    /// The machine sleeps: its monotonic clock stands still, too.
    Sleep {
        /// Which member.
        member: u8,
        /// How long, in milliseconds.
        ms: u64,
    },
    /// The member does not reach the store.
    Partition {
        /// Which member.
        member: u8,
        /// How long, in milliseconds.
        ms: u64,
    },
    /// The member's reads show what was stored at the beginning.
    Stale {
        /// Which member.
        member: u8,
        /// How long, in milliseconds.
        ms: u64,
    },
    /// Nobody reaches the store.
    StoreDown {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// The store restarts with an earlier state.
    GoBack {
        /// How much it loses, in milliseconds.
        by_ms: u64,
        /// Writes of other keys that fill the gap of the revisions.
        fill: u8,
    },
    /// The store is created anew, empty.
    Anew,
    /// The process dies.
    Kill {
        /// Which member.
        member: u8,
    },
    /// A new process with the member's name; the old one dies if it runs.
    Restart {
        /// Which member.
        member: u8,
    },
    /// The member leaves.
    Leave {
        /// Which member.
        member: u8,
    },
    /// The member's calendar clock jumps.
    SetClock {
        /// Which member.
        member: u8,
        /// How far, in milliseconds.
        by_ms: i64,
    },
    /// A message comes in.
    Message {
        /// The workspace, modulo their number.
        workspace: u8,
        /// The sender.
        sender: u8,
    },
}
