//! The state of one connection, which its task changes without the table's lock.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// What a connection does, in the order in which connections make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum State {
    /// It has its last answer, and the other side has not closed it yet.
    Over,
    /// It waits until another connection of its address leaves.
    Waiting,
    /// It is new, or has begun a request.
    Fresh,
    Idle,
    Busy,
    /// It is closed as soon as its task runs.
    Leaving,
}

impl State {
    const ALL: [Self; 6] = [Self::Over, Self::Waiting, Self::Fresh, Self::Idle, Self::Busy, Self::Leaving];

    fn of(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Leaving)
    }
}

/// The state of a connection. Its own task changes it, and whoever makes room tells it to leave.
pub(crate) struct Place {
    state: AtomicU8,
    entered: Instant,
    /// When the state began, in microseconds after `entered`.
    since: AtomicU64,
    /// The connection's task, while it waits to be told something.
    waker: Mutex<Option<Waker>>,
}

impl Place {
    pub(crate) fn new(state: State) -> Self {
        let (state, since) = (AtomicU8::new(state as u8), AtomicU64::new(0));
        Self { state, entered: Instant::now(), since, waker: Mutex::default() }
    }

    pub(crate) fn state(&self) -> State {
        State::of(self.state.load(Ordering::SeqCst))
    }

    /// The state, and when it began. The lowest one makes room first.
    pub(crate) fn in_order(&self) -> (State, Instant) {
        (self.state(), self.since())
    }

    /// How long the state has lasted.
    pub(crate) fn lasted(&self) -> Duration {
        self.since().elapsed()
    }

    fn since(&self) -> Instant {
        self.entered + Duration::from_micros(self.since.load(Ordering::Relaxed))
    }

    /// Changes the state, unless the connection has to leave.
    pub(crate) fn change(&self, state: State) {
        // Nobody asks how long a connection has been busy.
        if state != State::Busy {
            self.begins_now();
        }
        let change = |before| (before != State::Leaving as u8).then_some(state as u8);
        // It fails where the connection has to leave.
        let _ = self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change);
    }

    /// Changes the state, and wakes the connection's task. Returns the state before.
    pub(crate) fn tell(&self, state: State) -> State {
        self.begins_now();
        let before = State::of(self.state.swap(state as u8, Ordering::SeqCst));
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
        before
    }

    /// Returns the state. The task is woken when it is told another one.
    pub(crate) fn poll_state(&self, cx: &Context<'_>) -> State {
        {
            let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *waker = Some(cx.waker().clone()),
            }
        }
        self.state()
    }

    fn begins_now(&self) {
        let since = u64::try_from(self.entered.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.since.store(since, Ordering::Relaxed);
    }
}
