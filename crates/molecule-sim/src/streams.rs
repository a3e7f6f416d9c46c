//! Event streams on the simulated network: their pieces come late and cut anywhere, and a stream breaks, falls silent or loses
//! events.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use molecule_core::effect::{FaultKind, Outcome, Phase, Sent};
use molecule_platform::Ticket;
use molecule_proto::Time;

use crate::trace::{RequestRecord, TraceEvent, Who};
use crate::traffic::fault;
use crate::weather::{Gust, Route, SlowPart};
use crate::world::{Happening, World};

/// An open stream.
pub(crate) struct StreamInFlight {
    pub(crate) who: Who,
    pub(crate) ask: RequestRecord,
    pub(crate) ticket: Ticket,
    /// The pieces on their way, with the time at which each arrives.
    pieces: VecDeque<(Time, Bytes)>,
    /// The delay of a piece.
    delay: Duration,
    /// The longest silence that its reader bears.
    silence: Duration,
    /// When its last piece arrived.
    heard: Time,
    /// Whether its other end is gone without FIN or RST.
    is_dead: bool,
    /// The fault with which it ends after its last piece.
    end: Option<FaultKind>,
}

impl StreamInFlight {
    pub(crate) fn new(who: Who, ask: RequestRecord, ticket: Ticket, delay: Duration, silence: Duration) -> Self {
        let (pieces, heard) = (VecDeque::new(), Time::ZERO);
        Self { who, ask, ticket, pieces, delay, silence, heard, is_dead: false, end: None }
    }
}

