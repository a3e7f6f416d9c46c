//! Every machine under random sequences of answers, faults, time jumps, changes of the session and cancels.
//!
//! The driver of these tests checks at every step that a machine returns at most 64 steps without input, sets no wake
//! in the past, asks only the platform's origin, has at most one request in flight in each lane, and prints no secret.

#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Debug;

use molecule_core::effect::plugin::PluginOp;
use molecule_core::effect::{Effect, EffectId, Fault, FaultKind, HostOp, HostResult, LockId, Outcome, Phase, Sent};
use molecule_core::machine::Machine;
use molecule_core::machines::Run;
use molecule_core::proto::Time;
use molecule_core::{Report, Result};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use support::*;

/// One event in a machine's life.
#[derive(Debug, Clone)]
enum Act {
    /// The platform or the store answers the effect in flight.
    Good {
        which: usize,
    },
    /// The effect gets an odd answer.
    Odd {
        which: usize,
        status: u16,
        body: usize,
        headers: u8,
    },
    /// The effect fails.
    Fault {
        which: usize,
        kind: usize,
        maybe: bool,
    },
    /// An outcome of another kind, or for another id.
    Foreign {
        which: usize,
        id: u64,
    },
    Advance {
        millis: u64,
    },
    /// The clocks jump to the end of their range.
    Jump,
    /// Only the wall clock jumps.
    Calendar {
        secs: i64,
    },
    Cancel,
    /// A poll without any other input.
    LookAgain,
    Stop {
        now: bool,
    },
    Report {
        tasks: u32,
    },
    Moved {
        url: bool,
    },
    /// The workspace's state on the platform changes.
    Platform {
        change: usize,
    },
    /// The store begins or stops to fail.
    Store {
        act: usize,
    },
}

fn acts() -> impl Strategy<Value = Act> {
    let which = 0usize..4;
    prop_oneof![
        12 => which.clone().prop_map(|which| Act::Good { which }),
        5 => (which.clone(), statuses(), 0..bodies().len(), any::<u8>())
            .prop_map(|(which, status, body, headers)| Act::Odd { which, status, body, headers }),
        3 => (which.clone(), 0..FAULTS.len(), any::<bool>())
            .prop_map(|(which, kind, maybe)| Act::Fault { which, kind, maybe }),
        1 => (which, any::<u64>()).prop_map(|(which, id)| Act::Foreign { which, id }),
        8 => (0u64..70_000).prop_map(|millis| Act::Advance { millis }),
        1 => any::<u64>().prop_map(|millis| Act::Advance { millis }),
        1 => any::<i64>().prop_map(|secs| Act::Calendar { secs }),
        1 => prop::bool::weighted(0.1).prop_map(|end| if end { Act::Jump } else { Act::Advance { millis: 300_000 } }),
        1 => prop::bool::weighted(0.1).prop_map(|end| if end { Act::Cancel } else { Act::Advance { millis: 30_000 } }),
        1 => prop_oneof![
            8 => Just(Act::LookAgain),
            1 => Just(Act::Stop { now: false }),
            1 => Just(Act::Stop { now: true }),
        ],
        1 => prop::bool::weighted(0.1).prop_map(|now| if now { Act::Stop { now } } else { Act::Advance { millis: 1 } }),
        1 => (0u32..3).prop_map(|tasks| Act::Report { tasks }),
        1 => any::<bool>().prop_map(|url| Act::Moved { url }),
        2 => (0usize..9).prop_map(|change| Act::Platform { change }),
        1 => (0usize..7).prop_map(|act| Act::Store { act }),
    ]
}

fn statuses() -> impl Strategy<Value = u16> {
    prop_oneof![
        6 => prop::sample::select(vec![200, 201, 204, 301, 400, 401, 403, 404, 409, 410, 429, 500, 502, 503, 504]),
        1 => 100u16..600,
    ]
}

