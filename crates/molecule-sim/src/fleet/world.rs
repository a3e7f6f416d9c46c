//! One run: virtual time, the processes of the members, the network between them and the store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use molecule_core::fleet::{
    Cas, Fleet, FleetEvent, FleetOptions, FleetStep, MemberId, OpId, PartId, Rules as _, StoreEntry, StoreOp,
    StoreOutcome, part_of,
};
use molecule_proto::{Now, Time, UnixTime, WorkspaceId};

use super::judge::{FleetBroken, Judge};
use super::sabotage::{FleetSabotage, Sabotaged};
use super::scenario::{FleetAct, FleetMember, FleetScenario, StoreWeather};
use super::store::Store;

/// Nanoseconds of the world's own time.
type Nanos = u64;

const MS: Nanos = 1_000_000;

/// What came of a run.
#[derive(Debug, Default)]
pub struct FleetRun {
    /// The invariant that broke.
    pub broken: Option<FleetBroken>,
    /// What happened, if it was traced.
    pub trace: Vec<String>,
    /// How much time passed in it.
    pub simulated: Duration,
    /// Operations on the store.
    pub operations: u64,
    /// How often a part was begun.
    pub gains: u64,
}

/// Runs a scenario.
pub fn run_fleet(scenario: &FleetScenario) -> FleetRun {
    World::new(scenario, None, false).run()
}

/// Runs a scenario and writes down what happens.
pub fn run_fleet_traced(scenario: &FleetScenario) -> FleetRun {
    World::new(scenario, None, true).run()
}

/// Runs a scenario with members that break a rule.
pub fn run_fleet_sabotaged(scenario: &FleetScenario, sabotage: FleetSabotage) -> FleetRun {
    World::new(scenario, Some(sabotage), false).run()
}

#[derive(Debug)]
enum Event {
    Act(usize),
    /// A request reaches the store.
    Arrive(Sent),
    Answer {
        process: u64,
        connection: u64,
        op: OpId,
        outcome: StoreOutcome,
    },
    /// The driver gives an operation up.
    GiveUp {
        process: u64,
        op: OpId,
    },
    Wake {
        process: u64,
        number: u64,
    },
    Thaw {
        process: u64,
    },
    Heal {
        process: u64,
    },
    StoreUp,
    /// The agents of all processes do their work.
    Work,
    /// Everything must be run by now.
    Settled,
    End,
}

/// A request on its way to the store.
#[derive(Debug)]
struct Sent {
    process: u64,
    connection: u64,
    at: Nanos,
    op: OpId,
    request: StoreOp,
}

/// What reaches a process; it waits while the process stands still.
enum Word {
    Interrupted,
    Outcome(OpId, StoreOutcome),
}

/// A process of a member.
struct Process {
    number: u64,
    member: usize,
    fleet: Fleet<Sabotaged>,
    started: Nanos,
    slept: Nanos,
    clock_set_ms: i64,
    frozen_until: Nanos,
    partition_until: Nanos,
    /// Whether the connection was lost and not made again.
    is_cut: bool,
    stale: Option<(Nanos, BTreeMap<String, StoreEntry>)>,
    waiting: Vec<Word>,
    connection: u64,
    /// Operations in flight, and whether they write.
    ops: BTreeMap<OpId, bool>,
    watch: Option<(OpId, String)>,
    wake: u64,
    runs: BTreeMap<PartId, Work>,
    is_done: bool,
}

/// A part that a process runs.
struct Work {
    cursor: u64,
    saved: bool,
    drains: bool,
}

/// A row of a workspace's feed.
struct Row {
    seq: u64,
    sender: String,
}

struct World<'a> {
    scenario: &'a FleetScenario,
    rules: Sabotaged,
    ttl: Nanos,
    rng: Rng,
    now: Nanos,
    queue: BTreeMap<(Nanos, u64), Event>,
    count: u64,
    store: Store,
    store_down_until: Nanos,
    /// When all connections broke last.
    restarted: Nanos,
    /// What was sent until then does not arrive: the store went back.
    went_back: Nanos,
    renewals: BTreeMap<MemberId, Nanos>,
    processes: BTreeMap<u64, Process>,
    workspaces: Vec<WorkspaceId>,
    feed: BTreeMap<WorkspaceId, Vec<Row>>,
    acked: BTreeMap<WorkspaceId, u64>,
    unhandled: BTreeSet<u64>,
    rows: u64,
    /// When each part was given away last.
    released: BTreeMap<PartId, Nanos>,
    last_fault: Nanos,
    judge: Judge,
    trace: Option<Vec<String>>,
    operations: u64,
    is_over: bool,
}

