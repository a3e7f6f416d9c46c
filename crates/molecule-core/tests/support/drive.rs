//! A driver for any machine, on virtual time. It checks that the machine keeps to the contract.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use molecule_core::effect::{Effect, EffectId, Fault, FaultKind, Handle, HostOp, Outcome, Sent};
use molecule_core::machine::{MAX_STEPS, Machine, Step, Wake};
use molecule_core::proto::Time;
use molecule_core::{Event, Result};

use super::agent::{Agent, MARK, ORIGIN};
use super::answer::Reply;
use super::platform::{REGISTER, Seen, VIEW};

/// A machine and its effects in flight.
pub struct Driven<M: Machine> {
    pub machine: M,
    /// The effects that were started and not yet fed.
    pub in_flight: BTreeMap<EffectId, Effect>,
    /// Those effects in flight that the machine has cancelled.
    pub cancelled: BTreeSet<EffectId>,
    /// The pending outcomes, by their time.
    due: BTreeMap<(Time, EffectId), Outcome>,
    /// The effects that no server has received yet.
    fresh: Vec<EffectId>,
    pub events: Vec<Event>,
    pub done: Option<M::Output>,
}

/// The next thing that happens to a machine.
#[derive(Debug)]
pub enum Next {
    /// This outcome has arrived.
    Outcome(EffectId, Outcome),
    /// The time of the machine's wake has come.
    Wake,
    /// Nothing happens before the given time.
    Later,
    Done,
}

/// The state in which a machine rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    Idle(Option<Wake>),
    Done,
}

