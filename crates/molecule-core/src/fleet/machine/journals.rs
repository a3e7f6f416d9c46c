//! The journals: read before anything is sent for a claim, and written under its epoch.

use molecule_proto::Now;

use super::*;

impl<R: Rules> Fleet<R> {
    /// Saves what the next owner must know. The last text counts; [`FleetEvent::Saved`] tells that it is stored. Nothing is
    /// saved for a claim that is not this member's.
    pub fn save_journal(&mut self, part: &PartId, journal: String) {
        if let Some(held) = self.held.get_mut(part).filter(|held| !matches!(held.stage, Stage::Reading(_))) {
            held.unsaved = Some(journal);
        }
    }

    pub(super) fn read_journals(&mut self, now: Now) {
        if !self.is_open(now) {
            return;
        }
        let due = self.held.iter().filter(|(_, held)| matches!(held.stage, Stage::Reading(at) if at <= now.mono));
        let due: Vec<_> = due.map(|(part, _)| part.clone()).collect();
        for part in due {
            if let Some(held) = self.held.get_mut(&part) {
                // Until the outcome, or for as long as no operation lasts.
                held.stage = Stage::Reading(now.mono + self.options.ttl);
            }
            let key = part.journal_key();
            self.start(Op::ReadJournal(part), StoreOp::Get { key });
        }
    }

    pub(super) fn journal_read(&mut self, now: Now, part: &PartId, entry: Option<&StoreEntry>) {
        let is_open = self.is_open(now);
        let Some(held) = self.held.get_mut(part).filter(|held| matches!(held.stage, Stage::Reading(_))) else { return };
        if !is_open {
            held.stage = Stage::Reading(Time::ZERO);
            return;
        }
        held.journal = entry.map(|entry| entry.revision);
        held.stage = Stage::Runs;
        let (epoch, part) = (held.epoch, part.clone());
        let journal = entry.and_then(|entry| decode::<JournalRecord>(&entry.value)).map(|record| record.journal);
        self.tell(FleetEvent::Gained { part, epoch, journal });
        self.is_plan_due = true;
    }

    pub(super) fn save_journals(&mut self, now: Now) {
        let writes = &mut self.writes;
        for (part, held) in &mut self.held {
            let target = Target::Journal(part.clone());
            if writes.contains_key(&target) {
                continue;
            }
            if let Some(journal) = held.unsaved.take() {
                let record = JournalRecord { epoch: held.epoch, nonce: 0, journal };
                writes.insert(target, Write::new(part.journal_key(), Record::Journal(record), held.journal, now.mono));
            }
        }
    }

    pub(super) fn saved(&mut self, part: &PartId, revision: Revision) {
        if let Some(held) = self.held.get_mut(part) {
            held.journal = Some(revision);
            self.tell(FleetEvent::Saved { part: part.clone() });
        }
    }

    /// The journal has another value than the last one of this member: a late write of an earlier owner, which is written over,
    /// or the write of a later owner, whose claim this then is.
    pub(super) fn journal_superseded(&mut self, now: Now, part: &PartId, entry: &StoreEntry, write: Option<Write>) {
        let Some(held) = self.held.get_mut(part) else { return };
        let stored = decode::<JournalRecord>(&entry.value).map_or(0, |record| record.epoch);
        if stored > held.epoch {
            self.held.remove(part);
            self.writes.remove(&Target::Release(part.clone()));
            self.tell(FleetEvent::Lost { part: part.clone() });
            return self.went_back(now);
        }
        held.journal = Some(entry.revision);
        if let Some(Write { record: Record::Journal(record), .. }) = write {
            held.unsaved.get_or_insert(record.journal);
        }
    }
}
