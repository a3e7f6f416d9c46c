//! Random callers, handlers, disks and crashes: a message is handled once in each process, and once an answer was given
//! nobody runs it again or is told anything else.

use std::collections::{BTreeMap, BTreeSet};

use molecule_core::effect::Handle;
use molecule_core::machines::{Answer, Ticket};
use molecule_core::{Reply, ServerLimits, ServerOptions};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::support::inbound::{Handling, PEER, PEER_TOKEN, Server, message, text};
use crate::support::{persisted, secs};

#[derive(Debug, Clone)]
enum Act {
    /// The platform or the peer sends a message.
    Send {
        by_peer: bool,
        id: u8,
        is_delegation: bool,
    },
    /// A handler that runs ends, in one of four ways.
    Ends {
        which: usize,
        how: u8,
    },
    /// The oldest append is performed, or fails.
    Save {
        fails: bool,
    },
    /// A caller that waits is gone.
    HangUp {
        which: usize,
    },
    /// The process dies, and another one starts.
    Crash,
    Drain,
    Advance {
        secs: u64,
    },
    /// A request that is none.
    Garbage {
        which: usize,
    },
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (any::<bool>(), 0..6_u8, any::<bool>())
            .prop_map(|(by_peer, id, is_delegation)| Act::Send { by_peer, id, is_delegation }),
        6 => (any::<usize>(), 0..5_u8).prop_map(|(which, how)| Act::Ends { which, how }),
        6 => prop::bool::weighted(0.1).prop_map(|fails| Act::Save { fails }),
        2 => any::<usize>().prop_map(|which| Act::HangUp { which }),
        1 => Just(Act::Crash),
        1 => Just(Act::Drain),
        2 => (0..40_u64).prop_map(|secs| Act::Advance { secs }),
        1 => any::<usize>().prop_map(|which| Act::Garbage { which }),
    ]
}

/// The server, and what is known of it from outside.
struct World {
    server: Server,
    running: Vec<(Handling, String)>,
    /// The callers that wait, and the message that each waits for.
    waiting: BTreeMap<Ticket, String>,
    /// The messages whose handlers ran in this process, and came to something.
    ran: BTreeSet<String>,
    /// What was answered for a message, for ever.
    answered: BTreeMap<String, (u16, Value)>,
    /// The messages that were answered while the disk refused to keep it: a crash forgets them.
    unsaved: BTreeSet<String>,
    is_refused: bool,
    sent: u32,
}

fn options() -> ServerOptions {
    let mut limits = ServerLimits::new();
    (limits.handlers, limits.queue) = (2, 2);
    ServerOptions::new().look_up_senders(false).peer_token(PEER, PEER_TOKEN).limits(limits).drain(secs(10))
}