impl<M, T> Driven<M>
where
    M: Machine<Output = Result<T>> + Debug,
    T: Debug,
{
    pub fn new(machine: M) -> Self {
        Self {
            machine,
            in_flight: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            due: BTreeMap::new(),
            fresh: Vec::new(),
            events: Vec::new(),
            done: None,
        }
    }

    /// Polls until the machine rests: at most [`MAX_STEPS`] steps, each within the contract.
    pub fn settle(&mut self, agent: &mut Agent) -> Rest {
        if self.done.is_some() {
            return Rest::Done;
        }
        for _ in 0..MAX_STEPS {
            match self.machine.poll(&mut agent.cx()) {
                Step::Start(id, effect) => self.started(agent, id, effect),
                Step::Cancel(id) => {
                    agent.note(format!("cancel {}", id.0));
                    self.cancelled.insert(id);
                    // An operation of the host goes on after a cancel, and so does a handler: the outcome comes late.
                    if matches!(self.in_flight.get(&id), Some(Effect::Host(_) | Effect::Handle(_))) {
                        continue;
                    }
                    assert!(self.in_flight.contains_key(&id), "cancelled what is not in flight");
                    // A fetch stays in flight until its destination is no longer used.
                    if !matches!(self.in_flight[&id], Effect::Fetch(..)) {
                        self.in_flight.remove(&id);
                    }
                    self.due.retain(|(_, due), _| *due != id);
                    self.fresh.retain(|fresh| *fresh != id);
                    let cancelled = Outcome::Failed(Fault::new(Sent::Maybe, FaultKind::Cancelled));
                    self.due.insert((agent.now.mono, id), cancelled);
                }
                Step::Event(event) => {
                    agent.note(format!("event {event:?}"));
                    self.events.push(event);
                }
                Step::Idle(wake) => {
                    let debug = format!("{:?}", self.machine);
                    assert!(!debug.contains(MARK), "a secret in the machine's Debug: {debug}");
                    match wake {
                        Some(wake) => assert!(wake.at > agent.now.mono, "a wake in the past: {wake:?}"),
                        None => assert!(!self.in_flight.is_empty(), "idle for ever with nothing in flight"),
                    }
                    return Rest::Idle(wake);
                }
                Step::Done(output) => {
                    match &output {
                        Ok(value) => agent.note(format!("done {value:?}")),
                        Err(error) => {
                            assert!(!format!("{error:?}").contains(MARK), "a secret in an error");
                            agent.note(format!("done error: {error}"));
                        }
                    }
                    self.done = Some(output);
                    self.dispose_of_the_rest(agent);
                    return Rest::Done;
                }
            }
        }
        panic!("more than {MAX_STEPS} steps without input:\n{}", agent.take_trace());
    }

    fn started(&mut self, agent: &mut Agent, id: EffectId, effect: Effect) {
        // The large answer is decoded at once. The effect in flight stands for it from here on.
        let effect = match effect {
            Effect::Decode(decode) => {
                agent.note(format!("start {} Decode", id.0));
                self.due.insert((agent.now.mono, id), decode.perform());
                assert!(self.in_flight.insert(id, Effect::Host(HostOp::Prepare)).is_none(), "an effect id twice");
                return;
            }
            effect => effect,
        };
        assert!(!format!("{effect:?}").contains(MARK), "a secret in an effect's Debug");
        match &effect {
            Effect::Http(request, limits)
            | Effect::Fetch(request, limits, _)
            | Effect::Upload(request, limits, _)
            | Effect::Watch(request, limits) => {
                let at = request.uri();
                let origin = format!("{}://{}", at.scheme_str().unwrap(), at.authority().unwrap());
                if origin != ORIGIN {
                    stranger(&origin, request);
                }
                assert!(!limits.total.is_zero(), "a request that may take no time");
                // A stream may be silent for longer than its head may take.
                let is_stream = matches!(effect, Effect::Watch(..));
                for part in [limits.connect, limits.head, if is_stream { limits.total } else { limits.read }] {
                    assert!(!part.is_zero() && part <= limits.total, "{limits:?}");
                }
                assert!(!limits.read.is_zero(), "{limits:?}");
                let seen = Seen::new(request, agent.now);
                let lane = lane(&seen);
                let beside = self.in_flight.values().filter_map(|other| match other {
                    Effect::Http(request, _)
                    | Effect::Fetch(request, ..)
                    | Effect::Upload(request, ..)
                    | Effect::Watch(request, _) => Some(Seen::new(request, agent.now)),
                    Effect::Host(_) | Effect::Handle(_) | Effect::Decode(_) => None,
                });
                assert!(
                    !beside.into_iter().any(|other| self::lane(&other) == lane),
                    "two requests in the lane of {lane}"
                );
                agent.note(format!("start {} {seen}", id.0));
            }
            Effect::Host(op) => agent.note(format!("start {} {op:?}", id.0)),
            Effect::Handle(handle) => agent.note(format!("start {} {handle:?}", id.0)),
            Effect::Decode(_) => unreachable!("read above"),
        }
        assert!(self.in_flight.insert(id, effect).is_none(), "an effect id twice");
        self.fresh.push(id);
    }

    /// After `Done` a driver disposes of all effects in flight: the machine must not take their outcomes.
    fn dispose_of_the_rest(&mut self, agent: &mut Agent) {
        for ((_, id), outcome) in std::mem::take(&mut self.due) {
            self.in_flight.remove(&id);
            let back = self.machine.feed(&mut agent.cx(), id, outcome).expect_err("fed after Done");
            agent.store.dispose(&back);
        }
        for (id, effect) in std::mem::take(&mut self.in_flight) {
            let outcome = match &effect {
                // The test already holds its outcome.
                Effect::Host(_) if !self.fresh.contains(&id) => continue,
                Effect::Host(op) => agent.store.perform(op),
                Effect::Http(..)
                | Effect::Fetch(..)
                | Effect::Upload(..)
                | Effect::Watch(..)
                | Effect::Handle(_)
                | Effect::Decode(_) => Outcome::Failed(Fault::new(Sent::Maybe, FaultKind::Cancelled)),
            };
            let back = self.machine.feed(&mut agent.cx(), id, outcome).expect_err("fed after Done");
            agent.store.dispose(&back);
        }
        self.fresh.clear();
        assert!(matches!(self.machine.poll(&mut agent.cx()), Step::Idle(None)), "a step after Done");
    }

    /// Feeds an outcome. Returns what the machine gives back.
    pub fn feed(&mut self, agent: &mut Agent, id: EffectId, outcome: Outcome) -> Option<Outcome> {
        agent.note(format!("feed {} {outcome:?}", id.0));
        self.fresh.retain(|fresh| *fresh != id);
        let is_final = outcome.is_final();
        let back = self.machine.feed(&mut agent.cx(), id, outcome).err();
        match &back {
            None if !is_final => assert!(self.in_flight.contains_key(&id), "took a part that it did not ask for"),
            None => assert!(self.in_flight.remove(&id).is_some(), "took an outcome that it did not ask for"),
            Some(outcome) => {
                agent.note(format!("given back {}", id.0));
                self.in_flight.remove(&id);
                agent.store.dispose(outcome);
            }
        }
        back
    }

    /// Takes the outcome of a large answer that was decoded.
    pub fn decoded(&mut self, id: EffectId) -> Option<Outcome> {
        let key = self.due.iter().find(|((_, due), outcome)| *due == id && matches!(outcome, Outcome::Decoded(_)))?;
        let key = *key.0;
        self.due.remove(&key)
    }

    /// Performs an effect, on the agent's store or by asking the server.
    pub fn perform(&mut self, agent: &mut Agent, id: EffectId, server: &mut impl FnMut(&Seen) -> Reply) {
        self.fresh.retain(|fresh| *fresh != id);
        let now = agent.now;
        let reply = performed(agent, &self.in_flight[&id], server);
        match reply {
            Reply::Now(outcome) => self.due.insert((now.mono, id), outcome),
            Reply::After(wait, outcome) => self.due.insert((now.mono + wait, id), outcome),
            Reply::Never => None,
        };
    }

    /// Polls, performs the started effects, and advances the clock to what happens next: an outcome, a wake, or the
    /// end.
    pub fn next(&mut self, agent: &mut Agent, until: Time, server: &mut impl FnMut(&Seen) -> Reply) -> Next {
        let Rest::Idle(wake) = self.settle(agent) else { return Next::Done };
        while !self.fresh.is_empty() {
            let id = self.fresh[0];
            self.perform(agent, id, server);
        }
        let due = self.due.first_key_value().map(|(&(at, _), _)| at.max(agent.now.mono));
        let next = due.into_iter().chain(wake.map(|wake| wake.at)).min();
        let Some(next) = next.filter(|next| *next <= until) else {
            agent.advance_to(until);
            return Next::Later;
        };
        if let Some(wake) = wake.filter(|_| due != Some(next)) {
            agent.note(format!("idle until +{:.1} s: {}", next.since(agent.now.mono).as_secs_f64(), wake.why));
        }
        agent.advance_to(next);
        match self.due.first_entry().filter(|entry| entry.key().0 <= next) {
            Some(entry) => {
                let ((_, id), outcome) = entry.remove_entry();
                Next::Outcome(id, outcome)
            }
            None => Next::Wake,
        }
    }

    /// Drives the machine until `Done`, or until the clock reads `until`.
    pub fn drive_until(&mut self, agent: &mut Agent, until: Time, server: &mut impl FnMut(&Seen) -> Reply) -> Next {
        let (from, mut inputs) = (agent.now.mono, 0);
        loop {
            // A machine that goes on without end where no time passes would keep a driver busy for ever.
            inputs = if agent.now.mono > from { 0 } else { inputs + 1 };
            assert!(inputs < 100_000, "no time passes and no end comes:\n{}", agent.take_trace());
            match self.next(agent, until, server) {
                Next::Outcome(id, outcome) => {
                    self.feed(agent, id, outcome);
                }
                Next::Wake => {}
                end @ (Next::Later | Next::Done) => return end,
            }
        }
    }

    /// Drives the machine for this time, or until `Done`.
    pub fn drive_for(
        &mut self,
        agent: &mut Agent,
        time: std::time::Duration,
        server: &mut impl FnMut(&Seen) -> Reply,
    ) -> Next {
        let until = agent.now.mono + time;
        self.drive_until(agent, until, server)
    }

    /// Drives the machine to its end. Panics if there is none within an hour.
    pub fn finish(&mut self, agent: &mut Agent, server: &mut impl FnMut(&Seen) -> Reply) -> Result<T> {
        let end = self.drive_for(agent, super::secs(3600), server);
        assert!(matches!(end, Next::Done), "no end within an hour:\n{}", agent.take_trace());
        self.done.take().unwrap()
    }
}

