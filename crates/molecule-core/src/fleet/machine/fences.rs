//! How a member that is dead is made harmless: its key is overwritten before anything of it is taken. A late renewal then names
//! a revision that is gone.

use molecule_proto::Now;

use super::*;

impl<R: Rules> Fleet<R> {
    pub(super) fn fence_silent(&mut self, now: Now) {
        let Some(observed) = self.link.observed(now.mono).filter(|_| self.may_take(now)) else { return };
        self.note_absent(now);
        let is_silent = |since: Time| self.rules.is_silent(self.options.ttl, since.max(observed), now.mono);
        let me = &self.options.member;
        let dead = self
            .members
            .iter()
            .filter(|(member, seen)| *member != me && seen.record.fenced_by.is_none() && is_silent(seen.at));
        let dead = dead.map(|(member, seen)| (member.clone(), Some(seen.revision), seen.record.epoch));
        let gone =
            self.absent.iter().filter(|(_, since)| is_silent(**since)).map(|(member, _)| (member.clone(), None, 0));
        let due: Vec<_> =
            dead.chain(gone).filter(|(member, ..)| !self.writes.contains_key(&Target::Fence(member.clone()))).collect();
        for (member, expected, epoch) in due {
            let record = MemberRecord {
                epoch: epoch.max(if expected.is_none() { self.epoch } else { 0 }),
                nonce: 0,
                beat: 0,
                capacity: 0,
                address: None,
                fenced_by: Some(self.options.member.clone()),
            };
            let write = Write::new(member.key(), Record::Member(record), expected, now.mono);
            self.writes.insert(Target::Fence(member), write);
        }
    }

    /// Notes since when members that have claims have no key: the store lost it.
    fn note_absent(&mut self, now: Now) {
        let owners = self.claims.iter().filter_map(|(_, seen)| seen.record.member.as_ref());
        let absent: BTreeSet<_> = owners
            .filter(|owner| **owner != self.options.member && self.members.get(owner).is_none())
            .cloned()
            .collect();
        self.absent.retain(|member, _| absent.contains(member));
        for member in absent {
            self.absent.entry(member).or_insert(now.mono);
        }
    }

    /// A fence is confirmed.
    pub(super) fn fenced(&mut self, now: Now, member: &MemberId, record: MemberRecord, revision: Revision) {
        if self.members.see(member, revision, record, By::Write, self.order, now.mono) == Sight::WentBack {
            return self.went_back(now);
        }
        self.tell(FleetEvent::Fenced { member: member.clone() });
    }

    /// Whether a claim may be taken by whoever the plan gives it to: there is none, or it was released, or its owner is fenced.
    /// The fence must be of the claim's epoch or a later one: the owner may have come back since it was seen. Of an owner that
    /// has come back, only the owner takes its old claims.
    pub(super) fn is_free(&self, now: Now, part: &PartId) -> bool {
        let Some(seen) = self.claims.get(part) else { return true };
        let Some(owner) = &seen.record.member else { return true };
        let member = self.members.get(owner);
        let is_fenced = member
            .is_some_and(|member| member.record.fenced_by.is_some() && member.record.epoch >= seen.record.member_epoch);
        // Only a saboteur takes a claim without a fence.
        let is_silent = || member.is_none_or(|member| self.rules.is_silent(self.options.ttl, member.at, now.mono));
        is_fenced || (!self.rules.fences_before_taking() && *owner != self.options.member && is_silent())
    }

    /// Whether a claim names this member, which does not hold it: it is of an earlier epoch, or the answer that it was taken was
    /// lost together with the window.
    pub(super) fn is_own(&self, part: &PartId) -> bool {
        self.claims.get(part).is_some_and(|seen| seen.record.member.as_ref() == Some(&self.options.member))
    }
}
