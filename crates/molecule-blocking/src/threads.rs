//! The threads of a loop's effects and handlers. One that has nothing to do waits for the next work for a while, since a
//! busy machine gives a new thread its first turn late.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// How long a thread waits for work before it ends.
const IDLE: Duration = Duration::from_secs(5);

/// What a thread does; if it cannot be started, the work is dropped. It calls the function once the thread is free.
type Work = Box<dyn FnOnce(&mut dyn FnMut()) + Send>;

/// Threads of one kind. Those that wait end when this is dropped; the others once their work is done.
pub(crate) struct Threads {
    name: &'static str,
    /// The size of their stacks, if it is not the default.
    stack: Option<usize>,
    idle: Arc<Idle>,
}

/// The threads that wait, the last one to begin with it first, so that the others end in time.
#[derive(Default)]
struct Idle(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    threads: Vec<(u64, Sender<Work>)>,
    /// The number of waits so far.
    waits: u64,
}

impl Threads {
    pub(crate) fn new(name: &'static str, stack: Option<usize>) -> Self {
        Self { name, stack, idle: Arc::default() }
    }

    /// Does the work on a thread that does nothing else meanwhile, and delivers what came of it. The thread is free before
    /// that: else work that follows from the delivery would often find none, and start another.
    pub(crate) fn run<T>(&self, work: impl FnOnce() -> T + Send + 'static, deliver: impl FnOnce(T) + Send + 'static) {
        let work: Work = Box::new(move |free| {
            let result = work();
            free();
            deliver(result);
        });
        let waiting = self.idle.lock().threads.pop();
        let work = match waiting {
            // A thread that is in the list takes what is sent to it.
            Some((_, thread)) => match thread.send(work) {
                Ok(()) => return,
                Err(unsent) => unsent.0,
            },
            None => work,
        };
        let idle = Arc::downgrade(&self.idle);
        let mut thread = thread::Builder::new().name(self.name.to_owned());
        if let Some(stack) = self.stack {
            thread = thread.stack_size(stack);
        }
        let _ = thread.spawn(move || {
            let mut next = Some(work);
            while let Some(work) = next {
                let mut place = None;
                work(&mut || place = Idle::enter(&idle));
                next = place.and_then(|place| Idle::wait(&idle, &place));
            }
        });
    }
}

impl Idle {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters this thread in the list; `None` if the threads are needed no longer.
    fn enter(idle: &Weak<Self>) -> Option<(u64, Receiver<Work>)> {
        let (sender, works) = channel();
        let idle = idle.upgrade()?;
        let mut waiting = idle.lock();
        waiting.waits += 1;
        let number = waiting.waits;
        waiting.threads.push((number, sender));
        Some((number, works))
    }

    /// Waits for work; `None` if none comes in time or the threads are needed no longer.
    fn wait(idle: &Weak<Self>, (number, works): &(u64, Receiver<Work>)) -> Option<Work> {
        match works.recv_timeout(IDLE) {
            Ok(work) => return Some(work),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let idle = idle.upgrade()?;
        let mut waiting = idle.lock();
        let at = waiting.threads.iter().position(|(other, _)| other == number);
        let own = at.map(|at| waiting.threads.remove(at));
        drop(waiting);
        match own {
            Some(_) => None,
            // Somebody took it off the list in this moment, and sends.
            None => works.recv().ok(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::thread::ThreadId;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Has a thread say which one it is, and then do more.
    fn said(threads: &Threads, more: impl FnOnce() + Send + 'static) -> Receiver<ThreadId> {
        let (says, said) = channel();
        let work = move || {
            says.send(thread::current().id()).unwrap();
            more();
        };
        threads.run(work, |()| {});
        said
    }

    fn wait_until_idle(threads: &Threads, count: usize) {
        let start = std::time::Instant::now();
        while threads.idle.lock().threads.len() != count {
            assert!(start.elapsed() < PATIENCE, "no thread waits");
            thread::yield_now();
        }
    }

    #[test]
    fn a_thread_that_waits_is_used_again() {
        let threads = Threads::new("test", None);
        let first = said(&threads, || {}).recv_timeout(PATIENCE).unwrap();
        wait_until_idle(&threads, 1);
        assert_eq!(said(&threads, || {}).recv_timeout(PATIENCE).unwrap(), first);
    }

    #[test]
    fn a_thread_that_delivers_is_free_already() {
        let threads = Threads::new("test", None);
        let delivered = || {
            let (says, said) = channel();
            threads.run(|| thread::current().id(), move |id| says.send(id).unwrap());
            said.recv_timeout(PATIENCE).unwrap()
        };
        let first = delivered();
        (0..100).for_each(|_| assert_eq!(delivered(), first));
    }

    #[test]
    fn work_never_waits_for_other_work() {
        let threads = Threads::new("test", None);
        let (go, gate) = channel::<()>();
        let busy = said(&threads, move || assert!(gate.recv().is_err())).recv_timeout(PATIENCE).unwrap();
        assert_ne!(said(&threads, || {}).recv_timeout(PATIENCE).unwrap(), busy);
        drop(go);
        wait_until_idle(&threads, 2);
    }

    #[test]
    fn work_that_panics_takes_its_thread_along() {
        let threads = Threads::new("test", None);
        let first = said(&threads, || panic!("at the disco")).recv_timeout(PATIENCE).unwrap();
        assert_ne!(said(&threads, || {}).recv_timeout(PATIENCE).unwrap(), first);
    }

    #[test]
    fn threads_that_wait_end_with_their_owner() {
        let threads = Threads::new("test", None);
        said(&threads, || {}).recv_timeout(PATIENCE).unwrap();
        wait_until_idle(&threads, 1);
        let idle = Arc::downgrade(&threads.idle);
        let (sender, thread) = channel();
        threads.idle.lock().threads.push((0, sender));
        drop(threads);
        assert!(idle.upgrade().is_none());
        assert!(thread.recv_timeout(PATIENCE).is_err(), "its sender is gone, and so its wait");
    }
}
