//! Who runs what: rendezvous hashing, weighted by capacity, with bounded load. Every member computes it from what it has seen of
//! the store; where two views differ, the compare-and-set of the claim decides.
//!
//! An owner keeps what it has. Only what has no owner is placed, and a claim moves only to a member that has less than its share and
//! less than the owner, if that member is the claim's first choice, or if the owner has more than 1.1 times its share. So a join moves at most the
//! newcomer's share, and nothing moves back.

use std::collections::BTreeMap;

use super::names::{MemberId, PartId, hash};

/// A member's place in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    capacity: u32,
    owned: usize,
}

impl Load {
    /// Whether this member has less than the other one, in relation to their capacities, also after one part has moved: else two
    /// members would exchange parts that each prefers.
    fn is_lighter_with_one_more(self, other: Self) -> bool {
        let scaled = |owned: usize, capacity: u32| {
            u128::try_from(owned).unwrap_or(u128::MAX).saturating_mul(u128::from(capacity))
        };
        scaled(self.owned + 1, other.capacity) < scaled(other.owned, self.capacity)
    }
}

#[derive(Debug)]
pub(super) struct Plan {
    loads: BTreeMap<MemberId, Load>,
    total: usize,
    capacity: u64,
}

impl Plan {
    /// `members` with their capacities, and the number of all parts.
    pub(super) fn new(members: impl IntoIterator<Item = (MemberId, u32)>, total: usize) -> Self {
        let loads: BTreeMap<_, _> =
            members.into_iter().map(|(member, capacity)| (member, Load { capacity, owned: 0 })).collect();
        let capacity = loads.values().map(|load| u64::from(load.capacity)).sum();
        Self { loads, total, capacity }
    }

    /// Counts a part that a member owns.
    pub(super) fn own(&mut self, member: &MemberId) {
        if let Some(load) = self.loads.get_mut(member) {
            load.owned += 1;
        }
    }

    /// Gives a part that has no owner to a member; `None` if nobody takes any.
    pub(super) fn place(&mut self, part: &PartId) -> Option<MemberId> {
        let ranked = self.ranked(part);
        let has_room = |bound: usize, member: &&MemberId| self.loads[*member].owned < bound;
        let fair = ranked.iter().copied().find(|member| has_room(self.share(member), member));
        let bounded = || ranked.iter().copied().find(|member| has_room(self.most(member), member));
        let member = fair.or_else(bounded).or(ranked.first().copied())?.clone();
        self.own(&member);
        Some(member)
    }

    /// Returns whether its owner gives this part away: a better place for it has less than its share.
    pub(super) fn moves(&mut self, part: &PartId, owner: &MemberId) -> bool {
        let Some(own) = self.loads.get(owner).copied() else { return false };
        let has_room = |member: &MemberId| {
            let to = self.loads[member];
            to.owned < self.share(member) && (own.capacity == 0 || to.is_lighter_with_one_more(own))
        };
        let ranked = self.ranked(part);
        let is_over = own.capacity == 0 || own.owned > self.most(owner);
        let first = ranked.first().copied().filter(|first| *first != owner && has_room(first));
        let to =
            first.or_else(|| is_over.then(|| ranked.into_iter().find(|to| *to != owner && has_room(to))).flatten());
        let Some(to) = to.cloned() else { return false };
        self.own(&to);
        if let Some(load) = self.loads.get_mut(owner) {
            load.owned -= 1;
        }
        true
    }

    /// The members that take parts, the best place first.
    fn ranked(&self, part: &PartId) -> Vec<&MemberId> {
        let seed = hash(&part.to_string());
        let takers = self.loads.iter().filter(|(_, load)| load.capacity > 0);
        let mut scored: Vec<_> =
            takers.map(|(member, load)| (score(seed, hash(member.as_str()), load.capacity), member)).collect();
        scored.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(other.1)));
        scored.into_iter().map(|(_, member)| member).collect()
    }

    /// A member's share of all parts, rounded up.
    fn share(&self, member: &MemberId) -> usize {
        self.fraction(member, 10)
    }

    /// 1.1 times its share.
    fn most(&self, member: &MemberId) -> usize {
        self.fraction(member, 11)
    }

    fn fraction(&self, member: &MemberId, tenths: u64) -> usize {
        let capacity = u64::from(self.loads.get(member).map_or(0, |load| load.capacity));
        let total = u64::try_from(self.total).unwrap_or(u64::MAX);
        let share =
            total.saturating_mul(capacity).saturating_mul(tenths).div_ceil(self.capacity.max(1).saturating_mul(10));
        usize::try_from(share).unwrap_or(usize::MAX)
    }
}