/// The outcome of an effect: of an operation on the agent's store, or of a request to the server.
pub fn performed(agent: &mut Agent, effect: &Effect, mut server: impl FnMut(&Seen) -> Reply) -> Reply {
    match effect {
        Effect::Host(op @ HostOp::Append(..)) => Reply::After(agent.store.append_takes, agent.store.perform(op)),
        Effect::Host(op) => Reply::Now(agent.store.perform(op)),
        Effect::Handle(handle) => agent.handle(&handle.message),
        Effect::Decode(_) => Reply::Never,
        Effect::Http(request, _) | Effect::Upload(request, ..) | Effect::Watch(request, _) => {
            server(&Seen::new(request, agent.now))
        }
        Effect::Fetch(request, _, dest) => server(&Seen::new(request, agent.now)).map(|outcome| match outcome {
            Outcome::Response(answer) if answer.status() == 200 => agent.store.shelf.fetched(dest, answer),
            other => other,
        }),
    }
}

/// Drives a machine from its beginning to its end.
pub fn run<M, T>(agent: &mut Agent, machine: M, mut server: impl FnMut(&Seen) -> Reply) -> Result<T>
where
    M: Machine<Output = Result<T>> + Debug,
    T: Debug,
{
    Driven::new(machine).finish(agent, &mut server)
}

