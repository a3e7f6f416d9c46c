use std::time::Duration;

use http::{Request, Response};
use molecule_proto::{Time, UnixTime};

use super::*;
use crate::config::options::Options;
use crate::effect::{FaultKind, Sent};

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