const FAULTS: [FaultKind; 12] = [
    FaultKind::Resolve,
    FaultKind::Connect,
    FaultKind::Tls,
    FaultKind::Proxy,
    FaultKind::Timeout(Phase::Connect),
    FaultKind::Timeout(Phase::Total),
    FaultKind::Interrupted,
    FaultKind::Protocol,
    FaultKind::TooLarge,
    FaultKind::Host(std::io::ErrorKind::StorageFull),
    FaultKind::Locked,
    FaultKind::Cancelled,
];

fn above_cap(status: u16) -> Fault {
    let Outcome::Failed(fault) = Answer::html(status).above_cap() else { unreachable!() };
    fault
}

/// Good and bad bodies of every endpoint. Those that carry a secret carry it also where it is not expected.
fn bodies() -> Vec<String> {
    let token = secret("odd");
    let connection = |token: serde_json::Value| {
        json!({"connection": {
            "workspace_id": ID, "platform_url": ORIGIN, "auth_token": token, "registry_endpoint": "", "heartbeat_endpoint": "",
        }})
    };
    let mut bodies = vec![
        String::new(),
        "<html>".to_owned(),
        "404 page not found".to_owned(),
        format!("{{\"auth_token\": \"{token}\""),
        format!("[\"{token}\", 1e999]"),
    ];
    bodies.extend(
        [
            json!({"error": "no"}),
            json!({"error": "invalid request body"}),
            json!({"error": {"message": token}}),
            json!({"error": "down", "code": "platform_unavailable", "retry_after": 3}),
            json!({"error": "gate", "code": "TENANT_ORG_HEADER_REQUIRED"}),
            json!({"status": "registered", "auth_token": token, "delivery_mode": "poll", "platform_inbound_secret": token}),
            json!({"status": "registered", "auth_token": ""}),
            json!({"status": "registered", "auth_token": format!("two {token}")}),
            json!({"status": "registered", "auth_token": [token]}),
            json!({"status": {"auth_token": token}}),
            json!({"status": "ok", "generation": 9, "platform_inbound_secret": secret("inbound2")}),
            json!({"status": "ok", "platform_inbound_secret": 7}),
            json!({"status": "ok"}),
            json!({"id": ID, "status": "online", "kind": "workspace"}),
            json!({"id": ID, "status": "paused"}),
            json!({"id": ID, "status": "removed"}),
            json!({"id": "nonsense", "status": 7}),
            json!({"workspace_id": ID, "status": "online", "paused": false, "deleted": false}),
            json!({"workspace_id": ID, "status": "paused", "paused": true, "deleted": false}),
            json!({"workspace_id": ID, "status": "awaiting_agent", "paused": false, "deleted": false}),
            json!({"workspace_id": ID, "deleted": true}),
            json!({"workspace_id": ID, "status": null, "paused": "false", "deleted": "no"}),
            json!({"KEY": token}),
            json!({"KEY": {"nested": token}}),
            json!({"auth_token": token, "workspace_id": ID}),
            json!({"auth_token": 5, "workspace_id": ID}),
            connection(json!(token)),
            connection(json!("")),
            connection(json!("ROTATE_TO_REVEAL_TOKEN")),
            json!({"tokens": [{"id": "00000000-0000-4000-8000-000000000000", "prefix": "first-s3"}], "count": 1}),
            json!({"tokens": []}),
        ]
        .map(|body| body.to_string()),
    );
    bodies
}

fn odd(effect: &Effect, status: u16, body: usize, headers: u8) -> Outcome {
    let mut body = bodies()[body].clone();
    // The application may see a peer's reply, and a peer knows no secret of the agent.
    if matches!(effect, Effect::Http(request, _) if request.uri().path().ends_with("/a2a")) {
        body = body.replace(MARK, "word");
    }
    let mut answer = Answer::text(status, body);
    for (bit, name, value) in [
        (0, "retry-after", "2"),
        (1, "retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"),
        (2, "retry-after", "-1"),
        (3, "x-ratelimit-limit", "600"),
        (4, "x-ratelimit-remaining", "1"),
        (5, "x-ratelimit-reset", "4294967295"),
        (6, "location", "https://u:s3cr3t@other.example/x?token=s3cr3t#s3cr3t"),
        (7, "content-type", "text/html"),
    ] {
        if headers & (1 << bit) != 0 {
            answer = answer.header(name, value);
        }
    }
    answer.outcome()
}