/// How the tokens begin that peers made for the agent.
pub const FOR_PEER: &str = "for-peer";

/// Asserts what may go to another origin than the platform's: a message over https, and nothing about the agent, but for a token
/// that the peer itself made.
fn stranger(origin: &str, request: &http::Request<bytes::Bytes>) {
    assert!(origin.starts_with("https://"), "a request in clear to {origin}");
    let token = request.headers().get("authorization").map(|token| token.to_str().unwrap());
    assert!(token.is_none_or(|token| token.starts_with(&format!("Bearer {FOR_PEER}"))), "another token to {origin}");
    let names: Vec<_> = request.headers().keys().map(http::HeaderName::as_str).collect();
    let names: Vec<_> = names.into_iter().filter(|name| *name != "authorization").collect();
    assert_eq!(names, ["accept", "accept-encoding", "content-type", "user-agent"], "to {origin}");
    let text = format!("{:?} {:?}", request.headers(), request.body());
    assert!(!text.contains(MARK), "a secret to {origin}");
}

/// The lane of a request. Two requests of one lane exclude each other; the view and the register are one lane.
fn lane(seen: &Seen) -> String {
    if seen.is(VIEW) { REGISTER.to_owned() } else { format!("{} {}", seen.method, seen.path) }
}

/// Returns whether two outcomes are equal, content included.
pub fn same(one: &Outcome, other: &Outcome) -> bool {
    match (one, other) {
        (Outcome::Response(one), Outcome::Response(other)) => {
            one.status() == other.status() && one.headers() == other.headers() && one.body() == other.body()
        }
        (Outcome::Host(one), Outcome::Host(other)) => one == other,
        (Outcome::Failed(one), Outcome::Failed(other)) => (one.sent, one.kind) == (other.sent, other.kind),
        _ => false,
    }
}
