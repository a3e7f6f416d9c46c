use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use molecule_proto::{Now, Time, Token, UnixTime, Wake};

use super::*;
use crate::config::options::Options;
use crate::effect::decode::Decode;
use crate::effect::{Fault, FaultKind, Limits, LockId, Sent, Slot};
use crate::event::Event;
use crate::session::Session;
use crate::session::credential::Persistence;
use crate::session::turn::Turn;

const ID: &str = "7fda77bf-a467-441c-9fab-f71f5a2b9a41";

fn session() -> Session {
    Session::new(Options::new("http://127.0.0.1:8080", ID).build().unwrap(), 7)
}

fn at(session: &mut Session, secs: u64) -> Cx<'_> {
    let now = Now { mono: Time::ZERO + Duration::from_secs(secs), unix: UnixTime::from_secs(1_795_383_587) };
    Cx { now, session }
}

fn started<Out: Debug>(step: Step<Out>) -> EffectId {
    match step {
        Step::Start(id, _) => id,
        step => panic!("{step:?}"),
    }
}

/// Sends a request and reads its answer by an effect.
fn sending() -> Flow<Result<usize, Cancelled>> {
    Flow::new("test", |line| async move {
        let limits = Limits::of(Duration::from_secs(1), 8);
        match line.http("send", Request::new(Bytes::new()), limits).await? {
            Ok(answer) => Ok(line.decode("read", move || answer.body().len()).await?.unwrap_or(usize::MAX)),
            Err(_) => Ok(0),
        }
    })
}

#[test]
fn an_outcome_that_does_not_fit_its_effect_is_given_back() {
    let (mut session, mut flow) = (session(), sending());
    let id = started(flow.poll(&mut at(&mut session, 0)));
    for other in [Outcome::Host(HostResult::Prepared), Decode::new(|| 5_usize).perform()] {
        let shown = format!("{other:?}");
        let back = flow.feed(&mut at(&mut session, 0), id, other).unwrap_err();
        assert_eq!(format!("{back:?}"), shown);
        assert!(matches!(flow.poll(&mut at(&mut session, 0)), Step::Idle(None)));
    }
    flow.feed(&mut at(&mut session, 0), id, Outcome::Response(Response::new(Bytes::from_static(b"three")))).unwrap();
    let id = started(flow.poll(&mut at(&mut session, 0)));
    for other in [Outcome::Response(Response::new(Bytes::new())), Decode::new(|| "of another type").perform()] {
        flow.feed(&mut at(&mut session, 0), id, other).unwrap_err();
        assert!(matches!(flow.poll(&mut at(&mut session, 0)), Step::Idle(None)));
    }
    flow.feed(&mut at(&mut session, 0), id, Decode::new(|| 5_usize).perform()).unwrap();
    assert!(matches!(flow.poll(&mut at(&mut session, 0)), Step::Done(Ok(5))));
}

#[test]
fn a_fault_answers_every_effect() {
    let fault = || Outcome::Failed(Fault::new(Sent::No, FaultKind::Connect));
    let (mut session, mut flow) = (session(), sending());
    let id = started(flow.poll(&mut at(&mut session, 0)));
    flow.feed(&mut at(&mut session, 0), id, fault()).unwrap();
    assert!(matches!(flow.poll(&mut at(&mut session, 0)), Step::Done(Ok(0))));

    let mut flow = sending();
    let id = started(flow.poll(&mut at(&mut session, 0)));
    flow.feed(&mut at(&mut session, 0), id, Outcome::Response(Response::new(Bytes::new()))).unwrap();
    let id = started(flow.poll(&mut at(&mut session, 0)));
    flow.feed(&mut at(&mut session, 0), id, fault()).unwrap();
    assert!(matches!(flow.poll(&mut at(&mut session, 0)), Step::Done(Ok(usize::MAX))));
}

#[test]
fn an_effect_of_a_cancelled_flow_is_cancelled_and_its_outcome_given_back() {
    let (mut session, mut flow) = (session(), sending());
    let id = started(flow.poll(&mut at(&mut session, 0)));
    flow.cancel(&mut at(&mut session, 0));
    assert!(matches!(flow.poll(&mut at(&mut session, 0)), Step::Cancel(cancelled) if cancelled == id));
    flow.feed(&mut at(&mut session, 0), id, Outcome::Response(Response::new(Bytes::new()))).unwrap_err();
    assert!(matches!(flow.poll(&mut at(&mut session, 0)), Step::Done(Err(Cancelled("test")))));
}