fn change(platform: &mut Platform, change: usize) {
    match change {
        0 => platform.status = "paused".to_owned(),
        1 => platform.status = "online".to_owned(),
        2 => platform.status = "failed".to_owned(),
        3 => platform.removed = true,
        4 => platform.live.clear(),
        5 => platform.live = [secret("others")].into(),
        6 => drop(platform.live.insert(secret("first"))),
        7 => platform.inbound = Some(secret("newer")),
        _ => platform.inbound = None,
    }
}

struct Case<'a, M: Machine> {
    setup: &'a mut Setup<M>,
    driven: Driven<M>,
    /// Whether the machine was told to end.
    ending: bool,
}

impl<M, T> Case<'_, M>
where
    M: Machine<Output = Result<T>> + Debug,
    T: Debug,
{
    fn target(&self, which: usize) -> Option<EffectId> {
        let flying = self.driven.in_flight.len();
        self.driven.in_flight.keys().nth(which.checked_rem(flying)?).copied()
    }

    fn answer(&mut self, id: EffectId) {
        if let Some(decoded) = self.driven.decoded(id) {
            self.driven.feed(&mut self.setup.agent, id, decoded);
            return;
        }
        let Setup { agent, platform, .. } = &mut *self.setup;
        let outcome = match performed(agent, &self.driven.in_flight[&id], |seen| platform.serve(seen)) {
            Reply::Now(outcome) | Reply::After(_, outcome) => outcome,
            Reply::Never => return,
        };
        self.driven.feed(agent, id, outcome);
    }

    /// Returns whether the loop is ending: it then cancels its effects in flight, and gives its lock back last.
    fn let_go(&self) -> bool {
        let unlock = |effect: &Effect| matches!(effect, Effect::Host(HostOp::Unlock(_)));
        self.ending || self.driven.in_flight.values().any(unlock)
    }

    fn perform(&mut self, act: &Act) {
        match *act {
            Act::Good { which } => {
                if let Some(id) = self.target(which) {
                    self.answer(id);
                }
            }
            Act::Odd { which, status, body, headers } => {
                let requests = |(id, effect): (&EffectId, &Effect)| {
                    matches!(effect, Effect::Http(..) | Effect::Fetch(..) | Effect::Upload(..) | Effect::Watch(..))
                        .then_some(*id)
                };
                let flying: Vec<_> = self.driven.in_flight.iter().filter_map(requests).collect();
                if let Some(id) = which.checked_rem(flying.len()).map(|index| flying[index]) {
                    let outcome = odd(&self.driven.in_flight[&id], status, body, headers);
                    let back = self.driven.feed(&mut self.setup.agent, id, outcome);
                    assert!(back.is_none() || self.let_go(), "refused its own answer");
                }
            }
            Act::Fault { which, kind, maybe } => {
                // A lock that cannot be released ends with the process, and there is none here.
                let unlock = |id: &EffectId| matches!(self.driven.in_flight[id], Effect::Host(HostOp::Unlock(_)));
                if let Some(id) = self.target(which).filter(|id| !unlock(id)) {
                    let sent = if maybe { Sent::Maybe } else { Sent::No };
                    // Without a lock, an operation that only reads goes on.
                    if let Effect::Host(HostOp::Plugin(PluginOp::Lock(_))) = self.driven.in_flight[&id]
                        && let FaultKind::Host(_) = FAULTS[kind]
                    {
                        self.setup.agent.store.shelf.read_only = true;
                    }
                    let fault = match FAULTS[kind] {
                        // The same form as a driver's fault.
                        FaultKind::TooLarge if maybe => above_cap([200, 302, 401, 404, 410, 503][which % 6]),
                        kind => Fault::with_source(sent, kind, "a reason"),
                    };
                    let back = self.driven.feed(&mut self.setup.agent, id, Outcome::Failed(fault));
                    let is_cancelled = self.driven.cancelled.contains(&id);
                    assert!(back.is_none() || is_cancelled || self.let_go(), "refused its own fault");
                }
            }
            Act::Foreign { which, id } => self.foreign(which, id),
            Act::Advance { millis } => self.setup.agent.advance(Duration::from_millis(millis)),
            Act::Jump => self.setup.agent.advance_to(Time::from_nanos(u64::MAX)),
            Act::Calendar { secs } => self.setup.agent.now.unix = molecule_core::proto::UnixTime::from_secs(secs),
            Act::Cancel => {
                self.ending = true;
                self.driven.machine.cancel(&mut self.setup.agent.cx());
            }
            Act::LookAgain => {}
            Act::Stop { now } => {
                self.ending = true;
                self.setup.agent.session.raise_stop(now);
            }
            Act::Report { tasks } => self.setup.agent.session.report(Report::new().active_tasks(tasks)).unwrap(),
            Act::Moved { url } => {
                let url = url.then(|| "https://agent.example/a2a".to_owned());
                self.setup.agent.session.set_reported_url(url).unwrap();
            }
            Act::Platform { change: which } => change(&mut self.setup.platform, which),
            Act::Store { act } => match ["Prepare", "Load", "Replace", "Lock", "Append"].get(act) {
                Some(act) => self.setup.agent.store.fail(act),
                None => self.setup.agent.store.mend(),
            },
        }
    }

    fn foreign(&mut self, which: usize, id: u64) {
        let wrong: fn() -> Outcome = || Outcome::Host(HostResult::Locked(LockId(99)));
        let late: fn() -> Outcome = || Answer::error(401, "late").outcome();
        let flying = self.target(which).filter(|id| matches!(self.driven.in_flight[id], Effect::Http(..)));
        let unknown = Some(EffectId(id)).filter(|id| !self.driven.in_flight.contains_key(id));
        for (id, outcome) in [(flying, wrong), (unknown, wrong), (unknown, late)] {
            let Some(id) = id else { continue };
            let back = self.driven.machine.feed(&mut self.setup.agent.cx(), id, outcome());
            assert!(same(&back.unwrap_err(), &outcome()), "not given back");
        }
    }

    fn go(mut self, acts: &[Act]) {
        for act in acts {
            if self.driven.settle(&mut self.setup.agent) == Rest::Done {
                break;
            }
            self.perform(act);
        }
        if self.driven.settle(&mut self.setup.agent) != Rest::Done {
            self.driven.machine.cancel(&mut self.setup.agent.cx());
        }
        // The loop that receives messages lets its handlers finish and saves what they have said.
        let (is_draining, rounds) = if self.setup.name == DRAINS { (true, 60) } else { (false, 8) };
        for _ in 0..rounds {
            let wake = match self.driven.settle(&mut self.setup.agent) {
                Rest::Done => break,
                Rest::Idle(wake) => wake,
            };
            let id = match (self.target(0), wake) {
                (None, Some(wake)) if is_draining => {
                    self.setup.agent.advance_to(wake.at);
                    continue;
                }
                (target, _) => target.expect("waits for no outcome although it was cancelled"),
            };
            self.answer(id);
        }
        assert!(self.driven.done.is_some(), "goes on after it was cancelled");
        let views = |seen: &&Seen| seen.is(support::platform::VIEW);
        assert!(self.setup.platform.seen.iter().filter(views).all(|seen| seen.bearer.is_none()));
        let admins = |seen: &&Seen| seen.bearer.as_ref() == Some(&self.setup.platform.admin);
        let minting = |seen: &Seen| seen.is(support::platform::MINT) || seen.is(support::platform::ROTATE);
        assert!(self.setup.platform.seen.iter().filter(admins).all(minting), "the admin's credential went elsewhere");
        assert_eq!(self.setup.agent.store.locked, None, "the lock was kept");
    }
}

