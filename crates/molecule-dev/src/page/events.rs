//! The one event stream of the page: it says that the log has a newer line, and the page asks for what it shows.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response};
use tokio::sync::{mpsc, watch};

use super::html;
use crate::World;

/// The most streams at once. A browser opens one for each tab, and closes it in the background.
pub(crate) const MOST_STREAMS: usize = 64;
/// The shortest time between two events.
const BETWEEN: Duration = Duration::from_millis(100);
/// The time after which a quiet stream sends a comment, so that both sides notice a lost connection.
const QUIET: Duration = Duration::from_secs(15);
/// The events that wait for a browser that does not read. A newer one makes an older one needless.
const ROOM: usize = 2;

/// Opens a stream; `None` if there are too many.
pub(crate) fn open(world: &World) -> Option<(Response<()>, mpsc::Receiver<Bytes>)> {
    let lines = world.changes();
    if world.watchers() > MOST_STREAMS {
        return None;
    }
    let (sender, receiver) = mpsc::channel(ROOM);
    tokio::spawn(tell(world.clone(), lines, sender));
    let mut head = Response::new(());
    let headers = head.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Some((head, receiver))
}

/// Sends the newest line at once and after each change, until the browser is gone or the server stops.
async fn tell(world: World, mut lines: watch::Receiver<u64>, sender: mpsc::Sender<Bytes>) {
    loop {
        let line = *lines.borrow_and_update();
        let unix = html::millis(world.now().unix);
        let event = format!("event: line\nid: {line}\ndata: {line} {unix}\n\n");
        if sender.send(Bytes::from(event)).await.is_err() {
            return;
        }
        tokio::time::sleep(BETWEEN).await;
        loop {
            match next(&mut lines, &sender).await {
                Next::Line => break,
                Next::Quiet if sender.send(Bytes::from_static(b": quiet\n\n")).await.is_ok() => {}
                Next::Quiet | Next::Over => return,
            }
        }
    }
}

/// What a stream waits for.
enum Next {
    Line,
    Quiet,
    /// The browser is gone, or the server stops.
    Over,
}

async fn next(lines: &mut watch::Receiver<u64>, sender: &mpsc::Sender<Bytes>) -> Next {
    let (mut changed, mut closed) = (pin!(lines.changed()), pin!(sender.closed()));
    let mut quiet = pin!(tokio::time::sleep(QUIET));
    poll_fn(|cx| {
        if closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Next::Over);
        }
        match changed.as_mut().poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Next::Line),
            Poll::Ready(Err(_)) => Poll::Ready(Next::Over),
            Poll::Pending => quiet.as_mut().poll(cx).map(|()| Next::Quiet),
        }
    })
    .await
}