#[test]
fn a_limited_child_is_cancelled_at_its_limit_and_not_before() {
    let limit = |secs| Wake { at: Time::ZERO + Duration::from_secs(secs), why: "the limit" };
    let mut session = session();
    let mut child = Limited { machine: sending(), limit: Some(limit(3)) };
    let id = started(child.poll(&mut at(&mut session, 0)));
    assert!(matches!(child.poll(&mut at(&mut session, 2)), Step::Idle(Some(wake)) if wake == limit(3)));
    assert!(matches!(child.poll(&mut at(&mut session, 3)), Step::Cancel(cancelled) if cancelled == id));
    assert!(matches!(child.poll(&mut at(&mut session, 3)), Step::Done(Err(_))));

    let mut child = Limited { machine: sending(), limit: None };
    started(child.poll(&mut at(&mut session, 0)));
    assert!(matches!(child.poll(&mut at(&mut session, 3600)), Step::Idle(None)));
}

/// A machine and its session, polled at one moment.
struct Polled<Out> {
    session: Session,
    flow: Flow<Out>,
}

impl<Out: Debug> Polled<Out> {
    fn new<F>(code: impl FnOnce(Line) -> F) -> Self
    where
        F: Future<Output = Out> + Send + 'static,
    {
        Self { session: session(), flow: Flow::new("test", code) }
    }

    fn poll(&mut self) -> Step<Out> {
        self.flow.poll(&mut at(&mut self.session, 0))
    }

    #[track_caller]
    fn started(&mut self, effect: &str) -> EffectId {
        match self.poll() {
            Step::Start(id, Effect::Host(op)) if format!("{op:?}") == effect => id,
            step => panic!("{effect} is not started: {step:?}"),
        }
    }

    #[track_caller]
    fn cancelled(&mut self, id: EffectId) {
        let step = self.poll();
        assert!(matches!(step, Step::Cancel(cancelled) if cancelled == id), "{step:?}");
    }

    #[track_caller]
    fn told(&mut self, event: &str) {
        let step = self.poll();
        assert!(matches!(&step, Step::Event(Event::Warning(told)) if told == event), "{step:?}");
    }

    #[track_caller]
    fn rests(&mut self) {
        let step = self.poll();
        assert!(matches!(step, Step::Idle(None)), "{step:?}");
    }

    #[track_caller]
    fn done(&mut self) -> Out {
        match self.poll() {
            Step::Done(output) => output,
            step => panic!("{step:?}"),
        }
    }

    fn cancel(&mut self) {
        self.flow.cancel(&mut at(&mut self.session, 0));
    }

    fn feed(&mut self, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        self.flow.feed(&mut at(&mut self.session, 0), id, outcome)
    }
}

fn host(result: HostResult) -> Outcome {
    Outcome::Host(result)
}

fn gone() -> Outcome {
    Outcome::Failed(Fault::new(Sent::Maybe, FaultKind::Cancelled))
}

fn said(text: &str) -> Event {
    Event::Warning(text.to_owned())
}

const IN_A_SECOND: Wake = Wake { at: Time::from_nanos(1_000_000_000), why: "test" };

/// A child that loads the token, and fails where it was told to end.
fn loading() -> Flow<Result<(), Cancelled>> {
    Flow::new("child", |line| async move {
        let _ = line.load("load", Slot::Token).await?;
        Ok(())
    })
}

/// Comes to its one wait, of whichever kind.
async fn wait(line: &Line, kind: usize) {
    match kind {
        0 => drop(line.host("here", HostOp::Prepare).await),
        1 => drop(line.host_to_the_end("here", HostOp::Prepare).await),
        2 => drop(line.host_until_told("here", HostOp::Prepare, said("begun")).await),
        3 => drop(line.run("here", loading(), Parting::give_up()).await),
        4 => drop(line.run("here", loading(), Parting::finish()).await),
        5 => drop(line.run_to_the_last_outcome("here", loading()).await),
        _ => drop(line.pause("here", IN_A_SECOND).await),
    }
}

const KINDS: std::ops::Range<usize> = 0..7;

