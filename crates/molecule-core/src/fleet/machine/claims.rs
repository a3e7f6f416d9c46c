//! The claims: which are taken, how they are held, and how they are given away.

use molecule_proto::Now;

use super::*;
use crate::fleet::plan::Plan;

/// The shortest time between two plans, each of which looks at all parts.
const PLAN_INTERVAL: std::time::Duration = std::time::Duration::from_millis(50);

impl<R: Rules> Fleet<R> {
    /// Everything that the fleet runs.
    fn parts(&self) -> impl Iterator<Item = PartId> {
        let of = |workspace: &WorkspaceId| {
            let workspace = workspace.clone();
            (0..self.options.parts.max(1)).map(move |part| PartId::new(workspace.clone(), part))
        };
        self.workspaces.iter().flat_map(of)
    }

    /// Takes what is this member's, and gives away what is another's.
    pub(super) fn plan(&mut self, now: Now) {
        if !self.is_plan_due || self.next_plan > now.mono || !self.is_open(now) {
            return;
        }
        self.is_plan_due = false;
        self.next_plan = now.mono + PLAN_INTERVAL;
        let parts: Vec<_> = self.parts().collect();
        let me = self.options.member.clone();
        let is_alive = |record: &MemberRecord| record.fenced_by.is_none();
        let others = self.members.iter().filter(|(member, seen)| **member != me && is_alive(&seen.record));
        let others = others.map(|(member, seen)| (member.clone(), seen.record.capacity));
        let capacity = if self.is_leaving { 0 } else { self.options.capacity };
        let mut plan = Plan::new(others.chain([(me.clone(), capacity)]), parts.len());
        let (mut own, mut free) = (VecDeque::new(), Vec::new());
        for part in &parts {
            if self.held.contains_key(part) {
                plan.own(&me);
            } else if self.is_own(part) {
                plan.own(&me);
                own.push_back(part.clone());
            } else if self.is_free(now, part) {
                free.push(part);
            } else if let Some(owner) = self.claims.get(part).and_then(|seen| seen.record.member.as_ref()) {
                plan.own(owner);
            }
        }
        own.extend(free.into_iter().filter(|part| plan.place(part).as_ref() == Some(&me)).cloned());
        self.placed = own;
        self.give_away(&mut plan, &me, &parts.into_iter().collect());
    }

    /// Takes what the plan has placed here. During a grace period it waits.
    pub(super) fn take(&mut self, now: Now) {
        let Some(lease) = self.lease.filter(|_| self.may_take(now)) else { return };
        let in_flight = self.writes.keys().filter(|target| matches!(target, Target::Take(_))).count();
        for _ in in_flight..MOST_TAKEN {
            let Some(part) = self.placed.pop_front() else { return };
            let target = Target::Take(part.clone());
            if self.writes.contains_key(&target)
                || self.held.contains_key(&part)
                || !(self.is_own(&part) || self.is_free(now, &part))
            {
                continue;
            }
            let seen = self.claims.get(&part);
            let (old, expected) = (seen.map_or(0, |seen| seen.record.epoch), seen.map(|seen| seen.revision));
            let record = ClaimRecord {
                member: Some(self.options.member.clone()),
                member_epoch: lease.epoch,
                epoch: self.rules.next_epoch(old, expected.unwrap_or(0), now.unix),
                nonce: 0,
            };
            self.writes.insert(target, Write::new(part.claim_key(), Record::Claim(record), expected, now.mono));
        }
    }

    /// Asks for drains: of everything at the member's end and of what the fleet no longer runs; else of a few claims at a time
    /// that are better placed elsewhere and not busy.
    fn give_away(&mut self, plan: &mut Plan, me: &MemberId, parts: &BTreeSet<PartId>) {
        let is_unwanted = |part: &PartId| self.is_leaving || !parts.contains(part);
        let runs = || self.held.iter().filter(|(_, held)| held.stage == Stage::Runs).map(|(part, _)| part.clone());
        let mut drains: Vec<_> = runs().filter(is_unwanted).collect();
        let moving = self.held.values().filter(|held| matches!(held.stage, Stage::Drains | Stage::Releases)).count();
        let most = (self.held.len() * usize::from(self.options.moves_percent) / 100).max(1);
        let room = most.saturating_sub(moving);
        if room > 0 && !self.is_leaving {
            let idle = runs().filter(|part| !self.busy.contains(part) && !is_unwanted(part));
            drains.extend(idle.filter(|part| plan.moves(part, me)).take(room));
        }
        for part in drains {
            if let Some(held) = self.held.get_mut(&part) {
                held.stage = Stage::Drains;
            }
            self.tell(FleetEvent::Drain { part });
        }
    }

    /// A claim is stored.
    pub(super) fn taken(&mut self, now: Now, part: &PartId, record: ClaimRecord, revision: Revision) {
        let is_mine = self.lease.is_some_and(|lease| lease.epoch == record.member_epoch);
        let epoch = record.epoch;
        if self.claims.see(part, revision, record, By::Write, self.order, now.mono) == Sight::WentBack {
            return self.went_back(now);
        }
        // A later owner may have been seen before the answer came.
        if is_mine && self.claims.is_last(part, revision) {
            let stage = Stage::Reading(now.mono);
            self.held.insert(part.clone(), Held { revision, epoch, stage, journal: None, unsaved: None });
        }
    }

    /// The drain has ended: everything of the claim has ended or was given up, and its journal is saved.
    pub fn drained(&mut self, now: Now, part: &PartId) {
        let now = self.clock.look(now);
        let (Some(lease), Some(held)) = (self.lease, self.held.get_mut(part)) else { return };
        if held.stage != Stage::Drains {
            return;
        }
        held.stage = Stage::Releases;
        let record = ClaimRecord {
            member: None,
            member_epoch: lease.epoch,
            epoch: self.rules.next_epoch(held.epoch, held.revision, now.unix),
            nonce: 0,
        };
        let write = Write::new(part.claim_key(), Record::Claim(record), Some(held.revision), now.mono);
        self.writes.insert(Target::Release(part.clone()), write);
    }

    pub(super) fn released(&mut self, now: Now, part: &PartId, record: ClaimRecord, revision: Revision) {
        if self.claims.see(part, revision, record, By::Write, self.order, now.mono) == Sight::WentBack {
            return self.went_back(now);
        }
        self.held.remove(part);
        self.writes.remove(&Target::Journal(part.clone()));
        self.tell(FleetEvent::Released { part: part.clone() });
        self.is_plan_due = true;
        if self.is_leaving {
            self.next_renewal = now.mono;
        }
    }

    /// A value of a claim that was not known.
    pub(super) fn claim_changed(&mut self, part: &PartId, revision: Revision, record: &ClaimRecord) {
        let release = self.writes.get(&Target::Release(part.clone()));
        let is_mine = release.is_some_and(|write| write.is_mine(record.nonce));
        let is_other = self.held.get(part).is_some_and(|held| revision > held.revision);
        if is_mine || !is_other {
            return;
        }
        // Only from a fenced member is a claim taken: the read of the own key will tell.
        let ran = self.held.remove(part).is_some_and(|held| !matches!(held.stage, Stage::Reading(_)));
        self.writes.remove(&Target::Release(part.clone()));
        self.writes.remove(&Target::Journal(part.clone()));
        if ran {
            self.tell(FleetEvent::Lost { part: part.clone() });
        }
    }
}