impl<'a> World<'a> {
    fn new(scenario: &'a FleetScenario, sabotage: Option<FleetSabotage>, traces: bool) -> Self {
        let workspaces = (0..scenario.workspaces.max(1))
            .map(|number| WorkspaceId::from_random((u128::from(number) << 64).to_be_bytes()))
            .collect();
        let ends = scenario.acts.iter().map(|timed| {
            let lasts = match timed.act {
                FleetAct::Freeze { ms, .. }
                | FleetAct::Sleep { ms, .. }
                | FleetAct::Partition { ms, .. }
                | FleetAct::Stale { ms, .. }
                | FleetAct::StoreDown { ms } => ms,
                _ => 0,
            };
            (timed.at_ms + lasts) * MS
        });
        let has = |goes: fn(&FleetAct) -> bool| scenario.acts.iter().any(|timed| goes(&timed.act));
        let goes_back = has(|act| matches!(act, FleetAct::GoBack { .. } | FleetAct::Anew));
        let is_set = has(|act| matches!(act, FleetAct::SetClock { .. }));
        Self {
            ttl: scenario.ttl_ms.max(1) * MS,
            rng: Rng::with_seed(scenario.seed),
            rules: Sabotaged(sabotage),
            now: 0,
            queue: BTreeMap::new(),
            count: 0,
            store: Store::new(scenario.counts_each_key),
            store_down_until: 0,
            restarted: 0,
            went_back: 0,
            renewals: BTreeMap::new(),
            processes: BTreeMap::new(),
            workspaces,
            feed: BTreeMap::new(),
            acked: BTreeMap::new(),
            unhandled: BTreeSet::new(),
            rows: 0,
            released: BTreeMap::new(),
            last_fault: ends.max().unwrap_or(0),
            judge: Judge::new(!(goes_back && is_set)),
            trace: traces.then(Vec::new),
            operations: 0,
            is_over: false,
            scenario,
        }
    }

