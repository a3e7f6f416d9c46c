//! A call with what stands before and behind it: an answer that is known already, and what the session learns.

use std::collections::VecDeque;
use std::fmt;

use molecule_proto::Time;

use crate::call::Call;
use crate::effect::{EffectId, Outcome};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::machine::pass;
use crate::machine::{Cx, Machine, Step, Wake};

/// What an [`Ask`] asks, and what it makes of the answer.
pub trait Question {
    /// The endpoint that is asked.
    type Endpoint: Endpoint;
    /// What comes of it.
    type Output;

    /// Decides what is sent, if anything.
    ///
    /// # Errors
    /// Those of values that cannot be sent; nothing is sent then.
    fn begin(&mut self, cx: &mut Cx<'_>) -> Result<Begin<Self::Endpoint, Self::Output>>;

    /// Whether it begins once more after this error, because there is another way to ask; at most a few times.
    fn begins_again(&mut self, _: &mut Cx<'_>, _: &Error) -> bool {
        false
    }

    /// Makes the output of what the call ended with.
    ///
    /// # Errors
    /// The call's own, or what is wrong with its answer.
    fn end(
        &mut self,
        cx: &mut Cx<'_>,
        answer: Result<Answer<Self>>,
        events: &mut VecDeque<Event>,
    ) -> Result<Self::Output>;
}

/// The answer of a question's endpoint.
pub(crate) type Answer<Q> = <<Q as Question>::Endpoint as Endpoint>::Answer;

/// How a question begins.
#[derive(Debug)]
pub enum Begin<E, T> {
    /// With this call.
    Send(E),
    /// With its end: the session knows the answer.
    Known(T),
    /// Not before this moment, at which it begins anew: another call asks the same.
    Wait(Wake),
}

/// Asks one question, with the retries of every call.
#[must_use = "a machine does nothing until it is driven"]
pub struct Ask<Q: Question> {
    question: Q,
    state: State<Q>,
    retries: bool,
    asks_view: bool,
    until: Option<Time>,
    events: VecDeque<Event>,
}

enum State<Q: Question> {
    Ready,
    Waiting(Wake),
    Calling(Box<Call<Q::Endpoint>>),
    Finished(Box<Result<Q::Output>>),
    Done,
}

impl<Q: Question> Ask<Q> {
    /// Asks this.
    pub fn new(question: Q) -> Self {
        Self { question, state: State::Ready, retries: true, asks_view: true, until: None, events: VecDeque::new() }
    }

    /// Asks this with one request, where there is another way to go on without the answer.
    pub fn once(question: Q) -> Self {
        Self { retries: false, asks_view: false, ..Self::new(question) }
    }

    /// The same, asking the open view about a refused bearer: where the answer alone decides.
    pub(crate) fn asking_the_view(self) -> Self {
        Self { asks_view: true, ..self }
    }

    /// The same, over by this moment: for a question that is part of something with a limit.
    pub(crate) fn until(self, at: Time) -> Self {
        Self { until: Some(at), ..self }
    }

    fn call(&self, endpoint: Q::Endpoint) -> Call<Q::Endpoint> {
        let call = if self.retries { Call::new(endpoint) } else { Call::once(endpoint) };
        let call = call.asking_the_view(self.asks_view);
        match self.until {
            Some(at) => call.until(at),
            None => call,
        }
    }

    fn begin(&mut self, cx: &mut Cx<'_>) {
        self.state = match self.question.begin(cx) {
            Ok(Begin::Send(endpoint)) => State::Calling(Box::new(self.call(endpoint))),
            Ok(Begin::Wait(wake)) => State::Waiting(wake),
            Ok(Begin::Known(output)) => State::Finished(Box::new(Ok(output))),
            Err(error) => State::Finished(Box::new(Err(error.during(Q::Endpoint::OPERATION)))),
        };
    }
}

impl<Q: Question> Machine for Ask<Q> {
    type Output = Result<Q::Output>;

    fn operation(&self) -> &'static str {
        Q::Endpoint::OPERATION
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Self::Output> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            match std::mem::replace(&mut self.state, State::Done) {
                State::Ready => self.begin(cx),
                State::Waiting(wake) if wake.at <= cx.now.mono => self.begin(cx),
                State::Waiting(wake) => {
                    self.state = State::Waiting(wake);
                    return Step::Idle(Some(wake));
                }
                State::Calling(mut call) => match call.poll(cx) {
                    Step::Done(Err(error)) if self.question.begins_again(cx, &error) => self.state = State::Ready,
                    Step::Done(answer) => {
                        let output = self.question.end(cx, answer, &mut self.events);
                        self.state = State::Finished(Box::new(output));
                    }
                    other => {
                        self.state = State::Calling(call);
                        return pass(other);
                    }
                },
                State::Finished(output) => return Step::Done(*output),
                State::Done => return Step::Idle(None),
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match &mut self.state {
            State::Calling(call) => call.feed(cx, id, outcome),
            State::Ready | State::Waiting(_) | State::Finished(_) | State::Done => Err(outcome),
        }
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        match &mut self.state {
            State::Ready | State::Waiting(_) => {
                self.state = State::Finished(Box::new(Err(Error::cancelled(Q::Endpoint::OPERATION))));
            }
            State::Calling(call) => call.cancel(cx),
            State::Finished(_) | State::Done => {}
        }
    }
}

impl<Q: Question> fmt::Debug for Ask<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Ready => "ready",
            State::Waiting(_) => "waiting",
            State::Calling(_) => "calling",
            State::Finished(_) => "finished",
            State::Done => "done",
        };
        write!(f, "Ask({}, {state})", Q::Endpoint::OPERATION)
    }
}
