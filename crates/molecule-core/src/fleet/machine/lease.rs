//! The member's own key: how it is written, what it proves, and when it no longer does.

use molecule_proto::Now;

use super::*;
use crate::fleet::rules::silence;

impl<R: Rules> Fleet<R> {
    /// Whether the trusted window is open.
    pub(super) fn is_open(&self, now: Now) -> bool {
        self.lease.is_some_and(|lease| lease.is_open && self.rules.trusts(self.options.ttl, lease.start, now))
    }

    /// Whether this member may fence others and take claims: its window is open, and its view of the store is whole for as
    /// long as anybody can trust what a store that went back has lost.
    pub(super) fn may_take(&self, now: Now) -> bool {
        self.is_open(now) && !self.is_leaving && self.link.is_settled(now.mono)
    }

    /// Opens the window once the first renewal under a new epoch is confirmed.
    pub(super) fn open(&mut self, now: Now) {
        let ttl = self.options.ttl;
        let Some(lease) = self.lease.as_mut().filter(|lease| !lease.is_open && !lease.is_over) else { return };
        if self.rules.trusts(ttl, lease.start, now) {
            lease.is_open = true;
            let epoch = lease.epoch;
            self.tell(FleetEvent::Joined { epoch });
            self.is_plan_due = true;
        }
    }

    /// The self-fence: the window is over on one of the clocks. The member goes on to renew its key, so that nobody fences it
    /// without need. But it acts only under a new epoch, which it takes once everything was read again and a grace period is
    /// over: releases of its own may have been stored meanwhile, and fences of it stored and lost again.
    pub(super) fn close_if_over(&mut self, now: Now) {
        let ttl = self.options.ttl;
        let Some(lease) = self.lease.as_mut().filter(|lease| lease.is_open) else { return };
        if !self.rules.trusts(ttl, lease.start, now) {
            (lease.is_open, lease.is_over) = (false, true);
            self.suspend();
            self.forget_connection();
            self.tell(FleetEvent::StoodDown { why: StandDown::LeaseLost });
        }
    }

    /// Renews the own key, or campaigns for it.
    pub(super) fn renew(&mut self, now: Now) {
        // A new epoch does not wait for the next renewal.
        let is_back = self.lease.is_some_and(|lease| lease.is_over) && self.link.is_settled(now.mono);
        if !self.has_read() || (self.next_renewal > now.mono && !is_back) || self.writes.contains_key(&Target::Own) {
            return;
        }
        let me = &self.options.member;
        let seen = self.members.get(me);
        let revision = seen.map(|seen| seen.revision);
        let (epoch, expected) = match self.lease {
            Some(lease) if lease.is_over && self.link.is_settled(now.mono) => {
                (self.rules.next_epoch(self.epoch, lease.revision, now.unix), Some(lease.revision))
            }
            Some(lease) => (lease.epoch, Some(lease.revision)),
            None => {
                // An earlier process with this name may still run. It is waited for like any silent member.
                let is_free = seen.is_none_or(|seen| {
                    seen.record.fenced_by.is_some() || now.mono.since(seen.at) >= silence(self.options.ttl)
                });
                if !is_free || !self.link.is_settled(now.mono) || self.is_leaving {
                    return;
                }
                (self.rules.next_epoch(self.epoch, revision.unwrap_or(0), now.unix), revision)
            }
        };
        // What is not run needs no drain: the own fence gives it away.
        let is_last = self.is_leaving && (self.held.is_empty() || !self.is_open(now));
        self.beats += 1;
        let record = MemberRecord {
            epoch,
            nonce: 0,
            beat: self.beats,
            capacity: if self.is_leaving { 0 } else { self.options.capacity },
            address: self.options.address.clone(),
            fenced_by: is_last.then(|| me.clone()),
        };
        self.next_renewal = now.mono + renewal(self.options.ttl);
        self.writes.insert(Target::Own, Write::new(me.key(), Record::Member(record), expected, now.mono));
    }

