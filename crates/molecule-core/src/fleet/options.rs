//! The options of a member of a fleet.

use std::time::Duration;

use super::names::MemberId;

/// How one member takes part in a fleet. All members of a fleet have one TTL and one number of parts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetOptions {
    /// The member's name.
    pub member: MemberId,
    /// The fleet's time constant. A member that is dead for 1.1 TTL is replaced; one that does not reach the store for about
    /// 0.47 TTL stands down.
    pub ttl: Duration,
    /// The number of parts into which the senders of each workspace are divided.
    pub parts: u16,
    /// The share that this member takes, in relation to the others'.
    pub capacity: u32,
    /// Where people find the member, for `status`.
    pub address: Option<String>,
    /// How much of its claims a member gives away at a time when claims are balanced, in percent; at least one claim.
    pub moves_percent: u8,
    /// What a member does while the store is lost.
    pub on_store_loss: OnStoreLoss,
}

/// What a member does once its trusted window is over because the store does not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnStoreLoss {
    /// It sends nothing.
    #[default]
    StandDown,
    /// It goes on with heartbeats, which are last-writer-wins, and handles nothing.
    KeepBeating,
}

impl FleetOptions {
    /// A member with this name in a fleet with this TTL, one part for each workspace, and the same capacity as all others.
    pub fn new(member: MemberId, ttl: Duration) -> Self {
        Self {
            member,
            ttl,
            parts: 1,
            capacity: 1,
            address: None,
            moves_percent: 1,
            on_store_loss: OnStoreLoss::StandDown,
        }
    }

    /// Sets the number of parts of each workspace; at least 1.
    #[must_use]
    pub fn parts(mut self, parts: u16) -> Self {
        self.parts = parts.max(1);
        self
    }

    /// Sets the share that this member takes, in relation to the others'.
    #[must_use]
    pub fn capacity(mut self, capacity: u32) -> Self {
        self.capacity = capacity;
        self
    }

    /// Sets where people find the member.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// Sets how much of its claims a member gives away at a time when claims are balanced.
    #[must_use]
    pub fn moves_percent(mut self, percent: u8) -> Self {
        self.moves_percent = percent;
        self
    }

    /// Sets what the member does while the store is lost.
    #[must_use]
    pub fn on_store_loss(mut self, on_store_loss: OnStoreLoss) -> Self {
        self.on_store_loss = on_store_loss;
        self
    }
}
