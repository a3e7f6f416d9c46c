//! The machine of one member.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fastrand::Rng;
use molecule_proto::{Now, Time, Wake, WorkspaceId};

use super::clock::Clock;
use super::link::{Link, Read};
use super::names::{CLAIMS, CONFIG, MEMBERS, MemberId, Name, PartId};
use super::options::{FleetOptions, OnStoreLoss};
use super::record::{ClaimRecord, ConfigRecord, JournalRecord, MemberRecord, Record, decode};
use super::rules::{Rules, Standard, again, renewal, trusted};
use super::step::{FleetError, FleetEvent, FleetStep, OpId, StandDown};
use super::store::{Cas, Revision, StoreEntry, StoreOp, StoreOutcome};
use super::table::{By, Sight, Table};
use super::write::{Attempt, Next, Resolved, Write};

mod claims;
mod fences;
mod journals;
mod lease;

/// The version of the keys and values.
const VERSION: u32 = 1;

/// The most claims that are taken at the same time.
const MOST_TAKEN: usize = 64;

/// One member of a fleet.
///
/// After each outcome, each call of a method and the wake, poll until [`FleetStep::Idle`] or [`FleetStep::Done`]. Ask
/// [`may_send`](Self::may_send) before each send, with the clocks as they are then.
#[must_use = "a member does nothing until it is polled"]
#[derive(Debug)]
pub struct Fleet<R: Rules = Standard> {
    options: FleetOptions,
    rules: R,
    rng: Rng,
    clock: Clock,
    out: VecDeque<FleetStep>,
    ops: BTreeMap<OpId, Op>,
    /// The number of operations that were started.
    order: u64,
    writes: BTreeMap<Target, Write>,
    link: Link,
    members: Table<MemberId, MemberRecord>,
    claims: Table<PartId, ClaimRecord>,
    /// Since when members that have claims have no key.
    absent: BTreeMap<MemberId, Time>,
    is_configured: bool,
    lease: Option<Lease>,
    /// The greatest epoch that was seen.
    epoch: u64,
    beats: u64,
    held: BTreeMap<PartId, Held>,
    workspaces: BTreeSet<WorkspaceId>,
    busy: BTreeSet<PartId>,
    next_look: Time,
    next_list: Time,
    next_own: Time,
    next_renewal: Time,
    next_plan: Time,
    next_watch: Time,
    /// The watch in flight, and how long the next one waits if it fails.
    watch: Option<OpId>,
    watch_backoff: std::time::Duration,
    is_plan_due: bool,
    /// What the plan gives this member and is not being taken yet.
    placed: VecDeque<PartId>,
    is_leaving: bool,
    end: Option<Result<(), FleetError>>,
}

/// An operation in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Op {
    Config,
    Recover(Read),
    ReadJournal(PartId),
    Watch,
    Put(Target),
    Resolve(Target),
}

/// What a write is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Config,
    Own,
    Fence(MemberId),
    Take(PartId),
    Release(PartId),
    Journal(PartId),
}

/// The member's own key, as it was confirmed.
#[derive(Debug, Clone, Copy)]
struct Lease {
    epoch: u64,
    revision: Revision,
    nonce: u64,
    /// Where the trusted window of the last confirmed renewal begins.
    start: Now,
    /// Whether the member acts under this epoch.
    is_open: bool,
    /// Whether it has acted under this epoch, and may no more.
    is_over: bool,
}

/// Whether a write goes on.
enum May {
    Go,
    Wait,
    End,
}

/// A claim of this member, as it was confirmed.
#[derive(Debug, Clone)]
struct Held {
    revision: Revision,
    epoch: u64,
    stage: Stage,
    journal: Option<Revision>,
    /// What is to be saved once the save in flight has ended.
    unsaved: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its journal is read, at this moment if no read is in flight.
    Reading(Time),
    Runs,
    Drains,
    Releases,
}

impl Fleet {
    /// A member that keeps the rules. The seed must come from the operating system: nonces that repeat would hide a store that
    /// went back.
    pub fn new(options: FleetOptions, seed: u64) -> Self {
        Self::with_rules(options, Standard, seed)
    }
}