struct SurvivesAnything {
    /// The percentage of the requested cases.
    share: u32,
}

impl Check for SurvivesAnything {
    fn check<M, T>(&self, make: &dyn Fn() -> Setup<M>)
    where
        M: Machine<Output = Result<T>> + Debug,
        T: Debug,
    {
        survives(self.share, make);
    }
}

fn survives<M, T>(share: u32, make: &dyn Fn() -> Setup<M>)
where
    M: Machine<Output = Result<T>> + Debug,
    T: Debug,
{
    // `PROPTEST_CASES` may ask for more than the default of 256.
    let cases = (Config::default().cases * share).div_ceil(100);
    let config = Config {
        cases,
        failure_persistence: persisted(),
        source_file: Some(file!()),
        max_shrink_iters: 4000,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&vec(acts(), 1..120), |acts| {
        let mut setup = make();
        let driven = Driven::new(make().machine);
        Case { setup: &mut setup, driven, ending: false }.go(&acts);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{}: {failure}", make().name);
    }
}

#[test]
fn every_machine_survives_anything() {
    each_machine(&SurvivesAnything { share: 15 });
}

#[test]
fn the_loop_survives_anything() {
    for (held, platform) in [
        (true, Platform::current as fn() -> Platform),
        (true, Platform::april),
        (false, || Platform::current().without_token()),
        (false, || Platform::april().without_token()),
    ] {
        let make = move || {
            let options = Agent::options().on_pause(molecule_core::OnPause::Wait);
            let mut agent = Agent::with(options, 7);
            agent.store.token = held.then(|| secret("first"));
            Setup { name: "run", agent, machine: Run::new(), platform: platform() }
        };
        survives(20, &make);
    }
}

/// Messages of the user and of peers wait, so that handlers, replies, the journal and the feed are under way together.
#[test]
fn the_loop_that_receives_survives_anything() {
    for platform in [Platform::current as fn() -> Platform, Platform::april] {
        let make = move || {
            let inbox = molecule_core::InboxOptions::new().concurrency(3);
            let mut agent = Agent::with(Agent::options().on_pause(molecule_core::OnPause::Wait).inbox(inbox), 7);
            agent.store.token = Some(secret("first"));
            let mut platform = platform();
            for number in 0..12 {
                let at = agent.now.unix;
                match number % 3 {
                    0 => platform.feed.user(at, "hello"),
                    1 => platform.feed.peer(at, support::platform::PEER, "hello"),
                    _ => platform.feed.peer(at, &row_id(number), "hello"),
                };
            }
            Setup { name: DRAINS, agent, machine: Run::with_inbox(), platform }
        };
        survives(15, &make);
    }
}

/// A sequence that once made a loop cancel a finished effect: the loop learnt of a pause while it stored a secret and
/// asked the view before a register.
struct PausedWhileASecretIsStored;

impl Check for PausedWhileASecretIsStored {
    fn check<M, T>(&self, make: &dyn Fn() -> Setup<M>)
    where
        M: Machine<Output = Result<T>> + Debug,
        T: Debug,
    {
        let good = |which| Act::Good { which };
        let advance = |millis| Act::Advance { millis };
        let mut acts = vec![good(0); 7];
        acts.extend([advance(31_106), Act::Platform { change: 7 }, Act::Moved { url: true }, advance(58_897), good(0)]);
        acts.extend([Act::Fault { which: 2, kind: 0, maybe: false }, good(0), advance(997), good(3), good(1), good(2)]);
        let mut setup = make();
        let driven = Driven::new(make().machine);
        Case { setup: &mut setup, driven, ending: false }.go(&acts);
    }
}

#[test]
fn a_register_is_given_up_while_a_secret_is_stored() {
    each_machine(&PausedWhileASecretIsStored);
}