#[test]
fn a_turn_is_given_back_when_the_machine_is_dropped_at_any_wait() {
    for kind in KINDS {
        let mut polled = Polled::new(move |line| async move {
            let _turn = line.turn("take the turn").await;
            wait(&line, kind).await;
        });
        let _ = polled.poll();
        let Polled { mut session, flow } = polled;
        assert!(format!("{flow:?}").contains("has_turn: true"), "{kind}: {flow:?}");
        Turn::default().take(Time::ZERO, &mut session).unwrap_err();
        drop(flow);
        Turn::default().take(Time::ZERO, &mut session).unwrap();
    }
}

#[test]
fn a_turn_is_given_back_where_its_guard_goes() {
    let mut polled = Polled::new(|line| async move {
        drop(line.turn("take the turn").await);
        let _ = line.host("prepare", HostOp::Prepare).await;
    });
    polled.started("Prepare");
    assert!(format!("{:?}", polled.flow).contains("has_turn: false"), "{:?}", polled.flow);
    Turn::default().take(Time::ZERO, &mut polled.session).unwrap();
}

#[test]
fn a_turn_that_another_has_is_waited_for_unless_the_caller_goes() {
    let mut turn = Turn::default();
    for goes in [false, true] {
        let mut polled = Polled::new(|line| async move { line.turn("take the turn").await.map(drop) });
        turn.take(Time::ZERO, &mut polled.session).unwrap();
        assert!(matches!(polled.poll(), Step::Idle(Some(_))));
        if goes {
            polled.cancel();
        } else {
            turn.give_back();
        }
        // Also before the moment at which it wanted to be polled.
        let end = polled.poll();
        assert!(matches!(end, Step::Done(end) if end.is_err() == goes));
    }
}

#[test]
fn a_lock_is_given_back_before_the_end_which_waits_for_it() {
    for fails in [false, true] {
        let mut polled = Polled::new(move |line| async move {
            let _lock = line.guard(LockId(5));
            line.tell(said("told first"));
            if fails { Err(Cancelled("test")) } else { Ok(()) }
        });
        polled.told("told first");
        let id = polled.started("Unlock(5)");
        polled.rests();
        for (stranger, outcome) in [(id, host(HostResult::Prepared)), (EffectId(99), host(HostResult::Unlocked))] {
            polled.feed(stranger, outcome).unwrap_err();
            polled.rests();
        }
        polled.feed(id, if fails { gone() } else { host(HostResult::Unlocked) }).unwrap();
        assert_eq!(polled.done().is_err(), fails);
    }
}

#[test]
fn a_lock_is_given_back_before_the_next_wait_begins() {
    let mut polled = Polled::new(|line| async move {
        drop(line.guard(LockId(5)));
        let _ = line.host("prepare", HostOp::Prepare).await;
    });
    let id = polled.started("Unlock(5)");
    polled.rests();
    polled.feed(id, host(HostResult::Unlocked)).unwrap();
    polled.started("Prepare");
}

#[test]
fn what_is_under_a_lock_ends_before_the_lock_is_given_back() {
    for way_out in [OnCancel::Tell, OnCancel::Finish] {
        let mut polled = Polled::new(move |line| async move {
            let _lock = line.guard(LockId(5));
            match way_out {
                OnCancel::Finish => drop(line.host_to_the_end("finish", HostOp::Prepare).await),
                _ => drop(line.host_until_told("until told", HostOp::Prepare, said("begun")).await),
            }
        });
        let id = polled.started("Prepare");
        polled.cancel();
        if way_out == OnCancel::Tell {
            polled.told("begun");
            polled.cancelled(id);
        }
        polled.rests();
        polled.feed(id, gone()).unwrap();
        let id = polled.started("Unlock(5)");
        polled.feed(id, host(HostResult::Unlocked)).unwrap();
        polled.done();
    }
}

#[test]
fn after_a_lock_was_given_back_by_hand_the_code_sees_that_its_caller_went() {
    let mut polled = Polled::new(|line| async move {
        line.guard(LockId(5)).give_back().await;
        line.check()?;
        line.host_to_the_end("prepare", HostOp::Prepare).await.map_err(|_| Cancelled("fault"))
    });
    let id = polled.started("Unlock(5)");
    polled.cancel();
    polled.rests();
    polled.feed(id, host(HostResult::Unlocked)).unwrap();
    assert!(matches!(polled.done(), Err(Cancelled("test"))));
}

