//! A message that kills the process again and again is a dead letter in the end, and the others are handled.

use molecule_e2e::core::{InboxOptions, Reply};
use molecule_e2e::{Life, Manner, PeerServer, live, scenario};

const CHILD: &str = "poison_message::child";

/// The code with which a poisoned process ends.
const POISONED: i32 = 86;

scenario!(
    a_message_that_kills_the_process_three_times_is_a_dead_letter_at_the_fourth_start,
    [April, Current],
    |stage| {
        let world = stage.world();
        let peers = PeerServer::new(Manner::Echo);
        let (id, token) = world.workspace();
        let agent = world.setup(&id).token(&token).build().unwrap();
        agent.register().unwrap();
        let (peer, peer_token) = world.workspace();
        let registered = world.setup(&peer).token(&peer_token).reported_url(&peers.url()).build().unwrap();
        registered.register().unwrap();
        let say = |text| world.platform(|platform, now| platform.send_user_message(now, &id, text)).unwrap();
        say("poison");
        say("behind it");
        world.platform(|platform, now| platform.send_agent_message(now, &peer, &id, "beside it")).unwrap();

        let start = || Life::start(stage.facade, &world, &id, &token, CHILD);
        for life in 1..=3 {
            assert!(agent.dead_letters().unwrap().is_empty(), "before life {life}");
            assert_eq!(start().ended().code(), Some(POISONED), "life {life}");
        }
        let fourth = start();
        world.wait_until("an answer to the message behind it", |platform| {
            platform.activity(&id).iter().any(|row| row.is_notice())
        });
        peers.heard().wait_for("an answer to the message beside it", |_| true);
        fourth.stop();

        assert_eq!(world.notices(&id), ["re: behind it"]);
        let answers = peers.heard().all();
        assert!(answers.iter().all(|answer| answer.message_id() == answers[0].message_id()), "{answers:?}");
        let dead = agent.dead_letters().unwrap();
        let [letter] = &dead[..] else { panic!("{dead:?}") };
        assert_eq!((&*letter.message.text(), letter.attempts, letter.is_retried), ("poison", 3, false));
        assert!(letter.why.contains("the process ended"), "{}", letter.why);
    }
);

#[test]
#[ignore = "started by the scenarios of this file"]
fn child() {
    live(InboxOptions::new(), |message| match &*message.text() {
        "poison" => std::process::exit(POISONED),
        text => Ok(Some(Reply::text(format!("re: {text}")))),
    });
}
