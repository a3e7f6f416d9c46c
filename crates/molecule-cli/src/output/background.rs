//! Lines for stderr, written by a thread of their own: whoever reads them slowly, or not at all, does not hold the agents up.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as blocking;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

/// The most texts that wait to be written.
const ROOM: usize = 256;

/// How long an end waits for a reader.
const LAST: Duration = Duration::from_secs(1);

/// The thread that writes.
#[derive(Debug)]
pub(super) struct Background {
    texts: mpsc::Sender<Order>,
    dropped: AtomicU64,
}

#[derive(Debug)]
enum Order {
    Write(String),
    /// Says that everything before is written.
    Told(blocking::Sender<()>),
}

impl Background {
    pub(super) fn start(mut write: impl FnMut(&str) + Send + 'static) -> io::Result<Self> {
        let (texts, mut written) = mpsc::channel(ROOM);
        std::thread::Builder::new().name("stderr".to_owned()).spawn(move || {
            while let Some(order) = written.blocking_recv() {
                match order {
                    Order::Write(text) => write(&text),
                    Order::Told(told) => drop(told.send(())),
                }
            }
        })?;
        Ok(Self { texts, dropped: AtomicU64::new(0) })
    }

    /// Writes a text of the agent's own, if there is room. Those that are dropped are counted, and told of.
    pub(super) fn say(&self, text: String) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let text = match dropped {
            0 => text,
            _ => format!("warning: {dropped} lines were not written, since nobody read them\n{text}"),
        };
        if self.texts.try_send(Order::Write(text)).is_err() {
            self.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
        }
    }

    /// Writes a text of a child's, once there is room: meanwhile the child waits.
    pub(super) async fn pass_on(&self, text: String) {
        // The thread ends with the process alone.
        let _ = self.texts.send(Order::Write(text)).await;
    }

    /// Waits until everything is written, or nobody reads it.
    pub(super) async fn finish(&self) {
        let (told, is_told) = blocking::channel();
        if timeout(LAST, self.texts.send(Order::Told(told))).await.is_ok() {
            let waited = tokio::task::spawn_blocking(move || is_told.recv_timeout(LAST));
            drop(waited.await);
        }
    }
}

/// Writes to stderr. A text that nobody can read harms nothing.
pub(super) fn write(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn what_nobody_reads_holds_nothing_up_and_is_counted() {
        let (gate, held) = blocking::channel::<()>();
        let (seen, written) = (Arc::new(Mutex::new(String::new())), Arc::new(Mutex::new(String::new())));
        let sink = written.clone();
        let background = Background::start(move |text| {
            // The reader begins to read once the gate is gone.
            let _ = held.recv();
            sink.lock().unwrap().push_str(text);
        })
        .unwrap();
        (0..1000).for_each(|number| background.say(format!("{number}\n")));
        // The thread may take one before it waits for the gate.
        let patience = Duration::from_millis(50);
        let _ = timeout(patience, background.pass_on("child\n".to_owned())).await;
        assert!(timeout(patience, background.pass_on("child\n".to_owned())).await.is_err());
        drop(gate);
        background.finish().await;
        background.say("last\n".to_owned());
        background.finish().await;
        seen.lock().unwrap().push_str(&written.lock().unwrap());
        let seen = seen.lock().unwrap();
        assert!(seen.starts_with("0\n1\n2\n"), "{seen}");
        let warnings = seen.split("warning: ").skip(1);
        let lost: usize = warnings.map(|warning| warning.split(' ').next().unwrap().parse::<usize>().unwrap()).sum();
        // One is with the writer already, or none. If it took that one late, there are two warnings.
        assert!((1000 - ROOM - 1..=1000 - ROOM).contains(&lost), "{lost}");
        assert!(seen.ends_with("nobody read them\nlast\n"), "{seen}");
    }
}
