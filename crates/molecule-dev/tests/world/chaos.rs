//! Faults on purpose: each does what it says, to whom it says, and is an input of the log.

use std::time::Instant;

use crate::common::{Folder, beat, create, get, send};
use molecule_dev::{Act, Chaos, ChaosRule, Dev, ExchangeKind, Fault, Filter, Options};
use molecule_proto::{Token, WorkspaceId, path};

fn started() -> (Dev, WorkspaceId, Token) {
    let dev = Dev::start(Options::in_memory().empty(true)).unwrap();
    let (id, token) = create(dev.world(), "mine");
    (dev, id, token)
}

fn provoke(dev: &Dev, rule: ChaosRule) {
    dev.world().set_chaos(Chaos::none().rule(rule));
}

fn last_beat(dev: &Dev, id: &WorkspaceId) -> bool {
    dev.world().read(None, |platform, _| platform.last_heartbeat(id).is_some()).unwrap()
}

#[test]
fn refusals_come_instead_of_the_platform() {
    let (dev, id, token) = started();
    for (fault, status, part) in [
        (Fault::RateLimited { retry_after_s: 7 }, 429, "rate limit"),
        (Fault::Unavailable, 503, "unavailable"),
        (Fault::Html, 502, "<html>"),
    ] {
        provoke(&dev, ChaosRule::new(fault).path("/registry/heartbeat"));
        let body = format!("{{\"workspace_id\":\"{id}\"}}");
        let (got, text) = send(&dev, "POST", path::HEARTBEAT, Some(token.expose()), &body);
        assert_eq!(got, status);
        assert!(text.contains(part), "{text}");
        assert!(!last_beat(&dev, &id), "the platform has not seen it");
        assert_eq!(get(&dev, &path::state(&id), token.expose()).0, 200, "another path passes");
        let hit = &dev.world().exchanges(&Filter::new().failed(true)).unwrap()[0];
        assert_eq!((hit.status, hit.chaos, hit.workspace.as_ref()), (Some(status), Some(fault), Some(&id)));
        let whole = dev.world().exchange(hit.line).unwrap();
        let ExchangeKind::Request { answer: Some(answer), .. } = whole.kind else { panic!("{whole:?}") };
        assert_eq!(answer.status(), status);
        if status == 429 {
            assert_eq!(answer.headers()["retry-after"], "7");
        }
    }
    dev.world().set_chaos(Chaos::none());
    assert_eq!(beat(&dev, &id, &token, 1), 200);
}

#[test]
fn one_agent_meets_it_by_its_bearer_and_by_its_path_and_others_do_not() {
    let (dev, id, token) = started();
    let (other, others) = create(dev.world(), "other");
    provoke(&dev, ChaosRule::new(Fault::Unavailable).workspace(id.clone()));
    assert_eq!(beat(&dev, &id, &token, 1), 503);
    assert_eq!(get(&dev, &path::state(&id), token.expose()).0, 503);
    assert_eq!(beat(&dev, &other, &others, 1), 200);
    assert_eq!(get(&dev, &path::state(&other), others.expose()).0, 200);
}

#[test]
fn an_answer_that_is_lost_or_halved_was_acted_upon() {
    for (fault, is_lost) in [(Fault::Lost, true), (Fault::Half, false)] {
        let (dev, id, token) = started();
        provoke(&dev, ChaosRule::new(fault));
        let address = dev.url().strip_prefix("http://").unwrap();
        let body = format!("{{\"workspace_id\":\"{id}\"}}");
        let request = format!(
            "POST /registry/heartbeat HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
            token.expose(),
            body.len()
        );
        let (status, text) = crate::common::exchange(address, &request);
        assert!(last_beat(&dev, &id), "the platform has acted");
        if is_lost {
            assert_eq!((status, text.as_str()), (0, ""));
        } else {
            assert_eq!(status, 200);
            let line = dev.world().exchanges(&Filter::new()).unwrap()[0].line;
            let whole = dev.world().exchange(line).unwrap();
            assert_eq!(whole.chaos, Some(fault));
            let ExchangeKind::Request { answer: Some(answer), .. } = whole.kind else { panic!("{whole:?}") };
            assert_eq!(text.as_bytes(), &answer.body()[..answer.body().len() / 2]);
            assert!(!text.is_empty());
        }
    }
}

#[test]
fn a_slow_request_arrives_late_and_the_database_fails_for_one_path_alone() {
    let (dev, id, token) = started();
    provoke(&dev, ChaosRule::new(Fault::Slow { ms: 120 }));
    let started = Instant::now();
    assert_eq!(beat(&dev, &id, &token, 1), 200);
    assert!(started.elapsed().as_millis() >= 120);

    provoke(&dev, ChaosRule::new(Fault::DatabaseDown).path("/state"));
    assert_eq!(get(&dev, &path::state(&id), token.expose()).0, 401);
    assert_eq!(beat(&dev, &id, &token, 2), 200);
    // A database that the owner switched off stays off.
    dev.world().act(Act::SetDatabaseDown { down: true });
    assert_eq!(get(&dev, &path::state(&id), token.expose()).0, 401);
    assert!(dev.world().read(None, |platform, _| platform.is_database_down()).unwrap());
}

#[test]
fn faults_are_in_the_log_and_last_over_a_restart() {
    let folder = Folder::new();
    let dev = Dev::start(Options::at(folder.log()).empty(true)).unwrap();
    let (id, token) = create(dev.world(), "mine");
    let chaos = Chaos::none().rule(ChaosRule::new(Fault::Lost).path("/state")).rule(ChaosRule::new(Fault::Half));
    dev.world().set_chaos(chaos.clone());
    let set = dev.world().line();
    assert!(matches!(dev.world().exchange(set).unwrap().kind, ExchangeKind::Chaos(logged) if logged == chaos));
    assert_eq!(get(&dev, &path::state(&id), token.expose()).0, 0);
    dev.stop().unwrap();
    let dev = Dev::start(Options::at(folder.log())).unwrap();
    assert_eq!(dev.world().chaos(), chaos);
    assert_eq!(dev.opened().unwrap().mismatched, 0);
    assert_eq!(get(&dev, &path::state(&id), token.expose()).0, 0);
}
