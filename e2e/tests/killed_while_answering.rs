//! An agent that is killed at any moment answers every message, and none of them twice. Each life of the agent is a
//! process of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use molecule_e2e::core::proto::WorkspaceId;
use molecule_e2e::core::{Backlog, InboxOptions, Reply};
use molecule_e2e::host::seed;
use molecule_e2e::{Life, Manner, PeerServer, Stage, World, live, scenario};

/// The test that is an agent's life.
const CHILD: &str = "killed_while_answering::child";

const MESSAGES: usize = 200;
const KILLS: u64 = 50;

scenario!(a_killed_agent_answers_every_message_and_no_peer_twice, [April, Current], |stage| {
    let sent = lives(stage, |life, after| {
        std::thread::park_timeout(after);
        life.kill();
    });
    let (doubles, ids) = sent.answers();
    assert!(doubles <= KILLS, "{doubles} notices were seen twice, with {KILLS} kills");
    assert_eq!(ids, 1, "replies to one message have this many ids");
});

scenario!(a_stopped_agent_answers_every_message_once, [April, Current], |stage| {
    let sent = lives(stage, |life, after| {
        std::thread::park_timeout(after);
        life.stop();
    });
    let (doubles, ids) = sent.answers();
    assert_eq!((doubles, ids), (0, 1));
});

/// What was sent, and who heard the answers.
struct Sent {
    world: World,
    agent: WorkspaceId,
    /// The messages of peers: text and message id.
    asked: BTreeMap<String, String>,
    /// The texts of the user's messages.
    told: BTreeSet<String>,
    peers: PeerServer,
}

/// Sends messages from three senders, and lets the agent live a short time again and again, until all are answered.
fn lives(stage: Stage, end: impl Fn(Life, Duration)) -> Sent {
    let world = stage.world();
    let peers = PeerServer::new(Manner::Echo);
    let (agent, token) = world.workspace();
    let senders: Vec<WorkspaceId> = (0..2)
        .map(|_| {
            let (sender, token) = world.workspace();
            let registered = world.setup(&sender).token(&token).reported_url(&peers.url()).build().unwrap();
            registered.register().unwrap();
            sender
        })
        .collect();
    world.setup(&agent).token(&token).build().unwrap().register().unwrap();
    let mut sent = Sent { world, agent, asked: BTreeMap::new(), told: BTreeSet::new(), peers };
    let mut random = seed();
    for kill in 0..KILLS {
        let until = MESSAGES * (usize::try_from(kill).unwrap() + 1) / usize::try_from(KILLS).unwrap();
        for number in MESSAGES * usize::try_from(kill).unwrap() / usize::try_from(KILLS).unwrap()..until {
            sent.send(&senders, number);
        }
        // A fair share of the kills hits a process that has just begun to answer.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let life = Life::start(stage.facade, &sent.world, &sent.agent, &token, CHILD);
        end(life, Duration::from_millis(20 + (random >> 33) % 300));
    }
    let last = Life::start(stage.facade, &sent.world, &sent.agent, &token, CHILD);
    let since = Instant::now();
    while !sent.is_answered() {
        assert!(since.elapsed() < Duration::from_secs(120), "{}", sent.missing());
        std::thread::park_timeout(Duration::from_millis(50));
    }
    last.stop();
    sent
}

impl Sent {
    fn send(&mut self, senders: &[WorkspaceId], number: usize) {
        let (text, agent) = (format!("message {number}"), self.agent.clone());
        match senders.get(number % 3) {
            Some(sender) => {
                let id = self.world.platform(|platform, now| platform.send_agent_message(now, sender, &agent, &*text));
                self.asked.insert(text, id.unwrap());
            }
            None => {
                self.world.platform(|platform, now| platform.send_user_message(now, &agent, &*text)).unwrap();
                self.told.insert(text);
            }
        }
    }

    /// By the message id of the question: the message ids of its answers.
    fn replies(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut replies = BTreeMap::<_, BTreeSet<_>>::new();
        for heard in self.peers.heard().all() {
            let metadata = &heard.body["params"]["message"]["metadata"];
            let question = metadata["molecule.in_reply_to"].as_str().unwrap_or_default().to_owned();
            replies.entry(question).or_default().insert(heard.message_id().to_owned());
        }
        replies
    }

    fn unanswered(&self) -> (usize, usize) {
        let (notices, replies) = (self.world.notices(&self.agent), self.replies());
        let told = self.told.iter().filter(|text| !notices.contains(&answer(text))).count();
        (told, self.asked.values().filter(|id| !replies.contains_key(*id)).count())
    }

    fn is_answered(&self) -> bool {
        self.unanswered() == (0, 0)
    }

    fn missing(&self) -> String {
        format!("unanswered, of the user's and of peers' messages: {:?}", self.unanswered())
    }

    /// How many notices are too many, and the most ids of the answers to one message.
    fn answers(&self) -> (u64, usize) {
        let notices = self.world.notices(&self.agent);
        let doubles = notices.len() - notices.iter().collect::<BTreeSet<_>>().len();
        (u64::try_from(doubles).unwrap(), self.replies().values().map(BTreeSet::len).max().unwrap())
    }
}

fn answer(text: &str) -> String {
    format!("re: {text}")
}

#[test]
#[ignore = "started by the scenarios of this file"]
fn child() {
    // A kill is no failure of the handler.
    let options = InboxOptions::new().backlog(Backlog::All).attempts(100);
    live(options, |message| Ok(Some(Reply::text(answer(&message.text())))));
}