#[test]
fn the_session_is_back_after_a_panic() {
    let in_a_look = |line: Line| async move { line.with(|_| panic!("in a look")) };
    let in_the_code = |line: Line| async move {
        line.with(|_| {});
        panic!("in the code")
    };
    fn panics<F: Future<Output = ()> + Send + 'static>(code: impl FnOnce(Line) -> F) {
        let mut polled = Polled::new(code);
        polled.session.poll_refused = true;
        let id = polled.session.next_effect();
        catch_unwind(AssertUnwindSafe(|| polled.poll())).unwrap_err();
        assert!(polled.session.poll_refused, "a blank session");
        assert_eq!(polled.session.next_effect(), EffectId(id.0 + 1));
    }
    panics(in_a_look);
    panics(in_the_code);
}

#[test]
fn what_the_code_does_to_the_session_stays() {
    let mut polled = Polled::new(|line| async move {
        line.with(|cx| cx.session.poll_refused = true);
        let _ = line.host("prepare", HostOp::Prepare).await;
    });
    polled.started("Prepare");
    assert!(polled.session.poll_refused);
}

#[test]
fn code_that_waits_for_anything_but_its_line_is_a_defect_and_no_endless_loop() {
    let mut polled = Polled::new(|_| std::future::pending::<()>());
    catch_unwind(AssertUnwindSafe(|| polled.poll())).unwrap_err();
}

#[test]
fn an_outcome_for_another_id_is_given_back_at_every_wait() {
    for kind in KINDS {
        let mut polled = Polled::new(move |line| async move { wait(&line, kind).await });
        let _ = polled.poll();
        let back = polled.feed(EffectId(99), host(HostResult::Prepared)).unwrap_err();
        assert!(matches!(back, Outcome::Host(HostResult::Prepared)), "{kind}");
        let back = polled.feed(EffectId(99), gone()).unwrap_err();
        assert!(matches!(back, Outcome::Failed(_)), "{kind}");
    }
}

/// What is told goes first, so that the caller may go before the effect is started.
#[test]
fn an_effect_that_was_not_started_is_started_after_a_cancel_only_if_it_is_to_be_finished() {
    for kind in 0..3 {
        let mut polled = Polled::new(move |line| async move {
            line.tell(said("told first"));
            wait(&line, kind).await;
        });
        polled.told("told first");
        polled.cancel();
        if kind == 1 {
            let id = polled.started("Prepare");
            polled.feed(id, host(HostResult::Prepared)).unwrap();
        }
        polled.done();
    }
}

#[test]
fn a_bound_act_is_finished_whether_the_caller_is_there_or_not() {
    let code = |line: Line| async move { line.host_to_the_end("prepare", HostOp::Prepare).await.map_err(drop) };
    for goes_first in [true, false] {
        let mut polled = Polled::new(code);
        if goes_first {
            polled.cancel();
        }
        let id = polled.started("Prepare");
        polled.cancel();
        polled.rests();
        assert!(polled.flow.must_be_finished());
        polled.feed(id, host(HostResult::Prepared)).unwrap();
        assert!(matches!(polled.done(), Ok(HostResult::Prepared)));
    }
}

#[test]
fn an_act_that_takes_long_is_told_to_end_and_its_outcome_is_waited_for() {
    let code = |line: Line| async move {
        let ended = line.host_until_told("prepare", HostOp::Prepare, said("begun")).await?;
        Ok::<_, Cancelled>(ended.is_ok())
    };
    let mut polled = Polled::new(code);
    let id = polled.started("Prepare");
    polled.told("begun");
    polled.rests();
    polled.cancel();
    assert!(polled.flow.must_be_finished());
    polled.cancelled(id);
    polled.rests();
    assert!(polled.flow.must_be_finished());
    polled.feed(id, host(HostResult::Unlocked)).unwrap_err();
    polled.feed(id, host(HostResult::Prepared)).unwrap();
    assert!(polled.done().unwrap());

    // Its outcome comes before anybody was told.
    let mut polled = Polled::new(code);
    let id = polled.started("Prepare");
    polled.told("begun");
    polled.cancel();
    polled.feed(id, gone()).unwrap();
    assert!(!polled.done().unwrap());

    let mut polled = Polled::new(code);
    polled.cancel();
    assert!(matches!(polled.done(), Err(Cancelled("test"))));
}