impl<R: Rules> Fleet<R> {
    /// A member with other rules, for the simulator.
    #[doc(hidden)]
    pub fn with_rules(options: FleetOptions, rules: R, seed: u64) -> Self {
        Self {
            link: Link::new(options.ttl, rules.grace(options.ttl)),
            watch_backoff: again(options.ttl),
            options,
            rules,
            rng: Rng::with_seed(seed),
            clock: Clock::default(),
            out: VecDeque::new(),
            ops: BTreeMap::new(),
            order: 0,
            writes: BTreeMap::new(),
            members: Table::new(),
            claims: Table::new(),
            absent: BTreeMap::new(),
            is_configured: false,
            lease: None,
            epoch: 0,
            beats: 0,
            held: BTreeMap::new(),
            workspaces: BTreeSet::new(),
            busy: BTreeSet::new(),
            next_look: Time::ZERO,
            next_list: Time::ZERO,
            next_own: Time::ZERO,
            next_renewal: Time::ZERO,
            next_plan: Time::ZERO,
            placed: VecDeque::new(),
            next_watch: Time::ZERO,
            watch: None,
            is_plan_due: true,
            is_leaving: false,
            end: None,
        }
    }

    /// Sets the workspaces that the fleet runs. All members must have the same ones.
    pub fn set_workspaces(&mut self, workspaces: impl IntoIterator<Item = WorkspaceId>) {
        self.workspaces = workspaces.into_iter().collect();
        self.is_plan_due = true;
    }

    /// Says whether a claim handles something. What is busy does not move, except at a drain.
    pub fn set_busy(&mut self, part: &PartId, is_busy: bool) {
        if is_busy {
            self.busy.insert(part.clone());
        } else {
            self.busy.remove(part);
        }
    }

    /// Returns whether this member may send for a claim now. Ask before each send, not once for several.
    pub fn may_send(&self, now: Now, part: &PartId) -> bool {
        let now = self.clock.read(now);
        self.is_open(now) && self.held.get(part).is_some_and(|held| matches!(held.stage, Stage::Runs | Stage::Drains))
    }

    /// Returns whether this member may send a heartbeat for a claim now.
    pub fn may_beat(&self, now: Now, part: &PartId) -> bool {
        let keeps = self.options.on_store_loss == OnStoreLoss::KeepBeating && part.part == 0;
        self.may_send(now, part) || (keeps && self.held.contains_key(part) && !self.is_open(self.clock.read(now)))
    }

    /// The connection to the store was lost and made again, or may have been. Call it before the outcome of anything that was
    /// sent on the new connection is fed.
    pub fn interrupted(&mut self) {
        if self.rules.reads_after_reconnect() {
            self.forget_connection();
        }
    }

    fn forget_connection(&mut self) {
        self.link.interrupt(self.order + 1);
        (self.next_own, self.next_look, self.next_list) = (Time::ZERO, Time::ZERO, Time::ZERO);
    }

    /// Leaves the fleet: takes nothing more, asks for a drain of each claim, and is done once all are given away.
    pub fn leave(&mut self) {
        self.is_leaving = true;
        self.is_plan_due = true;
        self.next_renewal = Time::ZERO;
    }

    /// Returns the next step.
    pub fn poll(&mut self, now: Now) -> FleetStep {
        let now = self.clock.look(now);
        if self.out.is_empty() {
            self.advance(now);
        }
        if let Some(step) = self.out.pop_front() {
            return step;
        }
        match self.end.take() {
            Some(end) => FleetStep::Done(end),
            None => FleetStep::Idle(self.wake(now)),
        }
    }

