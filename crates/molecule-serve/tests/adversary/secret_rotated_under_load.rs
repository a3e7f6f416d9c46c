//! The platform replaces its secret while it calls.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;

use http::Response;
use molecule_platform::serve::{Action, Rule};

use crate::raw::{World, assert_good, wait_until};

/// The secrets that the platform may use at this moment.
struct Secrets {
    current: String,
    previous: Option<String>,
}

#[test]
fn no_good_call_is_refused_while_the_secret_changes() {
    const ROTATIONS: usize = 5;
    let world = World::new(|_| {});
    let agent = world.agent.clone();
    let beating = world.runtime.spawn(async move { agent.run_heartbeat_loop().await });
    let secrets = RwLock::new(Secrets { current: world.secret().to_owned(), previous: None });
    let (ended, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let refused = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for caller in 0..4 {
            let (world, secrets, ended, calls, refused) = (&world, &secrets, &ended, &calls, &refused);
            scope.spawn(move || {
                while !ended.load(Ordering::SeqCst) {
                    // The lock is held during the call, so that its secret is one of the good ones until it is answered.
                    let good = secrets.read().unwrap();
                    let secret = match &good.previous {
                        Some(previous) if caller % 2 == 0 => previous,
                        _ => &good.current,
                    };
                    let text = world.fresh("load");
                    let body = World::body(&text, &text);
                    let mut raw = world.connect();
                    let head = world.head_of(secret, &format!("Content-Length: {}\r\n", body.len()));
                    assert!(raw.send(format!("{head}{body}").as_bytes()));
                    match raw.answer() {
                        Some(reply) if reply.status == 200 => assert_good(&reply, &text),
                        other => refused.lock().unwrap().push(format!("{other:?}")),
                    }
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let mut last = None;
        for number in 0..ROTATIONS {
            let before = calls.load(Ordering::SeqCst);
            wait_until("some calls", || calls.load(Ordering::SeqCst) > before + 20);
            let new = format!("rotated-secret-number-{number}-{}", "x".repeat(20));
            let answer = format!(r#"{{"status":"ok","generation":1,"platform_inbound_secret":"{new}"}}"#);
            let answer = Response::builder().header("content-type", "application/json").body(answer.into()).unwrap();
            let rule = world.platform.inject(Rule::path("/registry/heartbeat", Action::Answer(answer)));
            // In this order, so that no beat between the two brings the platform's first secret back.
            if let Some(last) = last.replace(rule) {
                world.platform.release(last);
            }
            // Old calls go on with the old secret while the agent learns the new one.
            wait_until("the new secret", || world.agent.inbound_secret().is_some_and(|its| its.expose() == new));
            let mut secrets = secrets.write().unwrap();
            let old = std::mem::replace(&mut secrets.current, new);
            secrets.previous = Some(old);
            drop(secrets);
            let before = calls.load(Ordering::SeqCst);
            wait_until("some calls", || calls.load(Ordering::SeqCst) > before + 20);
        }
        ended.store(true, Ordering::SeqCst);
    });
    assert_eq!(*refused.lock().unwrap(), Vec::<String>::new(), "of {} calls", calls.load(Ordering::SeqCst));
    world.agent.stopper().stop_now();
    world.runtime.block_on(beating).unwrap().unwrap();
}