#[test]
fn a_pause_ends_with_its_moment_or_with_the_caller() {
    for goes in [false, true] {
        let mut polled = Polled::new(|line| async move { line.pause("pause", IN_A_SECOND).await });
        assert!(matches!(polled.poll(), Step::Idle(Some(wake)) if wake == IN_A_SECOND));
        if goes {
            polled.cancel();
            assert!(matches!(polled.done(), Err(Cancelled("test"))));
        } else {
            assert!(matches!(polled.flow.poll(&mut at(&mut polled.session, 1)), Step::Done(Ok(()))));
        }
    }
}

#[test]
fn a_child_is_given_up_or_finished_as_its_parting_says() {
    let loaded = || host(HostResult::Loaded(None));
    for is_bound in [false, true] {
        let mut polled = Polled::new(move |line| async move {
            let parting = if is_bound { Parting::finish() } else { Parting::give_up() };
            line.run("child", loading(), parting).await
        });
        let id = polled.started("Load(Token)");
        assert_eq!(polled.flow.must_be_finished(), is_bound);
        polled.cancel();
        if is_bound {
            polled.rests();
            polled.feed(id, loaded()).unwrap();
            assert!(polled.done().is_ok());
        } else {
            polled.cancelled(id);
            polled.feed(id, loaded()).unwrap_err();
            assert!(matches!(polled.done(), Err(Cancelled("child"))));
        }

        // The caller is gone before the child begins.
        let mut polled = Polled::new(move |line| async move {
            let parting = if is_bound { Parting::finish() } else { Parting::give_up() };
            line.run("child", loading(), parting).await
        });
        polled.cancel();
        if is_bound {
            polled.started("Load(Token)");
        } else {
            assert!(matches!(polled.done(), Err(Cancelled("child"))));
        }
    }
}

#[test]
fn what_a_child_gave_up_is_waited_for_where_its_outcome_is_owed() {
    let code = |line: Line| async move { line.run_to_the_last_outcome("child", loading()).await };
    let mut polled = Polled::new(code);
    let id = polled.started("Load(Token)");
    polled.cancel();
    polled.cancelled(id);
    polled.rests();
    // Of whichever kind, but for what comes before the end.
    polled.feed(id, Outcome::Progress(crate::unpack::Progress::default())).unwrap();
    polled.rests();
    polled.feed(EffectId(99), gone()).unwrap_err();
    polled.feed(id, Outcome::Response(Response::new(Bytes::new()))).unwrap();
    assert!(matches!(polled.done(), Err(Outcome::Response(_))));

    let mut polled = Polled::new(code);
    let id = polled.started("Load(Token)");
    polled.feed(id, host(HostResult::Loaded(None))).unwrap();
    assert!(matches!(polled.done(), Ok(Ok(()))));

    // Nothing was under way.
    let mut polled = Polled::new(code);
    polled.cancel();
    assert!(matches!(polled.done(), Ok(Err(Cancelled("child")))));
}

#[test]
fn its_debug_names_where_it_stands_and_shows_no_secret() {
    const SECRET: &str = "a-secret-of-the-agent";
    for kind in KINDS {
        let mut polled = Polled::new(move |line| async move {
            let own = line.with(|cx| cx.session.held().map(|held| held.token.clone()));
            line.tell(said("told first"));
            wait(&line, kind).await;
            let bytes = own.expect("it is held").expose().as_bytes().to_vec().into();
            let _ = line.host_to_the_end("store it", HostOp::Replace(Slot::Token, bytes)).await;
        });
        polled.session.hold(Token::new(SECRET).unwrap(), Persistence::Stored);
        polled.told("told first");
        let shown = |polled: &Polled<()>, label: &str| {
            let shown = format!("{:?}", polled.flow);
            assert!(shown.contains("\"test\"") && shown.contains(&format!("at: {label:?}")), "{kind}: {shown}");
            assert!(!shown.contains(SECRET), "{kind}: {shown}");
            shown
        };
        shown(&polled, "here");
        let step = polled.poll();
        if let 3..=5 = kind {
            assert!(shown(&polled, "here").contains("\"child\""), "what the child waits for");
        }
        if let Step::Start(id, _) = step {
            polled.feed(id, gone()).unwrap();
            while !matches!(polled.poll(), Step::Start(..)) {}
            shown(&polled, "store it");
        }
    }
}