impl World {
    fn new() -> Self {
        let mut server = Server::with_secret(options());
        server.holds_saves = true;
        Self {
            server,
            running: Vec::new(),
            waiting: BTreeMap::new(),
            ran: BTreeSet::new(),
            answered: BTreeMap::new(),
            unsaved: BTreeSet::new(),
            is_refused: false,
            sent: 0,
        }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Send { by_peer, id, is_delegation } => {
                let mut body = text(&format!("m-{id}"), "hello");
                if is_delegation && !by_peer {
                    body["params"]["message"]["metadata"] = json!({"delegation_id": "d"});
                }
                self.sent += 1;
                body["id"] = json!(self.sent);
                let key = format!("{by_peer}-{id}");
                let told = if by_peer { self.server.call_directly(&body) } else { self.server.push(&body) };
                match told.0 {
                    Answer::Later(ticket) => {
                        self.waiting.insert(ticket, key);
                    }
                    answer => self.told(&key, answer),
                }
            }
            Act::Ends { which, how } if !self.running.is_empty() => {
                let ((id, _), key) = self.running.remove(which % self.running.len());
                let text = format!("{key} in run {}", self.sent);
                if how != 4 {
                    self.ran.insert(key);
                }
                match how {
                    0 => self.server.returns(id, Err("no")),
                    1 => self.server.returns(id, Ok(None)),
                    2 => self.server.reply(id, Reply::later()),
                    3 => self.server.reply(id, text),
                    _ => self.server.ends(id, Handle::not_called(&"no thread")),
                }
            }
            Act::Save { fails } => {
                if fails {
                    self.server.agent.store.fail("Append");
                }
                let is_tried = self.server.save();
                self.server.agent.store.mend();
                self.is_refused |= is_tried && fails;
                if is_tried && !fails && self.server.held.is_empty() {
                    self.is_refused = false;
                    self.unsaved.clear();
                }
            }
            Act::HangUp { which } if !self.waiting.is_empty() => {
                let ticket = *self.waiting.keys().nth(which % self.waiting.len()).unwrap();
                self.waiting.remove(&ticket);
                self.server.hang_up(ticket);
            }
            Act::Crash => {
                let old = std::mem::replace(&mut self.server, Server::unauthenticated());
                self.server = old.restart();
                self.server.holds_saves = true;
                self.running.clear();
                self.waiting.clear();
                self.ran.clear();
                self.is_refused = false;
                for key in std::mem::take(&mut self.unsaved) {
                    self.answered.remove(&key);
                }
            }
            Act::Drain => self.server.drain(),
            Act::Advance { secs: seconds } => self.server.advance(secs(seconds)),
            Act::Garbage { which } => {
                let bodies =
                    [json!([]), json!({}), json!({"jsonrpc": "2.0", "id": 1}), message("m-0", json!({"parts": 7}))];
                assert!(self.server.push(&bodies[which % bodies.len()]).code() < -32000);
            }
            Act::Ends { .. } | Act::HangUp { .. } => {}
        }
        self.look();
    }

    /// Takes what has happened.
    fn look(&mut self) {
        for cancelled in std::mem::take(&mut self.server.cancelled) {
            self.running.retain(|((id, _), _)| *id != cancelled);
        }
        while let Some(handling) = self.server.handlers.pop_front() {
            let by_peer = matches!(handling.1.sender(), molecule_core::Sender::Peer { .. });
            let key = format!("{by_peer}-{}", &handling.1.message_id().unwrap()[2..]);
            assert!(!self.ran.contains(&key), "{key} was handled in this process");
            assert!(self.running.iter().all(|(_, other)| *other != key), "{key} is being handled");
            assert!(!self.is_kept(&key), "{key} was answered");
            self.running.push((handling, key));
        }
        for (ticket, answer) in std::mem::take(&mut self.server.answers) {
            let key = self.waiting.remove(&ticket).expect("somebody waits for it");
            self.told(&key, answer);
        }
    }

    /// Returns whether an answer was given that must be given again.
    fn is_kept(&self, key: &str) -> bool {
        self.answered.contains_key(key)
    }

    /// A caller is told something.
    fn told(&mut self, key: &str, answer: Answer) {
        let is_peer = key.starts_with("true");
        match answer {
            Answer::Later(_) => unreachable!("it was taken"),
            Answer::Cut => {
                assert!(!is_peer && !self.is_kept(key), "{key}");
            }
            Answer::Ready(response) => {
                let status = response.status().as_u16();
                let mut body: Value = serde_json::from_slice(response.body()).unwrap();
                if status == 503 {
                    return assert!(!is_peer && !self.is_kept(key), "{key}");
                }
                if body["error"]["code"] == -32000 {
                    return assert!(is_peer && !self.is_kept(key), "{key}");
                }
                if let Some(fields) = body.as_object_mut() {
                    fields.remove("id");
                }
                let told = (status, body);
                match self.answered.get(key) {
                    Some(before) => assert_eq!(*before, told, "{key}"),
                    None => {
                        self.answered.insert(key.to_owned(), told);
                        if self.is_refused {
                            self.unsaved.insert(key.to_owned());
                        }
                    }
                }
            }
        }
    }

    /// Everything that runs ends, and everything is saved: nobody waits any more.
    fn end(&mut self) {
        for _ in 0..100 {
            self.act(&Act::Ends { which: 0, how: 3 });
            self.act(&Act::Save { fails: false });
            self.act(&Act::Advance { secs: 61 });
        }
        assert!(self.waiting.is_empty() && self.running.is_empty(), "{:?}", self.waiting);
    }
}

#[test]
fn a_message_is_handled_once_and_answered_alike_whatever_happens() {
    let config = Config {
        cases: 256,
        failure_persistence: persisted(),
        source_file: Some(file!()),
        max_shrink_iters: 4000,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&vec(acts(), 1..80), |acts| {
        let mut world = World::new();
        acts.iter().for_each(|act| world.act(act));
        world.end();
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
