//! A handler that panics or fails is told, offered the message again, and the message is a dead letter in the end.

use molecule_e2e::core::{Event, Reply};
use molecule_e2e::{Log, scenario};

scenario!(a_handler_that_panics_is_told_and_offered_the_message_again, [April, Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let seen = Log::default();
    let running = agent.start_with({
        let seen = seen.clone();
        move |message| {
            seen.push(message.attempt());
            match message.attempt() {
                1 => panic!("no\nmodel"),
                2 => Err("no key\u{1b}[31m".to_owned()),
                _ => Ok(Some(Reply::text("hello yourself"))),
            }
        }
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    world.platform(|platform, now| platform.send_user_message(now, &id, "hello")).unwrap();
    agent.events().wait_for("the reply", |event| matches!(event, Event::ReplyEnded { .. }));
    assert_eq!(seen.all(), [1, 2, 3]);
    let errors: Vec<String> = agent.events().all().into_iter().filter_map(told).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0].contains("panicked: no\\nmodel") && errors[1].contains("failed: no key\\u{1b}[31m"),
        "{errors:?}"
    );
    running.stop();
});

scenario!(a_message_whose_handler_always_fails_is_a_dead_letter, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).inbox(|inbox| inbox.attempts(2)).build().unwrap();
    let running = agent.start_with(|message| match &*message.text() {
        "poison" => panic!("poisoned"),
        _ => Ok(None),
    });
    agent.events().wait_for("its first good beat", |event| *event == Event::Online);
    world.platform(|platform, now| platform.send_user_message(now, &id, "poison")).unwrap();
    let dead = agent.events().wait_for("the dead letter", |event| matches!(event, Event::DeadLetter { .. }));
    let Event::DeadLetter { attempts: 2, why, .. } = dead else { panic!("{dead:?}") };
    assert!(why.contains("poisoned"), "{why}");
    running.stop();
});

fn told(event: Event) -> Option<String> {
    if let Event::HandlerFailed { error, .. } = event { Some(error) } else { None }
}
