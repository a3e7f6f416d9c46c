//! Reads an event stream and hands out its pieces as they arrive.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use molecule_core::effect::watch::{MAX_PART, check_stream, ended};
use molecule_core::effect::{Fault, Limits, Outcome};
use molecule_host::trace::Span;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::http::{Asked, Client};

/// A watch in flight. Dropping it closes its connection.
pub(crate) struct Watching {
    work: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    /// Holds at most one piece: the stream is read no faster than its pieces are taken.
    parts: Receiver<Bytes>,
    /// The final outcome, while a piece goes before it.
    last: Option<Outcome>,
}

impl Watching {
    /// Opens a stream, in a span.
    pub(crate) fn begin(client: Client, request: Request<Bytes>, limits: Limits, span: Span) -> Self {
        let (sender, parts) = channel(1);
        let work = span.around(async move {
            watch(&client, request, limits, sender).await.map_or_else(Outcome::Failed, Outcome::Response)
        });
        Self { work: Box::pin(work), parts, last: None }
    }

    /// Returns the next piece, or the final outcome.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        if self.last.is_none()
            && let Poll::Ready(outcome) = self.work.as_mut().poll(cx)
        {
            self.last = Some(outcome);
        }
        // Pieces come of the poll above alone, so nobody needs to be woken for one.
        match self.parts.try_recv() {
            Ok(part) => Poll::Ready(Outcome::Part(part)),
            Err(_) => self.last.take().map_or(Poll::Pending, Poll::Ready),
        }
    }
}

/// Opens a stream and sends its pieces. Returns an answer that is no stream, and otherwise the fault with which the stream ended.
async fn watch(
    client: &Client,
    request: Request<Bytes>,
    limits: Limits,
    parts: Sender<Bytes>,
) -> Result<Response<Bytes>, Fault> {
    // No other request waits for its connection, which is closed with the answer.
    let mut asked = Asked::new(request, limits.max_idle(Duration::ZERO));
    let mut answer = client.open(&mut asked).await?;
    if answer.head().status() != StatusCode::OK {
        let body = answer.whole().await?;
        return Ok(answer.close().map(|()| body));
    }
    check_stream(answer.head().headers())?;
    answer.has_no_end();
    while let Some(mut piece) = answer.piece().await? {
        while !piece.is_empty() {
            let part = piece.split_to(piece.len().min(MAX_PART));
            // The receiver is dropped only together with this future.
            let _ = parts.send(part).await;
        }
    }
    Err(ended())
}

impl Client {
    /// Watches a stream to its end. Outside semver: for tests of drivers.
    #[doc(hidden)]
    pub async fn watch(
        &self,
        request: Request<Bytes>,
        limits: Limits,
        mut each: impl FnMut(Bytes),
    ) -> Result<Response<Bytes>, Fault> {
        let mut watching = Watching::begin(self.clone(), request, limits, Span::none());
        poll_fn(|cx| {
            loop {
                match ready!(watching.poll(cx)) {
                    Outcome::Part(part) => each(part),
                    Outcome::Response(answer) => return Poll::Ready(Ok(answer)),
                    Outcome::Failed(fault) => return Poll::Ready(Err(fault)),
                    other => unreachable!("a watch has no outcome {other:?}"),
                }
            }
        })
        .await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::Uri;
    use molecule_conformance::{ID, PeerAction, ScriptedPeer, Watcher};
    use molecule_core::effect::FaultKind;
    use molecule_core::proto::WorkspaceId;
    use molecule_core::{Options, Transport};
    use molecule_host::{Host, SharedSession, Storage};
    use tokio::task::spawn_blocking;
    use tokio::time::timeout;

    use super::*;
    use crate::driver::Driver;

    const PATIENCE: Duration = Duration::from_secs(10);
    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

    fn request(peer: &ScriptedPeer, path: &str) -> (Request<Bytes>, Limits) {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = format!("{}{path}", peer.url()).parse::<Uri>().unwrap();
        (request, Limits::of(PATIENCE, 1000).read(100 * PATIENCE))
    }

    fn begin(peer: &ScriptedPeer) -> Watching {
        let (request, limits) = request(peer, "");
        Watching::begin(Client::new(&Transport::new()).unwrap(), request, limits, Span::none())
    }

    async fn next(watching: &mut Watching) -> Outcome {
        timeout(PATIENCE, poll_fn(|cx| watching.poll(cx))).await.unwrap()
    }

    #[tokio::test]
    async fn a_watch_that_is_dropped_in_silence_frees_its_connection() {
        let peer = ScriptedPeer::start(|connection| {
            connection.request();
            connection.send(format!("{HEAD}: ping\n\n"));
            assert!(connection.is_left());
        });
        let mut watching = begin(&peer);
        let Outcome::Part(part) = next(&mut watching).await else { panic!("no part") };
        assert_eq!(part, ": ping\n\n");
        assert!(timeout(Duration::ZERO, poll_fn(|cx| watching.poll(cx))).await.is_err());
        drop(watching);
        let watch = peer.watch();
        assert!(spawn_blocking(move || watch.wait(|log| log.closed == 1)).await.unwrap());
    }

    #[tokio::test]
    async fn a_watch_ends_and_frees_its_connection_when_its_machine_cancels_it_or_is_done() {
        for machine in [Watcher::cancelling, Watcher::leaving] {
            let peer = ScriptedPeer::start(|connection| {
                connection.request();
                connection.send(format!("{HEAD}: ping\n\n"));
                assert!(connection.is_left());
            });
            let id: WorkspaceId = ID.parse().unwrap();
            let session = SharedSession::new(Options::new(peer.url(), &id).build().unwrap(), None);
            let host = Host::new(Storage::Memory.open(&id).unwrap());
            let driver = Driver::new(session, host, Client::new(&Transport::new()).unwrap());
            let (request, limits) = request(&peer, "");
            let (read, fault) = timeout(PATIENCE, driver.call(machine(request, limits))).await.unwrap().unwrap();
            assert_eq!(read, b": ping\n\n");
            assert!(fault.is_none_or(|fault| fault.kind == FaultKind::Cancelled));
            let watch = peer.watch();
            assert!(spawn_blocking(move || watch.wait(|log| log.closed == 1)).await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_stream_whose_pieces_nobody_takes_is_not_read() {
        const FLOOD: u64 = 200 << 20;
        let peer = ScriptedPeer::answering(|_| vec![PeerAction::send(HEAD), PeerAction::Flood(FLOOD)]);
        let mut watching = begin(&peer);
        for _ in 0..3 {
            let Outcome::Part(part) = next(&mut watching).await else { panic!("no part") };
            assert!(!part.is_empty() && part.len() <= MAX_PART);
        }
        // The server writes until all buffers are full.
        let (watch, mut written) = (peer.watch(), 0);
        let stuck = spawn_blocking(move || {
            while watch.look(|log| log.written) != written {
                written = watch.look(|log| log.written);
                std::thread::sleep(Duration::from_millis(50));
            }
            written
        });
        assert!(stuck.await.unwrap() < FLOOD / 4);
    }
}
