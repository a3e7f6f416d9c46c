//! A platform with its own clock, and the agents that it calls.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use molecule_platform::{Answer, DispatchFault, DispatchId, Now, Platform, Ticket, Turn, Wake};
use molecule_proto::{Time, UnixTime};

use crate::agents::Agents;
use crate::compare;
use crate::exchange::{Matched, Received};

pub(crate) struct World {
    pub(crate) platform: Platform,
    pub(crate) now: Now,
    agents: Agents,
    /// The requests that agents received, oldest first.
    pub(crate) received: VecDeque<http::Request<Bytes>>,
    /// The outcomes of the calls in flight, and the times at which they come.
    pending: BTreeMap<DispatchId, (Time, Result<http::Response<Bytes>, DispatchFault>)>,
    answers: BTreeMap<Ticket, http::Response<Bytes>>,
    /// The event stream that is open.
    stream: Option<(Ticket, http::Response<Vec<u8>>)>,
}

impl World {
    pub(crate) fn new(platform: Platform, agents: Agents) -> Self {
        let now = Now { mono: Time::ZERO, unix: UnixTime::from_secs(1_795_383_587) };
        let (received, pending, answers) = (VecDeque::new(), BTreeMap::new(), BTreeMap::new());
        Self { platform, now, agents, received, pending, answers, stream: None }
    }

    /// Sends a request at a step of the script, and waits for its answer.
    pub(crate) fn ask(&mut self, step: &str, request: http::Request<Bytes>) -> http::Response<Bytes> {
        let peer = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let answer = self.platform.handle(self.now, peer, request);
        let mut wake = self.turn(step);
        match answer {
            Answer::Ready(response) => response,
            Answer::Later(ticket) => loop {
                if let Some(response) = self.answers.remove(&ticket) {
                    return response;
                }
                wake = self.advance(step, wake);
            },
            _ => panic!("[{step}] an answer of a new kind"),
        }
    }

    /// Opens an event stream at a step of the script.
    pub(crate) fn open_stream(&mut self, step: &str, request: http::Request<Bytes>) {
        let answer = self.platform.handle(self.now, Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), request);
        let Answer::Stream(ticket, head) = answer else { panic!("[{step}] no stream") };
        self.stream = Some((ticket, head.map(|()| Vec::new())));
        self.turn(step);
    }

    /// Closes the event stream, and returns its head and what came on it.
    pub(crate) fn close_stream(&mut self) -> http::Response<Bytes> {
        let (ticket, response) = self.stream.take().expect("a stream is open");
        self.platform.close_stream(ticket);
        response.map(Bytes::from)
    }

    /// Waits until every agent has answered.
    pub(crate) fn rest(&mut self, step: &str) {
        let mut wake = self.turn(step);
        while !self.pending.is_empty() {
            wake = self.advance(step, wake);
        }
    }

    /// Compares a recorded request with those that agents received. Two concurrent calls may arrive in either order.
    pub(crate) fn was_received(&mut self, recorded: &Received, matched: &mut Matched) -> compare::Result {
        let mut reason = "nothing was sent".to_owned();
        for index in 0..self.received.len().min(2) {
            let mut with_this = matched.clone();
            match compare::received(recorded, &self.received[index], &mut with_this) {
                Ok(()) => {
                    self.received.remove(index);
                    *matched = with_this;
                    return Ok(());
                }
                Err(other) if index == 0 => reason = other,
                Err(_) => {}
            }
        }
        self.received.pop_front();
        Err(reason)
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, step: &str, time: Duration) {
        self.now = Now { mono: self.now.mono + time, unix: self.now.unix + time };
        self.turn(step);
    }

    /// Advances to the next time at which something happens.
    fn advance(&mut self, step: &str, wake: Option<Wake>) -> Option<Wake> {
        let answers = self.pending.values().map(|(at, _)| *at);
        let at = answers.chain(wake.map(|wake| wake.at)).min().expect("somebody will answer");
        self.wait(step, at.since(self.now.mono));
        let due = |(_, (at, _)): &(&DispatchId, &(Time, _))| *at <= self.now.mono;
        let due: Vec<DispatchId> = self.pending.iter().filter(due).map(|(id, _)| *id).collect();
        for id in due {
            let (_, outcome) = self.pending.remove(&id).unwrap();
            self.platform.dispatched(self.now, id, outcome);
        }
        self.turn(step)
    }

    /// Executes the platform's instructions until it is idle.
    fn turn(&mut self, step: &str) -> Option<Wake> {
        loop {
            match self.platform.poll(self.now) {
                Turn::Dispatch(id, request) => {
                    let (delay, outcome) = self.agents.answer(step, &request);
                    if self.agents.listen_at(&request) {
                        self.received.push_back(request);
                    }
                    self.pending.insert(id, (self.now.mono + delay, outcome));
                    if delay.is_zero() {
                        let (_, outcome) = self.pending.remove(&id).unwrap();
                        self.platform.dispatched(self.now, id, outcome);
                    }
                }
                Turn::Cancel(id) => drop(self.pending.remove(&id)),
                Turn::Answer(ticket, response) => drop(self.answers.insert(ticket, response)),
                Turn::Chunk(ticket, chunk) => {
                    let (open, response) = self.stream.as_mut().expect("a stream is open");
                    assert_eq!(ticket, *open);
                    response.body_mut().extend_from_slice(&chunk);
                }
                Turn::Idle(wake) => return wake,
                _ => panic!("[{step}] a turn of a new kind"),
            }
        }
    }
}