    /// Takes the outcome of an operation. One that is not expected changes nothing.
    pub fn feed(&mut self, now: Now, id: OpId, outcome: StoreOutcome) {
        let now = self.clock.look(now);
        self.close_if_over(now);
        if let StoreOutcome::Changed(entry) = outcome {
            if self.watch == Some(id) {
                self.watch_backoff = again(self.options.ttl);
                self.see(now, &entry, By::Watch);
            }
            return;
        }
        let Some(op) = self.ops.remove(&id) else { return };
        match (op, outcome) {
            (Op::Watch, _) => {
                self.watch = None;
                self.next_watch = now.mono + self.watch_backoff;
                self.watch_backoff = (self.watch_backoff * 2).min(self.options.ttl);
            }
            (Op::Put(target), StoreOutcome::Put(cas)) => self.put_ended(now, &target, cas),
            (Op::Put(target), _) => self.put_ended(now, &target, Cas::Unknown),
            // A read of an earlier connection says nothing of this one.
            (op, _) if !self.link.is_of_this_connection(id.0) => self.read_failed(now, &op),
            (Op::Config, StoreOutcome::Entry(entry)) => self.configured(now, entry.as_ref()),
            (Op::Recover(Read::Own), StoreOutcome::Entry(entry)) => self.own_read(now, id, entry),
            (Op::Recover(read), StoreOutcome::Entries(entries)) => self.listed(now, id, read, &entries),
            (Op::ReadJournal(part), StoreOutcome::Entry(entry)) => self.journal_read(now, &part, entry.as_ref()),
            (Op::Resolve(target), StoreOutcome::Entry(entry)) => self.resolved(now, id, &target, entry.as_ref()),
            (op, _) => self.read_failed(now, &op),
        }
    }

    fn read_failed(&mut self, now: Now, op: &Op) {
        let at = now.mono + again(self.options.ttl);
        match op {
            Op::Recover(Read::Members) => self.next_look = at,
            Op::Recover(Read::Claims) => self.next_list = at,
            Op::Recover(Read::Own) => self.next_own = at,
            Op::Config => self.next_renewal = at,
            Op::ReadJournal(part) => {
                if let Some(held) = self.held.get_mut(part)
                    && let Stage::Reading(_) = held.stage
                {
                    held.stage = Stage::Reading(at);
                }
            }
            Op::Resolve(target) => {
                if let Some(write) = self.writes.get_mut(target) {
                    write.read_again(at);
                }
            }
            Op::Watch | Op::Put(_) => {}
        }
    }

    /// Starts whatever is due.
    fn advance(&mut self, now: Now) {
        self.close_if_over(now);
        if self.is_leaving && self.lease.is_none() {
            self.end.get_or_insert(Ok(()));
        }
        if self.end.is_some() {
            return;
        }
        if !self.is_configured {
            self.read_config(now);
            return self.write(now);
        }
        self.follow(now);
        self.renew(now);
        self.open(now);
        self.fence_silent(now);
        self.plan(now);
        self.take(now);
        self.read_journals(now);
        self.save_journals(now);
        self.write(now);
    }

    /// Reads and watches what is due.
    fn follow(&mut self, now: Now) {
        let renewal = renewal(self.options.ttl);
        let is_due = |link: &Link, read, at: Time| at <= now.mono && (link.is_recovered() || link.lacks(read));
        if self.link.lacks(Read::Own) && self.next_own <= now.mono && !self.is_reading(Read::Own) {
            let key = self.options.member.key();
            self.start(Op::Recover(Read::Own), StoreOp::Get { key });
        }
        if is_due(&self.link, Read::Members, self.next_look) && !self.is_reading(Read::Members) {
            self.next_look = now.mono + renewal;
            self.start(Op::Recover(Read::Members), StoreOp::List { prefix: MEMBERS.to_owned() });
        }
        if is_due(&self.link, Read::Claims, self.next_list) && !self.is_reading(Read::Claims) {
            // Without a watch, claims are followed by listing them.
            self.next_list = now.mono + if self.watch.is_some() { self.options.ttl } else { renewal };
            self.start(Op::Recover(Read::Claims), StoreOp::List { prefix: CLAIMS.to_owned() });
        }
        if self.watch.is_none() && self.next_watch <= now.mono && self.link.is_recovered() {
            self.watch = Some(self.start(Op::Watch, StoreOp::Watch { prefix: String::new() }));
        }
    }

    fn is_reading(&self, read: Read) -> bool {
        self.ops.values().any(|op| *op == Op::Recover(read))
    }

    /// Starts the puts and reads of all writes.
    fn write(&mut self, now: Now) {
        let targets: Vec<_> = self.writes.keys().cloned().collect();
        for target in targets {
            match self.may_write(now, &target) {
                May::Go => {}
                May::Wait => continue,
                May::End => {
                    self.writes.remove(&target);
                    self.is_plan_due = true;
                    continue;
                }
            }
            let nonce = self.rng.u64(..1 << 53);
            let Some(write) = self.writes.get_mut(&target) else { continue };
            let (op, store) = match write.next(now.mono) {
                None => continue,
                Some(Next::Put) => {
                    write.put(Attempt { nonce, start: now });
                    let (key, expected) = (write.key.clone(), write.expected);
                    (Op::Put(target), StoreOp::Put { key, value: write.record.encode(nonce), expected })
                }
                Some(Next::Read) => {
                    write.reads();
                    (Op::Resolve(target), StoreOp::Get { key: write.key.clone() })
                }
            };
            self.start(op, store);
        }
    }