    /// A write of the own key is stored.
    pub(super) fn renewed(&mut self, now: Now, record: MemberRecord, revision: Revision, start: Now) {
        let me = self.options.member.clone();
        let (epoch, nonce) = (record.epoch, record.nonce);
        if record.fenced_by.is_some() {
            self.end = Some(Ok(()));
            return;
        }
        self.epoch = self.epoch.max(epoch);
        let old = self.lease.filter(|lease| lease.epoch == epoch);
        if old.is_none() {
            self.held.clear(); // Each claim names an epoch.
        }
        let (is_open, is_over) = old.map_or((false, false), |lease| (lease.is_open, lease.is_over));
        self.lease = Some(Lease { epoch, revision, nonce, start, is_open, is_over });
        let next = start.mono + renewal(self.options.ttl);
        let is_last = self.is_leaving && self.held.is_empty();
        self.next_renewal = if is_last { now.mono } else { self.next_renewal.min(next) };
        if self.members.see(&me, revision, record, By::Write, self.order, now.mono) == Sight::WentBack {
            self.went_back(now);
        }
    }

    /// The own key was read: after a connection was made, or because a renewal was lost.
    pub(super) fn own_read(&mut self, now: Now, id: OpId, entry: Option<StoreEntry>) {
        let me = self.options.member.clone();
        match entry {
            None if self.lease.is_some() || self.members.knew(&me, id.0) => return self.went_back(now),
            None => {}
            Some(entry) => {
                self.see(now, &entry, By::Read(id.0));
                if !self.link.is_of_this_connection(id.0) {
                    return; // The store went back.
                }
            }
        }
        self.link.read(Read::Own, now.mono, self.rules.counts_own_gaps_apart());
        self.is_plan_due = true;
    }

    /// A value of the own key that was not known. A read may close the window; only a write opens it.
    pub(super) fn own_changed(&mut self, now: Now, revision: Revision, record: &MemberRecord) {
        let is_mine = self.writes.get(&Target::Own).is_some_and(|write| write.is_mine(record.nonce));
        let is_newer = self.lease.is_some_and(|lease| revision > lease.revision && record.nonce != lease.nonce);
        if is_mine || !is_newer {
            return;
        }
        if record.fenced_by.is_some() {
            self.stand_down(now, StandDown::Fenced);
        } else {
            self.stand_down(now, StandDown::NameTaken);
            self.forget_connection();
        }
    }

    /// The store shows an earlier state than before. Everything that was seen is forgotten, except the greatest epoch, and
    /// nothing is trusted for a grace period.
    pub(super) fn went_back(&mut self, now: Now) {
        self.stand_down(now, StandDown::WentBack);
        self.members.clear();
        self.claims.clear();
        self.absent.clear();
        self.forget_connection();
    }

    /// Gives everything up. The member comes back under a new epoch.
    fn stand_down(&mut self, now: Now, why: StandDown) {
        self.suspend();
        self.held.clear();
        self.writes.retain(|target, _| *target == Target::Config);
        self.next_renewal = now.mono;
        if self.lease.take().is_some() {
            self.tell(FleetEvent::StoodDown { why });
        }
        if self.is_leaving {
            self.end = Some(Ok(()));
        }
    }

    /// Ends whatever runs. What stays held was not seen to change: of a release that is stored, the answer may be under way.
    fn suspend(&mut self) {
        let (held, claims) = (&mut self.held, &self.claims);
        let mut given = Vec::new();
        held.retain(|part, held| {
            let is_last = claims.is_last(part, held.revision);
            if !is_last {
                given.push(part.clone());
            }
            is_last
        });
        given.into_iter().for_each(|part| self.tell(FleetEvent::Lost { part }));
        let running = self.held.iter_mut().filter_map(|(part, held)| {
            let ran = !matches!(held.stage, Stage::Reading(_));
            held.stage = Stage::Reading(Time::ZERO);
            held.unsaved = None;
            ran.then(|| part.clone())
        });
        let running: Vec<_> = running.collect();
        running.into_iter().for_each(|part| self.tell(FleetEvent::Lost { part }));
        self.writes.retain(|target, _| matches!(target, Target::Config | Target::Own));
    }
}