    fn run(mut self) -> FleetRun {
        for (number, member) in self.scenario.members.iter().enumerate() {
            if !member.absent {
                self.begin(number);
            }
        }
        for (number, timed) in self.scenario.acts.iter().enumerate() {
            self.at(timed.at_ms * MS, Event::Act(number));
        }
        self.at(self.last_fault + 2 * self.ttl, Event::Settled);
        self.at(self.last_fault + 4 * self.ttl, Event::End);
        self.at(0, Event::Work);
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.now = at;
            self.handle(event);
            if self.is_over || self.judge.broken.is_some() {
                break;
            }
        }
        FleetRun {
            broken: self.judge.broken,
            trace: self.trace.unwrap_or_default(),
            simulated: Duration::from_nanos(self.now),
            operations: self.operations,
            gains: self.judge.gains,
        }
    }

    fn at(&mut self, at: Nanos, event: Event) {
        self.count += 1;
        self.queue.insert((at.max(self.now), self.count), event);
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>7} ms  {}", self.now / MS, what()));
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Act(number) => self.act(self.scenario.acts[number].act),
            Event::Arrive(sent) => self.arrive(sent),
            Event::Answer { process, connection, op, outcome } => {
                let is_whole = |process: &Process| process.connection == connection && !process.is_cut;
                if self.processes.get(&process).is_some_and(is_whole) {
                    self.deliver(process, Word::Outcome(op, outcome));
                }
            }
            Event::GiveUp { process, op } => {
                let Some(writes) = self.processes.get(&process).and_then(|process| process.ops.get(&op)) else {
                    return;
                };
                let outcome = unanswered(*writes);
                self.deliver(process, Word::Outcome(op, outcome));
            }
            Event::Wake { process, number } => {
                let is_due = |process: &Process| process.wake == number && process.frozen_until <= self.now;
                if self.processes.get(&process).is_some_and(is_due) {
                    self.poll(process);
                }
            }
            Event::Thaw { process } => self.thaw(process),
            Event::Heal { process } => {
                let healed = self.now;
                let Some(process) = self.processes.get(&process).filter(|process| process.partition_until <= healed)
                else {
                    return;
                };
                let (number, is_cut) = (process.number, process.is_cut);
                // Without a restart of the store, a connection may survive.
                if is_cut || self.rng.bool() {
                    self.reconnect(number);
                }
            }
            Event::StoreUp => {
                if self.store_down_until <= self.now {
                    self.restarted = self.now;
                    self.reconnect_all();
                }
            }
            Event::Work => {
                let numbers: Vec<_> = self.processes.keys().copied().collect();
                numbers.into_iter().for_each(|number| self.work(number));
                self.at(self.now + self.ttl / 10, Event::Work);
            }
            Event::Settled => self.settled(),
            Event::End => {
                self.judge.handled_all(self.now, &self.unhandled);
                self.is_over = true;
            }
        }
    }

    fn begin(&mut self, member: usize) {
        self.count += 1;
        let number = self.count;
        let name: MemberId = format!("m{member}").parse().expect("a letter and digits");
        let ttl = Duration::from_nanos(self.ttl);
        // All of a small number of claims may move at once.
        let options = FleetOptions::new(name, ttl).parts(self.scenario.parts.max(1)).moves_percent(25);
        let mut fleet = Fleet::with_rules(options, self.rules, self.rng.u64(..));
        fleet.set_workspaces(self.workspaces.iter().cloned());
        let process = Process {
            number,
            member,
            fleet,
            started: self.now,
            slept: 0,
            clock_set_ms: 0,
            frozen_until: 0,
            partition_until: 0,
            is_cut: false,
            stale: None,
            waiting: Vec::new(),
            connection: 0,
            ops: BTreeMap::new(),
            watch: None,
            wake: 0,
            runs: BTreeMap::new(),
            is_done: false,
        };
        self.note(|| format!("process {number} begins as m{member}"));
        self.processes.insert(number, process);
        self.poll(number);
    }

    fn member(&self, process: &Process) -> FleetMember {
        self.scenario.members[process.member]
    }

    /// The clocks of a process.
    fn clocks(&self, process: &Process) -> Now {
        let member = self.member(process);
        let ran = i128::from(self.now - process.started - process.slept.min(self.now - process.started));
        let mono = ran * i128::from(100 + i32::from(member.rate_percent.clamp(-10, 10))) / 100;
        let millis = i128::from(self.now / MS) + i128::from(member.ahead_ms) + i128::from(process.clock_set_ms);
        let unix = 1_795_383_587_000 + millis;
        let secs = i64::try_from(unix.div_euclid(1000)).unwrap_or(0);
        let nanos = u32::try_from(unix.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
        Now { mono: Time::from_nanos(u64::try_from(mono).unwrap_or(0) + 1), unix: UnixTime::new(secs, nanos) }
    }

    fn live(&self, member: u8) -> Option<u64> {
        let member = usize::from(member) % self.scenario.members.len().max(1);
        self.processes
            .values()
            .find(|process| process.member == member && !process.is_done)
            .map(|process| process.number)
    }

    fn act(&mut self, act: FleetAct) {
        self.note(|| format!("{act:?}"));
        let now = self.now;
        match act {
            FleetAct::Freeze { member, ms } | FleetAct::Sleep { member, ms } => {
                let Some(number) = self.live(member) else { return };
                let Some(process) = self.processes.get_mut(&number) else { return };
                if process.frozen_until > now {
                    return;
                }
                process.frozen_until = now + ms * MS;
                if matches!(act, FleetAct::Sleep { .. }) {
                    // The clock stands still from now on; it is wrong only while nobody reads it.
                    process.slept += ms * MS;
                }
                self.at(now + ms * MS, Event::Thaw { process: number });
            }
            FleetAct::Partition { member, ms } => {
                let Some(number) = self.live(member) else { return };
                let Some(process) = self.processes.get_mut(&number) else { return };
                process.partition_until = process.partition_until.max(now + ms * MS);
                self.at(now + ms * MS, Event::Heal { process: number });
            }
            FleetAct::Stale { member, ms } => {
                let snapshot = self.store.snapshot();
                let Some(number) = self.live(member) else { return };
                if let Some(process) = self.processes.get_mut(&number) {
                    process.stale = Some((now + ms * MS, snapshot));
                }
            }
            FleetAct::StoreDown { ms } => {
                self.store_down_until = self.store_down_until.max(now + ms * MS);
                self.at(now + ms * MS, Event::StoreUp);
            }
            FleetAct::GoBack { by_ms, fill } => {
                self.store.go_back(now.saturating_sub(by_ms * MS), now, fill);
                self.restart_store();
            }
            FleetAct::Anew => {
                self.store = Store::new(self.scenario.counts_each_key);
                self.restart_store();
            }
            FleetAct::Kill { member } => {
                if let Some(number) = self.live(member) {
                    self.processes.remove(&number);
                }
            }
            FleetAct::Restart { member } => {
                if let Some(number) = self.live(member) {
                    self.processes.remove(&number);
                }
                self.begin(usize::from(member) % self.scenario.members.len().max(1));
            }
            FleetAct::Leave { member } => {
                if let Some(number) = self.live(member) {
                    if let Some(process) = self.processes.get_mut(&number) {
                        process.fleet.leave();
                    }
                    self.poll(number);
                }
            }
            FleetAct::SetClock { member, by_ms } => {
                let Some(number) = self.live(member) else { return };
                if let Some(process) = self.processes.get_mut(&number) {
                    process.clock_set_ms += by_ms;
                }
                self.poll(number);
            }
            FleetAct::Message { workspace, sender } => {
                self.rows += 1;
                let workspace = self.workspaces[usize::from(workspace) % self.workspaces.len()].clone();
                self.unhandled.insert(self.rows);
                let row = Row { seq: self.rows, sender: format!("sender-{sender}") };
                self.feed.entry(workspace).or_default().push(row);
            }
        }
    }

    /// The store has restarted: nothing that is in flight arrives any more.
    fn restart_store(&mut self) {
        (self.restarted, self.went_back) = (self.now, self.now);
        self.renewals.clear();
        self.reconnect_all();
    }

    fn reconnect_all(&mut self) {
        let numbers: Vec<_> = self.processes.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.reconnect(number));
    }

    /// The process's connection breaks. It is made again at once, or when the partition heals.
    fn reconnect(&mut self, number: u64) {
        let (now, is_down) = (self.now, self.store_down_until > self.now);
        let Some(process) = self.processes.get_mut(&number) else { return };
        process.connection += 1;
        process.is_cut = process.partition_until > now || is_down;
        if process.is_cut {
            return;
        }
        let lost = std::mem::take(&mut process.ops);
        let watch = process.watch.take();
        self.deliver(number, Word::Interrupted);
        for (op, writes) in lost {
            self.deliver(number, Word::Outcome(op, unanswered(writes)));
        }
        if let Some((op, _)) = watch {
            self.deliver(number, Word::Outcome(op, StoreOutcome::Failed));
        }
    }

    fn deliver(&mut self, number: u64, word: Word) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&number).filter(|process| !process.is_done) else { return };
        if process.frozen_until > now {
            return process.waiting.push(word);
        }
        self.hear(number, word);
        self.poll(number);
    }

    fn hear(&mut self, number: u64, word: Word) {
        let Some(clocks) = self.processes.get(&number).map(|process| self.clocks(process)) else { return };
        if let (Some(_), Word::Outcome(op, outcome)) = (&self.trace, &word) {
            let shown = match outcome {
                StoreOutcome::Entries(entries) => format!("{} entries", entries.len()),
                other => format!("{other:?}"),
            };
            let op = *op;
            self.note(|| format!("process {number}: {op:?} {shown}"));
        }
        let Some(process) = self.processes.get_mut(&number) else { return };
        match word {
            Word::Interrupted => process.fleet.interrupted(),
            Word::Outcome(op, outcome) => {
                if !matches!(outcome, StoreOutcome::Changed(_)) {
                    process.ops.remove(&op);
                }
                process.fleet.feed(clocks, op, outcome);
            }
        }
    }

    fn thaw(&mut self, number: u64) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&number).filter(|process| process.frozen_until <= now) else {
            return;
        };
        let waiting = std::mem::take(&mut process.waiting);
        // Whatever the process does first, it may be a send.
        self.look_at_hands();
        for word in waiting {
            self.hear(number, word);
        }
        self.poll(number);
        self.look_at_hands();
    }

    fn poll(&mut self, number: u64) {
        loop {
            let Some(clocks) = self.processes.get(&number).map(|process| self.clocks(process)) else { return };
            let now = self.now;
            let Some(process) = self.processes.get_mut(&number) else { return };
            if process.is_done || process.frozen_until > now {
                return;
            }
            match process.fleet.poll(clocks) {
                FleetStep::Store(op, request) => self.send(number, op, request),
                FleetStep::Event(event) => self.told(number, event),
                FleetStep::Idle(wake) => {
                    process.wake += 1;
                    let wait = u64::try_from(wake.at.since(clocks.mono).as_nanos()).unwrap_or(u64::MAX);
                    let event = Event::Wake { process: number, number: process.wake };
                    // A slow clock needs longer.
                    let rate = u64::try_from(
                        100 + i64::from(self.scenario.members[process.member].rate_percent.clamp(-10, 10)),
                    );
                    let wait = wait.saturating_mul(100) / rate.unwrap_or(100) + MS / 10;
                    return self.at(now + wait, event);
                }
                FleetStep::Done(end) => {
                    process.is_done = true;
                    process.runs.clear();
                    self.note(|| format!("process {number} is done: {end:?}"));
                    return;
                }
            }
        }
    }

    /// The weather for a process.
    fn weather(&self, number: u64) -> StoreWeather {
        let weather = self.scenario.weather;
        let member = self.processes.get(&number).map(|process| process.member);
        let hits = weather.of.is_none_or(|of| member == Some(usize::from(of)));
        if hits && self.now < self.last_fault { weather } else { StoreWeather::default() }
    }

    fn hits(&mut self, percent: u8) -> bool {
        percent > 0 && self.rng.u8(..100) < percent
    }

    fn delay(&mut self, slow: u8) -> Nanos {
        let most = if self.hits(slow) { self.ttl / 2 } else { self.ttl / 200 };
        self.rng.u64(MS / 10..most.max(MS))
    }

    fn send(&mut self, number: u64, op: OpId, request: StoreOp) {
        self.operations += 1;
        let shown = if self.trace.is_some() { format!("{request:?}") } else { String::new() };
        self.note(|| format!("process {number}: {op:?} {shown}"));
        let (now, weather) = (self.now, self.weather(number));
        let is_down = self.store_down_until > now;
        let Some(process) = self.processes.get_mut(&number) else { return };
        let connection = process.connection;
        let writes = matches!(request, StoreOp::Put { .. });
        let is_cut = process.partition_until > now || process.is_cut || is_down;
        if let StoreOp::Watch { prefix } = request {
            if is_cut || !self.scenario.watches {
                process.ops.insert(op, false);
                return self.at(now + self.ttl / 100, Event::GiveUp { process: number, op });
            }
            process.watch = Some((op, prefix));
            return;
        }
        process.ops.insert(op, writes);
        self.at(now + self.ttl / 3, Event::GiveUp { process: number, op });
        if is_cut || self.hits(weather.lost_before) {
            return;
        }
        let delay = if writes && self.hits(weather.late) {
            self.rng.u64(..2 * self.ttl).min(self.last_fault.saturating_sub(now))
        } else {
            self.delay(weather.slow)
        };
        self.at(now + delay, Event::Arrive(Sent { process: number, connection, at: now, op, request }));
    }

    fn arrive(&mut self, sent: Sent) {
        let now = self.now;
        if self.store_down_until > now {
            // It waits in a server that stands still, or is lost.
            if self.rng.bool() {
                self.at(self.store_down_until, Event::Arrive(sent));
            }
            return;
        }
        // What was on its way to a store that went back was lost with it.
        if sent.at < self.went_back {
            return;
        }
        let Sent { process: number, connection, at, op, request } = sent;
        let stale = self.processes.get(&number).and_then(|process| process.stale.as_ref());
        let stale = stale.filter(|(until, _)| *until > now).map(|(_, snapshot)| snapshot);
        let outcome = match request {
            StoreOp::Get { key } => StoreOutcome::Entry(match stale {
                Some(snapshot) => snapshot.get(&key).cloned(),
                None => self.store.get(&key).cloned(),
            }),
            StoreOp::List { prefix } => StoreOutcome::Entries(match stale {
                Some(snapshot) => snapshot.values().filter(|entry| entry.key.starts_with(&prefix)).cloned().collect(),
                None => self.store.list(&prefix),
            }),
            StoreOp::Put { key, value, expected } => {
                let cas = self.store.put(now, &key, value, expected);
                if matches!(cas, Cas::Done(_)) {
                    self.written(&key, at);
                }
                StoreOutcome::Put(cas)
            }
            StoreOp::Watch { .. } => return,
        };
        let weather = self.weather(number);
        let is_partitioned = self.processes.get(&number).is_none_or(|process| process.partition_until > now);
        if is_partitioned || self.hits(weather.lost_after) {
            return;
        }
        let delay = self.delay(weather.slow.max(weather.slow_answers));
        self.at(now + delay, Event::Answer { process: number, connection, op, outcome });
    }

    /// A write is stored: the watches tell it, and a fence is judged.
    fn written(&mut self, key: &str, sent: Nanos) {
        let Some(entry) = self.store.get(key).cloned() else { return };
        let before = self.store.before(key).cloned();
        if let Some(member) = key.strip_prefix("m.").and_then(|member| member.parse::<MemberId>().ok()) {
            self.judge_member(member, &entry, sent);
        }
        let watches = self.processes.values().filter(|process| process.partition_until <= self.now && !process.is_cut);
        let watches = watches.filter_map(|process| {
            let (op, prefix) = process.watch.as_ref()?;
            entry.key.starts_with(prefix).then_some((process.number, process.connection, *op))
        });
        for (process, connection, op) in watches.collect::<Vec<_>>() {
            let weather = self.weather(process);
            if !self.hits(weather.skipped) {
                let at = self.now + self.delay(weather.slow);
                let outcome = StoreOutcome::Changed(entry.clone());
                self.at(at, Event::Answer { process, connection, op, outcome });
            }
            if let Some(before) = before.clone()
                && self.hits(weather.repeated)
            {
                let at = self.now + self.delay(weather.slow);
                self.at(at, Event::Answer { process, connection, op, outcome: StoreOutcome::Changed(before) });
            }
        }
    }

    fn judge_member(&mut self, member: MemberId, entry: &StoreEntry, sent: Nanos) {
        let value: serde_json::Value = serde_json::from_slice(&entry.value).unwrap_or_default();
        match value.get("fenced_by").and_then(serde_json::Value::as_str) {
            None => {
                self.renewals.insert(member, self.now);
            }
            Some(by) if by != member.as_str() => {
                let restarted = if self.restarted <= sent { self.restarted } else { 0 };
                let since = self.renewals.get(&member).copied().unwrap_or(0).max(restarted);
                let ago =
                    Duration::from_nanos(sent.saturating_sub(since)).div_duration_f64(Duration::from_nanos(self.ttl));
                self.note(|| format!("{member} is fenced by {by}"));
                self.judge.fenced(self.now, member.as_str(), ago);
            }
            Some(_) => {}
        }
    }

    fn told(&mut self, number: u64, event: FleetEvent) {
        self.note(|| format!("process {number}: {event:?}"));
        let now = self.now;
        let Some(process) = self.processes.get_mut(&number) else { return };
        match event {
            FleetEvent::Gained { part, epoch, journal } => {
                let cursor = journal.and_then(|journal| journal.parse().ok()).unwrap_or(0);
                process.runs.insert(part.clone(), Work { cursor, saved: false, drains: false });
                self.judge.gained(now, &part, epoch, number);
                self.look_at_hands();
            }
            FleetEvent::Lost { part } => {
                process.runs.remove(&part);
            }
            FleetEvent::Released { part } => {
                process.runs.remove(&part);
                self.released.insert(part, now);
            }
            FleetEvent::Drain { part } => {
                if let Some(work) = process.runs.get_mut(&part) {
                    work.drains = true;
                }
            }
            FleetEvent::Saved { part } => {
                if let Some(work) = process.runs.get_mut(&part) {
                    work.saved = true;
                }
            }
            FleetEvent::Joined { .. } | FleetEvent::Fenced { .. } | FleetEvent::StoodDown { .. } => {}
        }
    }

    /// Judges who may send for what at this moment.
    fn look_at_hands(&mut self) {
        let mut hands: BTreeMap<&PartId, Vec<u64>> = BTreeMap::new();
        for process in self.processes.values().filter(|process| process.frozen_until <= self.now && !process.is_done) {
            let clocks = self.clocks(process);
            for part in process.runs.keys().filter(|part| process.fleet.may_send(clocks, part)) {
                hands.entry(part).or_default().push(process.number);
            }
        }
        for (part, processes) in hands {
            self.judge.acts(self.now, part, &processes);
        }
    }

    /// The agents of a process handle what has come in, one row of each part at a time.
    fn work(&mut self, number: u64) {
        let Some(process) = self.processes.get(&number) else { return };
        if process.frozen_until > self.now || process.is_done {
            return;
        }
        let clocks = self.clocks(process);
        let reaches_store = process.partition_until <= self.now && self.store_down_until <= self.now;
        let parts: Vec<_> = process.runs.keys().cloned().collect();
        for part in parts {
            let Some(process) = self.processes.get_mut(&number) else { return };
            let (Some(work), true) = (process.runs.get_mut(&part), process.fleet.may_send(clocks, &part)) else {
                continue;
            };
            let acked = self.acked.get(&part.workspace).copied().unwrap_or(0);
            let rows = self.feed.get(&part.workspace).map(Vec::as_slice).unwrap_or_default();
            let is_new = |row: &&Row| row.seq > work.cursor.max(acked);
            let next = rows.iter().find(is_new).filter(|_| !work.drains);
            if let Some(row) = next {
                work.cursor = row.seq;
                if part_of(Some(&row.sender), self.scenario.parts.max(1)) == part.part {
                    self.unhandled.remove(&row.seq);
                }
                work.saved = false;
                process.fleet.save_journal(&part, work.cursor.to_string());
            } else if work.drains {
                if work.saved || work.cursor == 0 {
                    process.fleet.drained(clocks, &part);
                    self.released.insert(part.clone(), self.now);
                } else {
                    process.fleet.save_journal(&part, work.cursor.to_string());
                }
            }
            if part.part == 0 && reaches_store {
                let journal = |number: u16| {
                    let key = format!("j.{}.{number}", part.workspace);
                    let value: serde_json::Value = serde_json::from_slice(&self.store.get(&key)?.value).ok()?;
                    value.get("journal")?.as_str()?.parse().ok()
                };
                let cursors: Vec<Option<u64>> = (0..self.scenario.parts.max(1)).map(journal).collect();
                if let Some(seq) = self.rules.acknowledged(&cursors) {
                    let acked = self.acked.entry(part.workspace.clone()).or_default();
                    *acked = (*acked).max(seq);
                }
            }
        }
        self.poll(number);
    }

    fn settled(&mut self) {
        let is_able = |process: &&Process| !process.is_done;
        if !self.processes.values().any(|process| is_able(&process)) {
            // Nobody is left.
            self.unhandled.clear();
            return;
        }
        let parts = self
            .workspaces
            .iter()
            .flat_map(|workspace| (0..self.scenario.parts.max(1)).map(|part| PartId::new(workspace.clone(), part)));
        for part in parts.collect::<Vec<_>>() {
            let runs = |process: &Process| process.fleet.may_send(self.clocks(process), &part);
            // Its next owner sees it with the next listing, if the store has no watch.
            let is_handed_over = self.released.get(&part).is_some_and(|at| self.now - at <= self.ttl / 2);
            let is_run = self.processes.values().any(runs) || is_handed_over;
            self.judge.runs(self.now, &part, is_run);
        }
    }
}

/// The outcome of an operation without an answer.
fn unanswered(writes: bool) -> StoreOutcome {
    if writes { StoreOutcome::Put(Cas::Unknown) } else { StoreOutcome::Failed }
}
