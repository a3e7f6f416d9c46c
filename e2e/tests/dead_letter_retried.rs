//! A dead letter is listed and offered again, beside a running loop and before one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use molecule_e2e::core::{ErrorKind, Event, Reply};
use molecule_e2e::{Agent, Log, World, scenario};

/// Whether the handler can handle what was a dead letter.
type Switch = Arc<AtomicBool>;

fn handler(is_mended: &Switch, seen: &Log<u32>) -> impl molecule_e2e::MessageHandler + use<> {
    let (is_mended, seen) = (Arc::clone(is_mended), seen.clone());
    move |message| {
        seen.push(message.attempt());
        if is_mended.load(Ordering::Acquire) { Ok(Some(Reply::text("done"))) } else { Err("no model".to_owned()) }
    }
}

fn dead_letter(world: &World, agent: &Agent, text: &str) -> String {
    let id = agent.workspace_id();
    let before = agent.events().count(|event| matches!(event, Event::DeadLetter { .. }));
    world.platform(|platform, now| platform.send_user_message(now, &id, text)).unwrap();
    let is_dead = |event: &Event| matches!(event, Event::DeadLetter { .. });
    agent.events().wait_for_count("a dead letter", before + 1, is_dead);
    let letters = agent.dead_letters().unwrap();
    let letter = letters.iter().find(|letter| letter.message.text() == text).unwrap();
    assert_eq!((letter.attempts, letter.is_retried), (1, false));
    assert!(letter.why.contains("no model"), "{}", letter.why);
    letter.message.id().to_string()
}

fn is_sent(event: &Event) -> bool {
    matches!(event, Event::ReplyEnded { .. })
}

scenario!(a_dead_letter_is_offered_again_beside_a_loop_and_before_one, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let build = || world.setup(&id).token(&token).inbox(|inbox| inbox.attempts(1)).build().unwrap();
    let (is_mended, seen, agent) = (Switch::default(), Log::default(), build());
    let running = agent.start_with(handler(&is_mended, &seen));
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    let first = dead_letter(&world, &agent, "first");
    let second = dead_letter(&world, &agent, "second");
    assert_eq!(agent.dead_letters().unwrap().len(), 2);

    is_mended.store(true, Ordering::Release);
    agent.retry_dead_letter(&first).unwrap();
    agent.events().wait_for_count("the reply to the first", 1, is_sent);
    let left: Vec<_> = agent.dead_letters().unwrap().iter().map(|letter| letter.message.id().to_string()).collect();
    assert_eq!(left, [second.as_str()]);
    let error = agent.retry_dead_letter(&first).unwrap_err();
    super::assert_told(&error, ErrorKind::NotFound, "no dead letter", "list them with dead_letters()");
    let error = agent.retry_dead_letter("none").unwrap_err();
    super::assert_told(&error, ErrorKind::Config, "none", "id of a message");
    running.stop();

    // Without a loop: the next one does it.
    let next = build();
    next.retry_dead_letter(&second).unwrap();
    assert!(next.dead_letters().unwrap()[0].is_retried);
    let running = next.start_with(handler(&is_mended, &seen));
    next.events().wait_for_count("the reply to the second", 1, is_sent);
    running.stop();
    assert!(next.dead_letters().unwrap().is_empty());
    assert_eq!(seen.all(), [1, 1, 1, 1], "each retry has all its attempts");
    assert_eq!(world.notices(&id), ["done", "done"]);
});