impl World<'_> {
    /// Opens a stream, whose head arrives after its delay. It may break with its first piece.
    pub(crate) fn open_stream(&mut self, number: u64, mut stream: StreamInFlight, breaks: bool) {
        stream.heard = self.now + stream.delay;
        stream.end = breaks.then_some(FaultKind::Interrupted);
        self.plan(stream.heard + stream.silence, Happening::StreamSilent(number));
        self.streams.insert(number, stream);
    }

    /// Sends an event on a stream.
    pub(crate) fn event_sent(&mut self, ticket: Ticket, event: &Bytes) {
        let Some((number, agent)) =
            self.streams.iter().find(|(_, it)| it.ticket == ticket).map(|(number, it)| (*number, it.who.agent))
        else {
            return self.platform.close_stream(ticket);
        };
        let meets = self.gust(agent, Some(Route::Events));
        let mut bytes = event.clone();
        let Some(stream) = self.streams.get_mut(&number).filter(|stream| !stream.is_dead) else { return };
        let mut late = Duration::ZERO;
        match meets {
            None => {}
            Some(Gust::LostBefore { silent: true } | Gust::LostAfter { silent: true }) => stream.is_dead = true,
            Some(Gust::Slow { part: SlowPart::Head | SlowPart::Read | SlowPart::Drip, ms }) => {
                late = Duration::from_millis(ms.into());
            }
            Some(Gust::Cut | Gust::LostBefore { silent: false } | Gust::LostAfter { silent: false } | Gust::NoHttp) => {
                stream.end.get_or_insert(FaultKind::Interrupted);
            }
            // The reader was slow: the platform drops the event without a word.
            Some(_) => return,
        }
        if stream.is_dead {
            return;
        }
        if stream.end.is_some() {
            bytes.truncate(self.rng.usize(..=event.len()));
        }
        let first = stream.pieces.back().map_or(self.now, |(at, _)| *at).max(self.now + stream.delay + late);
        for gap in 0..3 {
            let length = if gap == 2 { bytes.len() } else { self.rng.usize(..=bytes.len()) };
            let piece = bytes.split_to(length);
            let at = first + Duration::from_millis(gap);
            stream.pieces.extend((!piece.is_empty()).then_some((at, piece)));
        }
        self.plan(first + Duration::from_millis(2), Happening::StreamFlows(number));
        self.plan(first, Happening::StreamFlows(number));
    }

    /// Hands over the pieces of a stream that have arrived, and its end.
    pub(crate) fn stream_flows(&mut self, number: u64) {
        while let Some(stream) = self.streams.get_mut(&number)
            && stream.pieces.front().is_some_and(|(at, _)| *at <= self.now)
            && let Some((_, piece)) = stream.pieces.pop_front()
        {
            stream.heard = self.now;
            let silent = stream.heard + stream.silence;
            let (who, id) = (stream.who, stream.ask.id);
            self.plan(silent, Happening::StreamSilent(number));
            let (clock, length) = (self.clock(who.agent), piece.len());
            let Some(process) = self.process_mut(who.process) else { return };
            let taken = process.feed(who.job, clock, id, Outcome::Part(piece));
            self.see(who, TraceEvent::Streamed(id, length, taken));
            self.drive(who.process, who.job);
        }
        if let Some(stream) = self.streams.get(&number)
            && let (Some(end), true) = (stream.end, stream.pieces.is_empty())
        {
            self.end_stream(number, end);
        }
    }

    /// Ends a stream that was silent for too long.
    pub(crate) fn stream_silent(&mut self, number: u64) {
        if self.streams.get(&number).is_some_and(|stream| stream.heard + stream.silence <= self.now) {
            self.end_stream(number, FaultKind::Timeout(Phase::Read));
        }
    }

    fn end_stream(&mut self, number: u64, kind: FaultKind) {
        let Some(stream) = self.streams.remove(&number) else { return };
        self.platform.close_stream(stream.ticket);
        if self.process(stream.who.process).is_some() {
            self.hand_over(stream.who, stream.ask.id, Some(stream.ask), fault(Sent::Maybe, kind));
        }
    }

    /// Ends the streams that the machine's driver drops, very soon and without a further piece.
    pub(crate) fn leave_streams(&mut self, which: impl Fn(&StreamInFlight) -> bool) {
        let soon = self.now + Duration::from_millis(1);
        let left: Vec<u64> = self.streams.iter().filter(|(_, it)| which(it)).map(|(number, _)| *number).collect();
        for number in left {
            if let Some(stream) = self.streams.get_mut(&number) {
                stream.pieces.clear();
                (stream.is_dead, stream.end) = (true, Some(FaultKind::Cancelled));
            }
            self.plan(soon, Happening::StreamFlows(number));
        }
    }

    /// Closes the streams of a process that has ended.
    pub(crate) fn close_streams(&mut self, process: usize) {
        let platform = &mut self.platform;
        self.streams.retain(|_, stream| {
            let is_over = stream.who.process == process;
            if is_over {
                platform.close_stream(stream.ticket);
            }
            !is_over
        });
    }

    /// Makes the streams of an agent's processes dead: their other end is gone without FIN or RST.
    pub(crate) fn streams_die(&mut self, agent: usize) {
        for stream in self.streams.values_mut().filter(|stream| stream.who.agent == agent) {
            stream.is_dead = true;
            stream.pieces.clear();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use molecule_core::effect::{Effect, EffectId, Limits};
    use molecule_core::machine::{Cx, Step};
    use molecule_proto::{Dialect, Token};

    use super::*;
    use crate::agent::ORIGIN;
    use crate::clock::platform_now;
    use crate::job::{Ending, Job, JobKind};
    use crate::peers::By;
    use crate::scenario::{AfterError, AgentSetup, Scenario, Setup, TokenAt};

    const SILENCE: Duration = Duration::from_secs(300);

    /// Watches its events until the stream ends.
    struct Reader {
        request: Option<http::Request<Bytes>>,
        cancels: Rc<RefCell<bool>>,
        read: Rc<RefCell<Vec<u8>>>,
        ended: Rc<RefCell<Option<FaultKind>>>,
        is_over: bool,
    }

    const WATCH: EffectId = EffectId(1_000_000);

    impl Job for Reader {
        fn poll(&mut self, _: &mut Cx<'_>) -> Step<Ending> {
            if let Some(request) = self.request.take() {
                return Step::Start(WATCH, Effect::Watch(request, Limits::of(10 * TEN, 1000).read(SILENCE)));
            }
            if self.cancels.take() {
                self.is_over = true;
                return Step::Cancel(WATCH);
            }
            if self.is_over { Step::Done(Ending::CheckAccess(Ok(true))) } else { Step::Idle(None) }
        }

        fn feed(&mut self, _: &mut Cx<'_>, _: EffectId, outcome: Outcome) -> Result<(), Outcome> {
            match outcome {
                Outcome::Part(piece) => self.read.borrow_mut().extend_from_slice(&piece),
                Outcome::Failed(fault) => {
                    *self.ended.borrow_mut() = Some(fault.kind);
                    self.is_over = true;
                }
                other => return Err(other),
            }
            Ok(())
        }

        fn cancel(&mut self, _: &mut Cx<'_>) {}

        fn printed(&self) -> String {
            String::new()
        }
    }

    const TEN: Duration = Duration::from_secs(10);

    /// A world with one agent, which does nothing but read its events.
    struct Reading<'a> {
        world: World<'a>,
        process: usize,
        job: u32,
        cancels: Rc<RefCell<bool>>,
        read: Rc<RefCell<Vec<u8>>>,
        ended: Rc<RefCell<Option<FaultKind>>>,
    }

    fn scenario(seed: u64) -> Scenario {
        // Its program starts long after the test.
        let agent = AgentSetup {
            count: 1,
            starts_within_s: 1_000_000,
            token: TokenAt::Stored,
            push: false,
            heartbeat_s: 30,
            state_s: 30,
            waits_on_pause: false,
            registers_first: false,
            after_error: AfterError::End,
            handler: None,
            watches: false,
            server: None,
        };
        let setup = Setup {
            dialect: Dialect::Current,
            provisioner: false,
            rate_limit: None,
            public: false,
            rows_late_s: 0,
            agents: vec![agent],
        };
        Scenario { about: String::new(), seed, lasts_s: 100_000, setup, acts: Vec::new() }
    }

    fn token(token: &Token) -> http::HeaderValue {
        format!("Bearer {}", token.expose()).parse().unwrap()
    }

    impl<'a> Reading<'a> {
        /// Opens the stream, which meets this fault.
        fn begin(scenario: &'a Scenario, meets: Option<Gust>) -> Self {
            let mut world = World::of(scenario);
            world.agents[0].strikes.extend(meets.map(|gust| (Route::Events, gust)));
            let workspace = world.agents[0].workspace.clone();
            let bearer = world.platform.rotate(platform_now(world.now), &workspace).unwrap();
            let mut request = http::Request::new(Bytes::new());
            *request.uri_mut() = format!("{ORIGIN}/workspaces/{workspace}/events/stream").parse().unwrap();
            request.headers_mut().insert("authorization", token(&bearer));
            let (cancels, read, ended) = (Rc::default(), Rc::default(), Rc::default());
            let reader = Reader {
                request: Some(request),
                cancels: Rc::clone(&cancels),
                read: Rc::clone(&read),
                ended: Rc::clone(&ended),
                is_over: false,
            };
            let process = world.new_process(0);
            let job = world.begin(process, JobKind::CheckAccess, Box::new(reader)).unwrap();
            let mut reading = Self { world, process, job, cancels, read, ended };
            reading.pass(TEN);
            reading
        }

        fn pass(&mut self, time: Duration) {
            self.world.run_for(time);
        }

        /// The next event meets this fault.
        fn event(&mut self, meets: Option<Gust>) {
            self.world.agents[0].strikes.extend(meets.map(|gust| (Route::Events, gust)));
            let (now, workspace) = (platform_now(self.world.now), self.world.agents[0].workspace.clone());
            self.world.platform.rotate(now, &workspace).unwrap();
            self.world.pump(By::Platform);
            self.pass(TEN);
        }

        fn read(&self) -> String {
            String::from_utf8(self.read.borrow().clone()).unwrap()
        }

        fn ended(&self) -> Option<FaultKind> {
            *self.ended.borrow()
        }

        fn is_open(&self) -> bool {
            self.world.platform.open_streams(&self.world.agents[0].workspace) > 0
        }
    }

    #[test]
    fn events_arrive_whole_and_in_order_in_pieces_that_are_cut_anywhere() {
        for seed in 0..20 {
            let scenario = scenario(seed);
            let mut reading = Reading::begin(&scenario, None);
            (0..3).for_each(|_| reading.event(None));
            let read = reading.read();
            assert!(read.starts_with(": ping\n\ndata: {") && read.ends_with("}\n\n"), "{read}");
            assert_eq!(read.matches("EXTERNAL_CREDENTIALS_ROTATED").count(), 3, "{read}");
            assert!(reading.is_open() && reading.ended().is_none());
        }
    }

    #[test]
    fn a_stream_breaks_falls_silent_or_loses_an_event() {
        let scenario = scenario(1);
        let mut broken = Reading::begin(&scenario, None);
        broken.event(Some(Gust::Cut));
        assert_eq!(broken.ended(), Some(FaultKind::Interrupted));
        let mut silent = Reading::begin(&scenario, None);
        silent.event(Some(Gust::LostAfter { silent: true }));
        silent.event(None);
        assert_eq!((silent.read().as_str(), silent.ended(), silent.is_open()), (": ping\n\n", None, true));
        silent.pass(SILENCE);
        assert_eq!((silent.ended(), silent.is_open()), (Some(FaultKind::Timeout(Phase::Read)), false));
        let mut lossy = Reading::begin(&scenario, None);
        lossy.event(Some(Gust::TooLarge));
        lossy.event(None);
        assert_eq!(lossy.read().matches("ROTATED").count(), 1);
        assert!(lossy.is_open() && lossy.ended().is_none());
    }

    #[test]
    fn a_stream_that_does_not_open_is_not_left_open() {
        for (gust, kind) in [
            (Gust::Refused, FaultKind::Connect),
            (Gust::LostAfter { silent: true }, FaultKind::Timeout(Phase::Head)),
            (Gust::Corrupt, FaultKind::Protocol),
        ] {
            let scenario = scenario(2);
            let mut reading = Reading::begin(&scenario, Some(gust));
            reading.pass(10 * TEN);
            assert_eq!((reading.ended(), reading.is_open()), (Some(kind), false));
        }
    }

    #[test]
    fn a_stream_ends_with_a_cancel_its_machine_and_its_process() {
        let scenario = scenario(3);
        let mut cancelled = Reading::begin(&scenario, None);
        *cancelled.cancels.borrow_mut() = true;
        cancelled.world.drive(cancelled.process, cancelled.job);
        cancelled.pass(Duration::from_millis(2));
        assert_eq!((cancelled.ended(), cancelled.is_open()), (None, false));
        let mut dropped = Reading::begin(&scenario, None);
        dropped.world.drops(dropped.process, dropped.job);
        dropped.pass(Duration::from_millis(2));
        assert_eq!((dropped.ended(), dropped.is_open()), (None, false));
        let mut dead = Reading::begin(&scenario, None);
        dead.world.dies(dead.process, false);
        assert!(!dead.is_open());
    }
}