    fn may_write(&self, now: Now, target: &Target) -> May {
        let goes = match target {
            Target::Config => true,
            // Its attempts are kept, so that a late one is known again.
            Target::Own if !self.has_read() => return May::Wait,
            Target::Own => true,
            Target::Fence(_) | Target::Take(_) => self.may_take(now),
            Target::Release(part) | Target::Journal(part) => self.is_open(now) && self.held.contains_key(part),
        };
        if goes { May::Go } else { May::End }
    }

    /// Whether the own key, the members and the claims have been read on this connection, as they must before the own key is
    /// written.
    fn has_read(&self) -> bool {
        self.link.is_recovered() || !self.rules.reads_after_reconnect()
    }

    fn put_ended(&mut self, now: Now, target: &Target, cas: Cas) {
        let Some(write) = self.writes.get_mut(target) else { return };
        if let Some((revision, attempt)) = write.answered(cas, now.mono) {
            let start = self.rules.window_start(attempt.start, now);
            self.stored(now, target, revision, attempt.nonce, start);
        }
    }

    fn resolved(&mut self, now: Now, id: OpId, target: &Target, entry: Option<&StoreEntry>) {
        let at = now.mono + again(self.options.ttl);
        let Some(write) = self.writes.get_mut(target) else { return };
        match write.resolve(entry, at) {
            Resolved::Done(revision, attempt) => {
                let start = self.rules.window_start_by_read(attempt.start, now);
                self.stored(now, target, revision, attempt.nonce, start);
            }
            Resolved::Open => {}
            Resolved::Superseded => self.superseded(now, id, target, entry),
        }
    }

    /// A write is stored.
    fn stored(&mut self, now: Now, target: &Target, revision: Revision, nonce: u64, start: Now) {
        let Some(write) = self.writes.remove(target) else { return };
        match (target, write.record) {
            (Target::Config, _) => self.is_configured = true,
            (Target::Own, Record::Member(record)) => {
                self.renewed(now, MemberRecord { nonce, ..record }, revision, start)
            }
            (Target::Fence(member), Record::Member(record)) => {
                self.fenced(now, member, MemberRecord { nonce, ..record }, revision);
            }
            (Target::Take(part), Record::Claim(record)) => {
                self.taken(now, part, ClaimRecord { nonce, ..record }, revision)
            }
            (Target::Release(part), Record::Claim(record)) => {
                self.released(now, part, ClaimRecord { nonce, ..record }, revision);
            }
            (Target::Journal(part), _) => self.saved(part, revision),
            (Target::Own | Target::Fence(_) | Target::Take(_) | Target::Release(_), _) => {}
        }
    }

    /// Another writer was first.
    fn superseded(&mut self, now: Now, id: OpId, target: &Target, entry: Option<&StoreEntry>) {
        let write = self.writes.remove(target);
        self.is_plan_due = true;
        match (target, entry) {
            (Target::Config, entry) => self.configured(now, entry),
            (Target::Own, entry) => self.own_read(now, id, entry.cloned()),
            (Target::Journal(part), Some(entry)) => self.journal_superseded(now, part, entry, write),
            // A key that was written is never deleted.
            (Target::Journal(_), None) => self.went_back(now),
            (Target::Fence(_) | Target::Take(_) | Target::Release(_), Some(entry)) => {
                self.see(now, entry, By::Read(id.0))
            }
            (Target::Fence(_) | Target::Take(_) | Target::Release(_), None) => self.went_back(now),
        }
    }

