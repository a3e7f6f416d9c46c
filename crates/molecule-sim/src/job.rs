//! Machines of every type behind one face, as a driver of a whole program sees them.

use molecule_core::effect::{EffectId, Outcome};
use molecule_core::endpoint::{Secrets, State, UpdateCard};
use molecule_core::machine::{Cx, Machine, Step};
use molecule_core::{
    Beat, Call, Ended, Event, Recover, Recovered, Recovery, Register, Registration, Result, Run, RunCommand,
};
use molecule_proto::{HeartbeatAnswer, StateAnswer, UpdateCardAnswer};

/// Which machine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobKind {
    /// The loop.
    Run,
    /// `register()`.
    Register,
    /// `recover()`, with an administrator's credential or the agent's own.
    Recover {
        /// Whose.
        admin: bool,
    },
    /// `heartbeat()`.
    Beat,
    /// `poll_state()`.
    State,
    /// `pull_secrets()`.
    Secrets,
    /// `update_card()`.
    Card,
}

/// What a machine ended with.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is named after its machine")]
pub enum Ending {
    Run(Result<Ended>),
    Register(Result<Registration>),
    Recover(Result<Recovered>),
    Beat(Result<HeartbeatAnswer>),
    State(Result<StateAnswer>),
    Secrets(Result<molecule_proto::Secrets>),
    Card(Result<UpdateCardAnswer>),
}

impl Ending {
    /// The error, if it is one.
    pub fn error(&self) -> Option<&molecule_core::Error> {
        match self {
            Self::Run(result) => result.as_ref().err(),
            Self::Register(result) => result.as_ref().err(),
            Self::Recover(result) => result.as_ref().err(),
            Self::Beat(result) => result.as_ref().err(),
            Self::State(result) => result.as_ref().err(),
            Self::Secrets(result) => result.as_ref().err(),
            Self::Card(result) => result.as_ref().err(),
        }
    }
}

/// A machine whose type is forgotten.
pub(crate) trait Job {
    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Event, Ending>;
    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome>;
    /// Says something to the loop; calls take no commands.
    fn command(&mut self, cx: &mut Cx<'_>, command: RunCommand);
    fn cancel(&mut self, cx: &mut Cx<'_>);
    /// What its `Debug` prints.
    fn printed(&self) -> String;
}

struct Typed<M: Machine> {
    machine: M,
    end: fn(M::Output) -> Ending,
    command: fn(&mut M, &mut Cx<'_>, RunCommand),
}

impl<M: Machine<Event = Event> + std::fmt::Debug> Job for Typed<M> {
    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Event, Ending> {
        match self.machine.poll(cx) {
            Step::Start(id, effect) => Step::Start(id, effect),
            Step::Cancel(id) => Step::Cancel(id),
            Step::Event(event) => Step::Event(event),
            Step::Idle(wake) => Step::Idle(wake),
            Step::Done(output) => Step::Done((self.end)(output)),
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        self.machine.feed(cx, id, outcome)
    }

    fn command(&mut self, cx: &mut Cx<'_>, command: RunCommand) {
        (self.command)(&mut self.machine, cx, command);
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        self.machine.cancel(cx);
    }

    fn printed(&self) -> String {
        format!("{:?}", self.machine)
    }
}

/// The loop.
pub(crate) fn run() -> Box<dyn Job> {
    Box::new(Typed { machine: Run::new(), end: Ending::Run, command: |run, cx, command| run.command(cx, command) })
}

/// `register()`.
pub(crate) fn register() -> Box<dyn Job> {
    call(Register::new(), Ending::Register)
}

/// `recover()`.
pub(crate) fn recover(recovery: Recovery) -> Box<dyn Job> {
    call(Recover::new(recovery), Ending::Recover)
}

/// `heartbeat()`.
pub(crate) fn beat() -> Box<dyn Job> {
    call(Beat::new(), Ending::Beat)
}

/// `poll_state()`.
pub(crate) fn state() -> Box<dyn Job> {
    call(Call::new(State), Ending::State)
}

/// `pull_secrets()`.
pub(crate) fn secrets() -> Box<dyn Job> {
    call(Call::new(Secrets), Ending::Secrets)
}

/// `update_card()`, as the session gives it.
pub(crate) fn card(update: Call<UpdateCard>) -> Box<dyn Job> {
    call(update, Ending::Card)
}

fn call<M>(machine: M, end: fn(M::Output) -> Ending) -> Box<dyn Job>
where
    M: Machine<Event = Event> + std::fmt::Debug + 'static,
{
    Box::new(Typed { machine, end, command: |_, _, _| {} })
}
