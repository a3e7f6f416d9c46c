//! An agent that is killed at any moment answers every message, and none of them twice. Each life of the agent is a
//! process of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use molecule_e2e::core::proto::{Token, WorkspaceId};
use molecule_e2e::core::{Backlog, InboundMessage, InboxOptions, Reply};
use molecule_e2e::host::{Stopper, Storage, seed};
use molecule_e2e::{Facade, Manner, PeerServer, Stage, World, scenario};

const URL: &str = "MOLECULE_E2E_URL";
const ID: &str = "MOLECULE_E2E_ID";
const TOKEN: &str = "MOLECULE_E2E_TOKEN";
const HOME: &str = "MOLECULE_E2E_HOME";

const MESSAGES: usize = 200;
const KILLS: u64 = 50;

scenario!(a_killed_agent_answers_every_message_and_no_peer_twice, [April, Current], |stage| {
    let sent = lives(stage, |mut life, after| {
        std::thread::park_timeout(after);
        life.kill().unwrap();
        life.wait().unwrap();
    });
    let (doubles, ids) = sent.answers();
    assert!(doubles <= KILLS, "{doubles} notices were seen twice, with {KILLS} kills");
    assert_eq!(ids, 1, "replies to one message have this many ids");
});

scenario!(a_stopped_agent_answers_every_message_once, [April, Current], |stage| {
    let sent = lives(stage, |mut life, after| {
        std::thread::park_timeout(after);
        stop(&mut life);
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
fn lives(stage: Stage, end: impl Fn(Child, Duration)) -> Sent {
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
        end(begin(stage.facade, &sent.world, &sent.agent, &token), Duration::from_millis(20 + (random >> 33) % 300));
    }
    let mut last = begin(stage.facade, &sent.world, &sent.agent, &token);
    let since = Instant::now();
    while !sent.is_answered() {
        assert!(since.elapsed() < Duration::from_secs(120), "{}", sent.missing());
        std::thread::park_timeout(Duration::from_millis(50));
    }
    stop(&mut last);
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

    /// The texts of the notices in the chat, each as often as it stands there.
    fn notices(&self) -> Vec<String> {
        self.world.platform(|platform, _| {
            let rows = platform.activity(&self.agent).into_iter().filter(|row| row.method.as_deref() == Some("notify"));
            let text = |body: &serde_json::Value| body["result"].as_str().unwrap_or_default().to_owned();
            rows.filter_map(|row| row.response_body.as_ref().map(text)).collect()
        })
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
        let (notices, replies) = (self.notices(), self.replies());
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
        let notices = self.notices();
        let doubles = notices.len() - notices.iter().collect::<BTreeSet<_>>().len();
        (u64::try_from(doubles).unwrap(), self.replies().values().map(BTreeSet::len).max().unwrap())
    }
}

fn answer(text: &str) -> String {
    format!("re: {text}")
}

fn begin(facade: Facade, world: &World, agent: &WorkspaceId, token: &Token) -> Child {
    let name = match facade {
        Facade::Blocking => "blocking",
        Facade::Async => "asynchronous",
    };
    let mut child = Command::new(env::current_exe().unwrap());
    let test = format!("killed_while_answering::child_is_{name}");
    child.args(["--exact", &test, "--ignored", "--nocapture", "--test-threads=1"]);
    child.env(URL, world.url()).env(ID, agent.as_str()).env(TOKEN, token.expose()).env(HOME, world.home().agent(agent));
    child.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Asks a life to end, and waits for it.
fn stop(life: &mut Child) {
    drop(life.stdin.take());
    assert!(life.wait().unwrap().success());
}

fn options() -> InboxOptions {
    // A kill is no failure of the handler.
    InboxOptions::new().backlog(Backlog::All).attempts(100)
}

fn reply(message: &InboundMessage) -> Result<Option<Reply>, String> {
    Ok(Some(Reply::text(answer(&message.text()))))
}

/// Stops the agent once the parent closes its end of standard input.
fn stop_with_parent(stopper: Stopper) {
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        stopper.stop();
    });
}

fn storage() -> Storage {
    Storage::Dir(env::var(HOME).unwrap().into())
}

#[test]
#[ignore = "started by the scenarios of this file"]
fn child_is_blocking() {
    let agent = molecule_blocking::Agent::builder(env::var(URL).unwrap(), env::var(ID).unwrap());
    let agent = agent.token(env::var(TOKEN).unwrap()).storage(storage()).inbox(options()).no_proxy().build().unwrap();
    stop_with_parent(agent.stopper());
    agent.run_agent_loop(|message: InboundMessage| reply(&message)).unwrap();
}

#[test]
#[ignore = "started by the scenarios of this file"]
fn child_is_asynchronous() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let agent = molecule_async::Agent::builder(env::var(URL).unwrap(), env::var(ID).unwrap());
    let agent = agent.token(env::var(TOKEN).unwrap()).storage(storage()).inbox(options()).no_proxy().build().unwrap();
    stop_with_parent(agent.stopper());
    let ended = runtime.block_on(agent.run_agent_loop(|message: InboundMessage| async move { reply(&message) }));
    ended.unwrap();
}