    /// Takes an entry of a member or a claim.
    fn see(&mut self, now: Now, entry: &StoreEntry, by: By) {
        let (order, revision) = (self.order, entry.revision);
        let sight = match Name::of(&entry.key) {
            None => return,
            Some(Name::Member(member)) => {
                let Some(record) = decode::<MemberRecord>(&entry.value) else { return self.went_back(now) };
                self.epoch = self.epoch.max(record.epoch);
                let is_own = member == self.options.member;
                let sight = self.members.see(&member, revision, record.clone(), by, order, now.mono);
                if is_own && sight == Sight::New {
                    self.own_changed(now, revision, &record);
                }
                sight
            }
            Some(Name::Claim(part)) => {
                let Some(record) = decode::<ClaimRecord>(&entry.value) else { return self.went_back(now) };
                self.epoch = self.epoch.max(record.epoch).max(record.member_epoch);
                let sight = self.claims.see(&part, revision, record.clone(), by, order, now.mono);
                if sight == Sight::New {
                    self.claim_changed(&part, revision, &record);
                }
                sight
            }
        };
        match sight {
            Sight::Known => {}
            Sight::New => self.is_plan_due = true,
            Sight::WentBack => self.went_back(now),
        }
    }

    fn listed(&mut self, now: Now, id: OpId, read: Read, entries: &[StoreEntry]) {
        let names = || entries.iter().filter_map(|entry| Name::of(&entry.key));
        let lacks = match read {
            Read::Members => {
                let listed =
                    names().filter_map(|name| if let Name::Member(member) = name { Some(member) } else { None });
                self.members.lacks(&listed.collect(), id.0)
            }
            Read::Claims | Read::Own => {
                let listed = names().filter_map(|name| if let Name::Claim(part) = name { Some(part) } else { None });
                self.claims.lacks(&listed.collect(), id.0)
            }
        };
        if lacks {
            return self.went_back(now);
        }
        for entry in entries {
            self.see(now, entry, By::Read(id.0));
            if !self.link.is_of_this_connection(id.0) {
                return; // The store went back.
            }
        }
        self.link.read(read, now.mono, self.rules.counts_own_gaps_apart());
        self.is_plan_due = true;
    }

    fn start(&mut self, op: Op, store: StoreOp) -> OpId {
        self.order += 1;
        let id = OpId(self.order);
        self.ops.insert(id, op);
        self.out.push_back(FleetStep::Store(id, store));
        id
    }

    fn tell(&mut self, event: FleetEvent) {
        self.out.push_back(FleetStep::Event(event));
    }

    fn read_config(&mut self, now: Now) {
        let is_asked = self.ops.values().any(|op| *op == Op::Config) || self.writes.contains_key(&Target::Config);
        if !is_asked && self.next_renewal <= now.mono {
            self.start(Op::Config, StoreOp::Get { key: CONFIG.to_owned() });
        }
    }

    fn configured(&mut self, now: Now, entry: Option<&StoreEntry>) {
        let own = ConfigRecord {
            version: VERSION,
            parts: self.options.parts,
            ttl_ms: u64::try_from(self.options.ttl.as_millis()).unwrap_or(u64::MAX),
            nonce: 0,
        };
        let Some(entry) = entry else {
            let write = Write::new(CONFIG.to_owned(), Record::Config(own), None, now.mono);
            self.writes.insert(Target::Config, write);
            return;
        };
        match decode::<ConfigRecord>(&entry.value) {
            Some(read) if ConfigRecord { nonce: 0, ..read.clone() } == own => self.is_configured = true,
            Some(ConfigRecord { version, parts, ttl_ms, .. }) => {
                let ttl = std::time::Duration::from_millis(ttl_ms);
                self.end = Some(Err(FleetError::OtherConfig { version, parts, ttl }));
            }
            None => self.end = Some(Err(FleetError::NoConfig)),
        }
    }

    fn wake(&self, now: Now) -> Wake {
        let tick = Wake { at: now.mono + again(self.options.ttl), why: "the next look at the fleet" };
        let end = self.lease.filter(|lease| lease.is_open).map(|lease| lease.start.mono + trusted(self.options.ttl));
        let end = end.filter(|at| *at > now.mono).map(|at| Wake { at, why: "the end of the trusted window" });
        let is_planned = self.is_plan_due && self.next_plan > now.mono;
        let plan = is_planned.then_some(Wake { at: self.next_plan, why: "a plan of the claims" });
        Wake::earliest(Wake::earliest(Some(tick), end), plan).unwrap_or(tick)
    }
}
