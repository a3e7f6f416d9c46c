//! A machine that watches a stream, for tests of how a driver ends one.

use bytes::Bytes;
use http::Request;
use molecule_core::Result;
use molecule_core::effect::{Effect, EffectId, Fault, Limits, Outcome};
use molecule_core::machine::{Cx, Machine, Step};

const WATCH: EffectId = EffectId(1);

/// Watches a stream until the first piece is there, and ends it as it was told. Its output is what it has read, and the fault
/// with which the stream ended.
#[derive(Debug)]
pub struct Watcher {
    state: State,
    leaves: bool,
    read: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Start(Request<Bytes>, Limits),
    Watching,
    Cancel,
    Over(Option<Fault>),
}

impl Watcher {
    /// A machine that cancels the stream, and waits for the final outcome.
    pub fn cancelling(request: Request<Bytes>, limits: Limits) -> Self {
        Self { state: State::Start(request, limits), leaves: false, read: Vec::new() }
    }

    /// A machine that is done with the first piece, and leaves the stream to its driver.
    pub fn leaving(request: Request<Bytes>, limits: Limits) -> Self {
        Self { leaves: true, ..Self::cancelling(request, limits) }
    }
}

impl Machine for Watcher {
    type Output = Result<(Vec<u8>, Option<Fault>)>;

    fn operation(&self) -> &'static str {
        "watch"
    }

    fn poll(&mut self, _: &mut Cx<'_>) -> Step<Self::Output> {
        match std::mem::replace(&mut self.state, State::Watching) {
            State::Start(request, limits) => Step::Start(WATCH, Effect::Watch(request, limits)),
            State::Watching => Step::Idle(None),
            State::Cancel => Step::Cancel(WATCH),
            State::Over(fault) => Step::Done(Ok((std::mem::take(&mut self.read), fault))),
        }
    }

    fn feed(&mut self, _: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> std::result::Result<(), Outcome> {
        match outcome {
            Outcome::Part(piece) if id == WATCH => {
                self.read.extend_from_slice(&piece);
                self.state = if self.leaves { State::Over(None) } else { State::Cancel };
            }
            Outcome::Failed(fault) if id == WATCH => self.state = State::Over(Some(fault)),
            other => return Err(other),
        }
        Ok(())
    }

    fn cancel(&mut self, _: &mut Cx<'_>) {
        self.state = State::Cancel;
    }
}