/// The weighted rendezvous score: the greatest one wins, in proportion to the capacities.
#[allow(clippy::cast_precision_loss)]
fn score(part: u64, member: u64, capacity: u32) -> f64 {
    let bits = mix(part ^ mix(member)) >> 11;
    let unit = (bits as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(capacity) / unit.ln()
}

/// The finalizer of SplitMix64: each bit of the input changes half of the output's.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use molecule_proto::WorkspaceId;

    use super::*;

    fn member(number: usize) -> MemberId {
        format!("m{number}").parse().unwrap()
    }

    fn parts(number: u128) -> Vec<PartId> {
        (0..number).map(|at| PartId::new(WorkspaceId::from_random((at << 64).to_be_bytes()), 0)).collect()
    }

    /// Owners after everything without one was placed, and after `moves` have ended.
    fn settle(owners: &mut BTreeMap<PartId, Option<MemberId>>, members: &[(MemberId, u32)]) -> usize {
        let mut moved = 0;
        loop {
            let mut plan = Plan::new(members.iter().cloned(), owners.len());
            let lives = |owner: &Option<MemberId>| {
                owner.clone().filter(|owner| members.iter().any(|(member, _)| member == owner))
            };
            owners.values_mut().for_each(|owner| *owner = lives(owner));
            owners.values().flatten().for_each(|owner| plan.own(owner));
            for (part, owner) in owners.iter_mut().filter(|(_, owner)| owner.is_none()) {
                *owner = plan.place(part);
            }
            let before = moved;
            for (part, owner) in owners.iter_mut() {
                if owner.as_ref().is_some_and(|owner| plan.moves(part, owner)) {
                    *owner = None;
                    moved += 1;
                }
            }
            if moved == before {
                return moved;
            }
        }
    }

    fn counts(owners: &BTreeMap<PartId, Option<MemberId>>) -> BTreeMap<MemberId, usize> {
        let mut counts = BTreeMap::new();
        owners.values().flatten().for_each(|owner| *counts.entry(owner.clone()).or_default() += 1);
        counts
    }

    #[test]
    fn rule_14_no_load_is_above_eleven_tenths_of_the_share() {
        for (many, number) in [(1, 5), (3, 300), (7, 1000), (20, 997)] {
            let mut owners: BTreeMap<_, _> = parts(number).into_iter().map(|part| (part, None)).collect();
            let members: Vec<_> = (0..many).map(|at| (member(at), 1)).collect();
            settle(&mut owners, &members);
            let most = (owners.len() * 11).div_ceil(many * 10);
            let counts = counts(&owners);
            assert!(owners.values().all(Option::is_some) && counts.values().all(|count| *count <= most), "{counts:?}");
        }
    }

    #[test]
    fn rule_14_a_join_moves_at_most_its_share_and_a_tenth_and_a_leave_only_what_was_left() {
        for many in [1, 2, 5, 20] {
            let mut owners: BTreeMap<_, _> = parts(1000).into_iter().map(|part| (part, None)).collect();
            let mut members: Vec<_> = (0..many).map(|at| (member(at), 1)).collect();
            settle(&mut owners, &members);
            assert_eq!(settle(&mut owners.clone(), &members), 0, "nothing moves without a reason");
            members.push((member(many), 1));
            let moved = settle(&mut owners, &members);
            let share = 1000 / (many + 1);
            assert!(moved <= share * 11 / 10 + 1, "{moved} of {share}");
            assert!(moved >= share / 2, "the newcomer has work: {moved} of {share}");
            let before = owners.clone();
            let gone = members.remove(0).0;
            let moved = settle(&mut owners, &members);
            let changed = before.iter().filter(|(part, owner)| owners[*part] != **owner).count();
            let left = before.values().flatten().filter(|owner| **owner == gone).count();
            assert!(changed <= left + share / 10 + 1, "{changed} changed, {left} were left, {moved} moved");
        }
    }

    #[test]
    fn rule_14_capacity_weighs() {
        let mut owners: BTreeMap<_, _> = parts(900).into_iter().map(|part| (part, None)).collect();
        settle(&mut owners, &[(member(0), 1), (member(1), 2), (member(2), 0)]);
        let counts = counts(&owners);
        assert!((270..=330).contains(&counts[&member(0)]) && !counts.contains_key(&member(2)), "{counts:?}");
    }
}
